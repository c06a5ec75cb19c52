"""The standard parameterization (section 2.1 of the paper)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from degen.models.base import Model, Parameters
from degen.models.recurrence import outputs
from degen.streams import Stream
from degen.tasks import Task, Trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standard(Model):
    """h_t = tanh(W_h h_{t-1} + W_x x_t + b), y_t = (W_o h_t + b_o) / gamma.

    Weights and biases are drawn from U(-1/sqrt(n), 1/sqrt(n)), as in `torch.nn.RNN` and `torch.nn.Linear`.

    Args:
        width: number n of hidden units.
        gamma: divisor of the output and factor of the learning rate.

    Examples:
        >>> from degen.tasks import FlipFlop
        >>> model = Standard(width=8, gamma=1.0)
        >>> task = FlipFlop(channels=3, n_steps=20, pulse_probability=0.3)
        >>> sorted(model.initialize(task, Stream.named([0], "example")))
        ['bias', 'input', 'output', 'output_bias', 'recurrent']
    """

    is_odd = True

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

    def readout(self, parameters: Parameters, hidden: Tensor) -> Tensor:
        outputs = hidden @ parameters["output"].mT.unsqueeze(1) + parameters["output_bias"][:, None, None]
        return outputs / self.gamma

    def recurrent(self, parameters: Parameters) -> Tensor:
        return parameters["recurrent"]

    def __call__(self, parameters: Parameters, trials: Trials) -> Tensor:
        driven = (parameters["recurrent"], parameters["input"], parameters["bias"].unsqueeze(-1))
        output, output_bias = parameters["output"], parameters["output_bias"].unsqueeze(-1)
        read = (output, output.new_zeros(*output.shape[:2], trials.inputs.shape[-1]), output_bias)
        weights = torch.cat((torch.cat(driven, dim=-1), torch.cat(read, dim=-1) / self.gamma), dim=1)
        with_one = functional.pad(trials.inputs, (0, 1), value=1.0)
        hidden = self.initial_hidden(parameters, trials)
        return outputs(weights, with_one, torch.zeros_like(hidden), hidden, leak=0.0)
