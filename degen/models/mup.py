"""The maximal update parameterization for Adam (App. G of the paper)."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from degen.errors import require_number
from degen.models.base import Model, Parameters, add_product, summed_outer, time_major
from degen.streams import Stream
from degen.tasks import Task, Trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class MuP(Model):
    r"""h_{t+1} = h_t + tau (-h_t + J tanh(h_t) / n + U x_t), y = w tanh(h) / (gamma n); no biases.

    J_ij ~ N(0, n); U, w ~ N(0, 1). Hidden states, outputs and their change by a training step are then of
    the same size at every width (`analysis.coordinate_check`).

    Args:
        time_constant: tau in (0, 1], a step's share of the way to the new state.
    """

    time_constant: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("time_constant", self.time_constant, above=0.0, maximum=1.0)

    def initialize(self, task: Task, stream: Stream) -> Parameters:
        parameters = {
            "recurrent": stream.normal(self.width, self.width) * self.width**0.5,
            "input": stream.normal(self.width, task.n_inputs),
            "output": stream.normal(task.n_outputs, self.width),
        }
        if task.n_start:
            parameters["encoder"] = stream.normal(self.width, task.n_start)
        return parameters

    def step(self, parameters: Parameters, hidden: Tensor, inputs: Tensor) -> Tensor:
        tau = self.time_constant
        drive = torch.tanh(hidden) @ self.recurrent(parameters).mT + inputs @ parameters["input"].mT
        return (1 - tau) * hidden + tau * drive

    def unroll(self, parameters: Parameters, trials: Trials) -> Tensor:
        drive = self.time_constant * (time_major(trials.inputs) @ parameters["input"].mT.unsqueeze(1))
        hidden = self.initial_hidden(parameters, trials)
        states = _Unroll.apply(drive, self.recurrent(parameters), hidden, self.time_constant)
        return states.transpose(1, 2)

    def readout(self, parameters: Parameters, hidden: Tensor) -> Tensor:
        return torch.tanh(hidden) @ parameters["output"].mT.unsqueeze(1) / (self.gamma * self.width)

    def recurrent(self, parameters: Parameters) -> Tensor:
        return parameters["recurrent"] / self.width


class _Unroll(torch.autograd.Function):
    """States (seeds, time, trials, n) of h_t = (1 - tau) h_{t-1} + tau K tanh(h_{t-1}) + u_t, with BPTT."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, recurrent: Tensor, hidden: Tensor, tau: float) -> Tensor:
        states, rates = torch.empty_like(drive), torch.empty_like(drive)
        before, weights = hidden, recurrent.mT.contiguous()
        for t in range(drive.shape[1]):
            rates[:, t] = torch.tanh(before)
            add_product(drive[:, t], rates[:, t], weights, out=states[:, t], alpha=tau)
            states[:, t].add_(before, alpha=1 - tau)
            before = states[:, t]
        ctx.save_for_backward(rates, recurrent)
        ctx.tau = tau
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        rates, recurrent = ctx.saved_tensors  # rates[:, t] are those before step t
        tau = ctx.tau
        slopes = 1 - rates * rates
        grad_drive = torch.empty_like(rates)
        through = torch.zeros_like(rates[:, 0])  # d loss / d h_t by way of h_{t+1}
        zero = torch.zeros_like(through)
        for t in range(rates.shape[1] - 1, -1, -1):
            torch.add(grad_states[:, t], through, out=grad_drive[:, t])
            add_product(zero, grad_drive[:, t], recurrent, out=through, alpha=tau)
            through.mul_(slopes[:, t]).add_(grad_drive[:, t], alpha=1 - tau)
        grad_recurrent = tau * summed_outer(grad_drive, rates)
        return grad_drive, grad_recurrent, through, None
