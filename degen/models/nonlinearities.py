"""Nonlinearities of recurrent units, with what hand-written backpropagation needs of them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

_MINUS_ONE = torch.tensor(-1.0)


class Nonlinearity(ABC):
    """A function f from states to rates, whose derivative is a function of the rate.

    Examples:
        >>> states, rates = torch.tensor([-1.0, 2.0]), torch.empty(2)
        >>> RELU.write_rates(states, rates, torch.empty(2))
        >>> rates
        tensor([0., 2.])
    """

    @abstractmethod
    def __call__(self, states: Tensor) -> Tensor:
        """Return the rates of states of any shape."""

    def state_scale(self, device: torch.device) -> float:
        """Return the factor by which `write_rates` expects states to be multiplied."""
        return 1.0

    @abstractmethod
    def write_rates(self, scaled: Tensor, rates: Tensor, buffer: Tensor) -> None:
        """Write the rates of scaled states, without new memory.

        Args:
            scaled: states times `state_scale`.
            rates: where the rates are written.
            buffer: memory of the shape of `scaled`, which is overwritten.
        """

    @abstractmethod
    def write_gradient(self, gradient: Tensor, rates: Tensor, out: Tensor) -> None:
        """Write the gradient of states to `out`, given the gradient of rates, without new memory."""


class _Tanh(Nonlinearity):
    def __call__(self, states: Tensor) -> Tensor:
        return torch.tanh(states)

    def state_scale(self, device: torch.device) -> float:
        # tanh(p) = 2 sigmoid(2 p) - 1: on a CPU, torch's sigmoid is several times faster than its tanh.
        return 2.0 if device.type == "cpu" else 1.0

    def write_rates(self, scaled: Tensor, rates: Tensor, buffer: Tensor) -> None:
        if scaled.device.type == "cpu":
            torch.sigmoid(scaled, out=buffer)
            torch.add(_MINUS_ONE, buffer, alpha=2.0, out=rates)
        else:
            torch.tanh(scaled, out=rates)

    def write_gradient(self, gradient: Tensor, rates: Tensor, out: Tensor) -> None:
        torch.ops.aten.tanh_backward.grad_input(gradient, rates, grad_input=out)


class _ReLU(Nonlinearity):
    def __call__(self, states: Tensor) -> Tensor:
        return torch.relu(states)

    def write_rates(self, scaled: Tensor, rates: Tensor, buffer: Tensor) -> None:
        torch.clamp_min(scaled, 0.0, out=rates)

    def write_gradient(self, gradient: Tensor, rates: Tensor, out: Tensor) -> None:
        torch.ops.aten.threshold_backward.grad_input(gradient, rates, 0, grad_input=out)


class _Softplus(Nonlinearity):
    def __call__(self, states: Tensor) -> Tensor:
        return functional.softplus(states)

    def write_rates(self, scaled: Tensor, rates: Tensor, buffer: Tensor) -> None:
        torch.ops.aten.softplus.out(scaled, out=rates)

    def write_gradient(self, gradient: Tensor, rates: Tensor, out: Tensor) -> None:
        # r = log(1 + exp(p)), so that dr/dp = 1 - exp(-r).
        torch.expm1(torch.neg(rates, out=out), out=out)
        out.neg_().mul_(gradient)


TANH, RELU, SOFTPLUS = _Tanh(), _ReLU(), _Softplus()
