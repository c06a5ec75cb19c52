"""Outputs of a leaky network, with backpropagation through time written out.

Autograd would record every step and store states, drives and their gradients in separate arrays. Here a step
is one matrix product and one nonlinearity. One array holds states and inputs, another holds the gradients of
states and outputs. The product of the two arrays at the end gives the gradients of all weights at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from degen.models.nonlinearities import TANH, Nonlinearity


def outputs(
    weights: Tensor,
    inputs: Tensor,
    state: Tensor,
    rates: Tensor,
    leak: float,
    nonlinearity: Nonlinearity = TANH,
    noise: Tensor | None = None,
) -> Tensor:
    r"""Return the outputs y_1 .. y_T of a leaky network.

    .. math:: p_t = \lambda p_{t-1} + A [r_{t-1}, x_t] + \xi_t, \quad r_t = f(p_t), \quad y_t = B [r_t, x_t].

    Args:
        weights: A above B, (seeds, n + n_outputs, n + n_inputs).
        inputs: x_1 .. x_T, (seeds, trials, time, n_inputs). They get no gradient. A constant input of 1
            gives a bias. Weights in B of all other inputs must be zero and get no gradient.
        state, rates: p_0 and r_0, (seeds, trials, n).
        leak: lambda, the fraction of a state that remains after a step.
        nonlinearity: f.
        noise: xi_1 .. xi_T, (seeds, trials, time, n), or None. It gets no gradient.

    Returns:
        (seeds, trials, time, n_outputs).
    """
    arguments = weights, inputs, state, rates, leak, nonlinearity, noise
    result: Tensor = _Outputs.apply(*arguments)  # type: ignore[no-untyped-call]
    return result


class _Outputs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        weights: Tensor,
        inputs: Tensor,
        state: Tensor,
        rates: Tensor,
        leak: float,
        nonlinearity: Nonlinearity,
        noise: Tensor | None,
    ) -> Tensor:
        seeds, trials, time, n_inputs = inputs.shape
        n = state.shape[-1]
        # [r_t, x_{t+1}] for t = 0 .. T. There is no x_{T+1}, so the last input is used again.
        sources = inputs.new_empty(seeds, time + 1, trials, n + n_inputs)
        sources[:, :-1, :, n:] = inputs.transpose(1, 2)
        sources[:, -1, :, n:] = inputs[:, :, -1]
        sources[:, 0, :, :n] = rates
        scale = nonlinearity.state_scale(inputs.device)
        scaled, buffer = squeeze(scale * state), squeeze(torch.empty_like(state))
        forward = squeeze((scale * weights[:, :n]).mT.contiguous())
        add_product, kicks = add_product_function(seeds), None if noise is None else squeeze(noise).unbind(-2)
        source, next_rates = time_steps(sources), time_steps(sources[..., :n])
        for t in range(time):
            add_product(scaled, source[t], forward, beta=leak, out=scaled)
            if kicks is not None:
                scaled.add_(kicks[t], alpha=scale)
            nonlinearity.write_rates(scaled, next_rates[t + 1], buffer)
        ctx.save_for_backward(weights, sources)
        ctx.leak, ctx.nonlinearity = leak, nonlinearity
        flat = product_per_network(sources[:, 1:].flatten(1, 2), weights[:, n:].mT)
        return flat.unflatten(1, (time, trials)).transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        weights, sources = ctx.saved_tensors
        seeds, steps, trials, _ = sources.shape
        n_outputs, n = grad_outputs.shape[-1], weights.shape[1] - grad_outputs.shape[-1]
        # [d loss / d p_{t+1}, d loss / d y_t] for t = 0 .. T, the gradients of what `sources[:, t]` drives
        sinks = sources.new_empty(seeds, steps, trials, n + n_outputs)
        sinks[:, 1:, :, n:] = grad_outputs.transpose(1, 2)
        sinks[:, 0, :, n:] = 0.0
        sinks[:, -1, :, :n] = 0.0
        backward = squeeze(weights[:, :, :n].contiguous())
        grad_rates = sources.new_empty(seeds, trials, n)
        grad, add_product = squeeze(grad_rates), add_product_function(seeds)
        sink, grad_state, rates = time_steps(sinks), time_steps(sinks[..., :n]), time_steps(sources[..., :n])
        for t in range(steps - 1, 0, -1):
            add_product(grad, sink[t], backward, beta=0.0, out=grad)
            ctx.nonlinearity.write_gradient(grad, rates[t], grad_state[t - 1])
            if ctx.leak:
                grad_state[t - 1].add_(grad_state[t], alpha=ctx.leak)
        add_product(grad, sink[0], backward, beta=0.0, out=grad)
        grad_weights = sinks.flatten(1, 2).mT @ sources.flatten(1, 2)
        return grad_weights, None, ctx.leak * sinks[:, 0, :, :n], grad_rates, None, None, None


def product_per_network(states: Tensor, weights: Tensor) -> Tensor:
    """Return states (seeds, k, n) times weights (seeds, n, n_outputs), on a CPU network by network.

    A batched product for a single output adds in another order than the product of one network.
    """
    if states.device.type != "cpu":
        return states @ weights
    return torch.cat([states[i : i + 1] @ weights[i : i + 1] for i in range(len(states))])


def squeeze(array: Tensor) -> Tensor:
    """Drop the first dimension if it is 1: two-dimensional products are faster than batches of one."""
    return array[0] if len(array) == 1 else array


def time_steps(array: Tensor) -> tuple[Tensor, ...]:
    """Return views of every time step of (seeds, time, trials, units)."""
    return squeeze(array).unbind(-3)


def add_product_function(seeds: int) -> Any:
    """Return the function for products of matrices without (`squeeze`) or with an axis of seeds."""
    return torch.addmm if seeds == 1 else torch.baddbmm
