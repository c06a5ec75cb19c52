"""The maximal update parameterization for Adam (App. G of the paper)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from degen.errors import require_number
from degen.fields import neutral
from degen.models.base import Model, Parameters
from degen.models.initial import require_gain, require_rank, scale_initial
from degen.models.recurrence import outputs
from degen.streams import Stream
from degen.tasks import Task, Trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class MuP(Model):
    r"""h_{t+1} = h_t + a (-h_t + J tanh(h_t) / n + U x_t), y = w tanh(h) / (gamma n); no biases.

    J_ij ~ N(0, n), w ~ N(0, 1), and U ~ N(0, input_std^2), which the paper leaves open. The size of hidden
    states and outputs, and of their change in a training step, then does not depend on the width.

    Args:
        leak_rate: a in (0, 1], the fraction of the hidden state that each step replaces (the paper's tau).
        input_std: standard deviation of U. Use a small value for inputs far above 1, which saturate units.
        initial_gain: factor of the initial J.
        initial_rank: rank of the initial J, whose Frobenius norm does not change; 0 for full rank.

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        >>> from degen.tasks import FlipFlop
        >>> model = MuP(width=8, gamma=1.0, leak_rate=1.0, input_std=1.0)
        >>> task = FlipFlop(channels=3, n_steps=20, pulse_probability=0.3)
        >>> weights = model.initialize(task, Stream.named([0], "example"))
        >>> sorted(weights)
        ['input', 'output', 'recurrent']
        >>> torch.equal(model.recurrent(weights), weights["recurrent"] / 8)
        True
    """

    is_odd = True

    leak_rate: float
    input_std: float
    initial_gain: float = neutral(1.0)
    initial_rank: int = neutral(0)
    stored_arrays: ClassVar[int] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("leak_rate", self.leak_rate, above=0.0, maximum=1.0)
        require_number("input_std", self.input_std, above=0.0)
        require_gain(self.initial_gain)
        require_rank(self.initial_rank, self.width)

    def initialize(self, task: Task, stream: Stream) -> Parameters:
        recurrent = stream.normal(self.width, self.width) * self.width**0.5
        parameters = {
            "recurrent": scale_initial(recurrent, self.initial_gain, self.initial_rank),
            "input": stream.normal(self.width, task.n_inputs) * self.input_std,
            "output": stream.normal(task.n_outputs, self.width),
        }
        if task.n_start:
            parameters["encoder"] = stream.normal(self.width, task.n_start)
        return parameters

    def step(self, parameters: Parameters, state: Tensor, inputs: Tensor) -> Tensor:
        rate = self.leak_rate
        drive = torch.tanh(state) @ self.recurrent(parameters).mT + inputs @ parameters["input"].mT
        return (1 - rate) * state + rate * drive

    def readout(self, parameters: Parameters, hidden: Tensor) -> Tensor:
        return torch.tanh(hidden) @ parameters["output"].mT.unsqueeze(1) / (self.gamma * self.width)

    def recurrent(self, parameters: Parameters) -> Tensor:
        return parameters["recurrent"] / self.width

    def __call__(self, parameters: Parameters, trials: Trials) -> Tensor:
        rate, output = self.leak_rate, parameters["output"] / (self.gamma * self.width)
        driven = torch.cat((self.recurrent(parameters), parameters["input"]), dim=-1)
        read = functional.pad(output, (0, trials.inputs.shape[-1]))
        hidden = self.initial_hidden(parameters, trials)
        weights = torch.cat((rate * driven, read), dim=1)
        return outputs(weights, trials.inputs, hidden, torch.tanh(hidden), leak=1 - rate)
