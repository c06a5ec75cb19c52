"""The standard parameterization (section 2.1 of the paper)."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from degen.models.base import Model, Parameters, add_product, summed_outer, time_major
from degen.streams import Stream
from degen.tasks import Task, Trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standard(Model):
    r"""h_t = tanh(W_h h_{t-1} + W_x x_t + b), y_t = (W_o h_t + b_o) / gamma; all U(-1/sqrt n, 1/sqrt n)."""

    def initialize(self, task: Task, stream: Stream) -> Parameters:
        bound = self.width**-0.5
        shapes = {
            "recurrent": (self.width, self.width),
            "input": (self.width, task.n_inputs),
            "bias": (self.width,),
            "output": (task.n_outputs, self.width),
            "output_bias": (task.n_outputs,),
        }
        if task.n_start:
            shapes["encoder"] = (self.width, task.n_start)
        return {name: stream.uniform(*shape, low=-bound, high=bound) for name, shape in shapes.items()}

    def step(self, parameters: Parameters, hidden: Tensor, inputs: Tensor) -> Tensor:
        drive = inputs @ parameters["input"].mT + parameters["bias"].unsqueeze(1)
        return torch.tanh(hidden @ parameters["recurrent"].mT + drive)

    def unroll(self, parameters: Parameters, trials: Trials) -> Tensor:
        inputs = time_major(trials.inputs)
        drive = inputs @ parameters["input"].mT.unsqueeze(1) + parameters["bias"][:, None, None]
        hidden = self.initial_hidden(parameters, trials)
        return _Unroll.apply(drive, parameters["recurrent"], hidden).transpose(1, 2)

    def readout(self, parameters: Parameters, hidden: Tensor) -> Tensor:
        outputs = hidden @ parameters["output"].mT.unsqueeze(1) + parameters["output_bias"][:, None, None]
        return outputs / self.gamma

    def recurrent(self, parameters: Parameters) -> Tensor:
        return parameters["recurrent"]


class _Unroll(torch.autograd.Function):
    """States (seeds, time, trials, n) of h_t = tanh(W h_{t-1} + u_t), with backpropagation through time.

    Written out because autograd records every step: here the weight gradient is one product at the end.
    """

    @staticmethod
    def forward(ctx: Any, drive: Tensor, recurrent: Tensor, hidden: Tensor) -> Tensor:
        states = torch.empty_like(drive)
        before, weights = hidden, recurrent.mT.contiguous()
        for t in range(drive.shape[1]):
            add_product(drive[:, t], before, weights, out=states[:, t])
            before = states[:, t].tanh_()
        ctx.save_for_backward(states, recurrent, hidden)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states, recurrent, hidden = ctx.saved_tensors
        grad_drive = 1 - states * states
        grad_drive[:, -1].mul_(grad_states[:, -1])
        grad = torch.empty_like(hidden)
        for t in range(states.shape[1] - 2, -1, -1):
            add_product(grad_states[:, t], grad_drive[:, t + 1], recurrent, out=grad)
            grad_drive[:, t].mul_(grad)
        grad_recurrent = summed_outer(grad_drive[:, 1:], states[:, :-1]) + grad_drive[:, 0].mT @ hidden
        return grad_drive, grad_recurrent, grad_drive[:, 0] @ recurrent
