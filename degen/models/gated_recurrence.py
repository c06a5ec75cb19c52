"""Activations of gated networks, with backpropagation through time written out.

A time step is a product of weights with state and inputs, and a few operations on memory that exists already.
In the backward pass, each step adds its part of the weights' gradient, while its arrays are in the cache.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from degen.models.nonlinearities import TANH
from degen.models.recurrence import add_product_function, squeeze, time_steps


def gru_states(weights: Tensor, candidate_weights: Tensor, inputs: Tensor, state: Tensor) -> Tensor:
    """Return the states h_1 .. h_T of GRUs (`degen.models.GRU`).

    Args:
        weights: weights from [h_{t-1}, x_t] to r, to z and to what r multiplies, (seeds, 3 n, n + n_inputs).
        candidate_weights: weights from x_t to the candidate, (seeds, n, n_inputs).
        inputs: x_1 .. x_T, (seeds, trials, time, n_inputs). They get no gradient. A constant input of 1 gives
            a bias.
        state: h_0, (seeds, trials, n).

    Returns:
        (seeds, time, trials, n).
    """
    result: Tensor = _GRU.apply(weights, candidate_weights, inputs, state)  # type: ignore[no-untyped-call]
    return result


def lstm_states(weights: Tensor, inputs: Tensor, state: Tensor) -> Tensor:
    """Return the activations h_1 .. h_T of LSTMs (`degen.models.LSTM`).

    Args:
        weights: weights from [h_{t-1}, x_t] to i, f, g and o, (seeds, 4 n, n + n_inputs).
        inputs: as for `gru_states`.
        state: h_0 and c_0, (seeds, trials, 2 n).

    Returns:
        (seeds, time, trials, n).
    """
    result: Tensor = _LSTM.apply(weights, inputs, state)  # type: ignore[no-untyped-call]
    return result


class _GRU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, input_weights: Tensor, inputs: Tensor, state: Tensor) -> Tensor:
        n, sources = state.shape[-1], _sources(inputs, state)
        products, candidates = _new_steps(inputs, 3 * n), _new_steps(inputs, n)
        forward, drive = (squeeze(array.mT.contiguous()) for array in (weights, input_weights))
        multiply, buffer = _multiply_function(inputs), squeeze(torch.empty_like(state))
        source, product, candidate = time_steps(sources), time_steps(products), time_steps(candidates)
        for t in range(len(product)):
            multiply(source[t], forward, out=product[t])
            multiply(source[t][..., n:], drive, out=candidate[t])
            gates = product[t][..., : 2 * n]
            reset, update = torch.sigmoid(gates, out=gates).chunk(2, dim=-1)
            candidate[t].addcmul_(reset, product[t][..., 2 * n :])
            _write_tanh(candidate[t], candidate[t], buffer)
            torch.lerp(candidate[t], source[t][..., :n], update, out=source[t + 1][..., :n])
        ctx.save_for_backward(weights, sources, products, candidates)
        return sources[:, 1:, :, :n]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor | None, ...]:
        weights, sources, products, candidates = ctx.saved_tensors
        n = candidates.shape[-1]
        grad_weights = torch.zeros_like(weights)
        grad_drive = weights.new_zeros(len(weights), n, sources.shape[-1] - n)
        to_weights, to_drive = squeeze(grad_weights), squeeze(grad_drive)
        backward, add_product = squeeze(weights[..., :n].contiguous()), add_product_function(len(weights))
        grad = torch.zeros_like(squeeze(candidates[:, 0]))
        sink, to_candidate = grad.new_empty(*grad.shape[:-1], 3 * n), torch.empty_like(grad)
        to_reset, to_update, to_product = sink.chunk(3, dim=-1)
        given, source = time_steps(grad_states), time_steps(sources)
        product, candidate = time_steps(products), time_steps(candidates)
        for t in range(len(product) - 1, -1, -1):
            reset, update, multiplied = product[t].chunk(3, dim=-1)
            grad.add_(given[t])
            torch.sub(source[t][..., :n], candidate[t], out=to_candidate).mul_(grad)
            _sigmoid_gradient(to_candidate, update, to_update)
            torch.addcmul(grad, grad, update, value=-1.0, out=to_candidate)
            _tanh_gradient(to_candidate, candidate[t], to_candidate)
            torch.mul(to_candidate, multiplied, out=to_product)
            _sigmoid_gradient(to_product, reset, to_reset)
            torch.mul(to_candidate, reset, out=to_product)
            add_product(to_weights, sink.mT, source[t], out=to_weights)
            add_product(to_drive, to_candidate.mT, source[t][..., n:], out=to_drive)
            grad.mul_(update)
            add_product(grad, sink, backward, out=grad)
        return grad_weights, grad_drive, None, grad.view_as(candidates[:, 0])


class _LSTM(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, inputs: Tensor, state: Tensor) -> Tensor:
        hidden, cell = state.chunk(2, dim=-1)
        n, sources = hidden.shape[-1], _sources(inputs, hidden)
        products, squashed = _new_steps(inputs, 4 * n), _new_steps(inputs, n)
        cells = torch.cat((cell.unsqueeze(1), squashed), dim=1)  # only c_0 has a value
        forward, multiply = squeeze(weights.mT.contiguous()), _multiply_function(inputs)
        buffer = squeeze(torch.empty_like(hidden))
        source, product = time_steps(sources), time_steps(products)
        cell_steps, squashed_steps = time_steps(cells), time_steps(squashed)
        for t in range(len(product)):
            multiply(source[t], forward, out=product[t])
            gates, new, output = product[t].split((2 * n, n, n), dim=-1)
            input_gate, forget_gate = torch.sigmoid(gates, out=gates).chunk(2, dim=-1)
            _write_tanh(new, new, buffer)
            torch.sigmoid(output, out=output)
            torch.mul(forget_gate, cell_steps[t], out=cell_steps[t + 1]).addcmul_(input_gate, new)
            _write_tanh(cell_steps[t + 1], squashed_steps[t], buffer)
            torch.mul(output, squashed_steps[t], out=source[t + 1][..., :n])
        ctx.save_for_backward(weights, sources, products, cells, squashed)
        return sources[:, 1:, :, :n]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_hidden: Tensor) -> tuple[Tensor | None, ...]:
        weights, sources, products, cells, squashed = ctx.saved_tensors
        n = cells.shape[-1]
        grad_weights = torch.zeros_like(weights)
        to_weights = squeeze(grad_weights)
        backward, add_product = squeeze(weights[..., :n].contiguous()), add_product_function(len(weights))
        grad, grad_cell, buffer = (torch.zeros_like(squeeze(cells[:, 0])) for _ in range(3))
        sink = grad.new_empty(*grad.shape[:-1], 4 * n)
        to_input_gate, to_forget_gate, to_new, to_output = sink.chunk(4, dim=-1)
        given, source, product = time_steps(grad_hidden), time_steps(sources), time_steps(products)
        cell, squashed_steps = time_steps(cells), time_steps(squashed)
        for t in range(len(product) - 1, -1, -1):
            input_gate, forget_gate, new, output = product[t].chunk(4, dim=-1)
            grad.add_(given[t])
            _sigmoid_gradient(torch.mul(grad, squashed_steps[t], out=buffer), output, to_output)
            _tanh_gradient(torch.mul(grad, output, out=buffer), squashed_steps[t], buffer)
            grad_cell.add_(buffer)
            _sigmoid_gradient(torch.mul(grad_cell, new, out=buffer), input_gate, to_input_gate)
            _sigmoid_gradient(torch.mul(grad_cell, cell[t], out=buffer), forget_gate, to_forget_gate)
            _tanh_gradient(torch.mul(grad_cell, input_gate, out=buffer), new, to_new)
            grad_cell.mul_(forget_gate)
            add_product(to_weights, sink.mT, source[t], out=to_weights)
            add_product(grad, sink, backward, beta=0.0, out=grad)
        grad_state = torch.cat((grad, grad_cell), dim=-1)
        return grad_weights, None, grad_state.view(*cells[:, 0].shape[:-1], 2 * n)


def _sources(inputs: Tensor, state: Tensor) -> Tensor:
    """Return [h_t, x_{t+1}] for t = 0 .. T, (seeds, time + 1, trials, n + n_inputs), with h_0 only.

    There is no x_{T+1}: its place is empty.
    """
    seeds, trials, time, n_inputs = inputs.shape
    n = state.shape[-1]
    sources = inputs.new_empty(seeds, time + 1, trials, n + n_inputs)
    sources[:, :-1, :, n:] = inputs.transpose(1, 2)
    sources[:, 0, :, :n] = state
    return sources


def _new_steps(inputs: Tensor, n: int) -> Tensor:
    seeds, trials, time, _ = inputs.shape
    return inputs.new_empty(seeds, time, trials, n)


def _multiply_function(inputs: Tensor) -> Any:
    return torch.mm if len(inputs) == 1 else torch.bmm


def _write_tanh(values: Tensor, out: Tensor, buffer: Tensor) -> None:
    """Write tanh of values to `out`, which may be `values`."""
    scale = TANH.state_scale(values.device)
    TANH.write_rates(torch.mul(values, scale, out=buffer) if scale != 1.0 else values, out, buffer)


def _sigmoid_gradient(gradient: Tensor, gate: Tensor, out: Tensor) -> None:
    torch.ops.aten.sigmoid_backward.grad_input(gradient, gate, grad_input=out)


def _tanh_gradient(gradient: Tensor, value: Tensor, out: Tensor) -> None:
    torch.ops.aten.tanh_backward.grad_input(gradient, value, grad_input=out)
