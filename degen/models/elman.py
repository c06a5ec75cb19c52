"""The base class of networks h_t = f(W h_{t-1} + W_x x_t + b)."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from degen.fields import neutral
from degen.models.base import Model, Parameters
from degen.models.initial import require_gain, require_rank, scale_initial
from degen.models.nonlinearities import Nonlinearity
from degen.models.recurrence import outputs
from degen.streams import Stream
from degen.tasks import Task, Trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class Elman(Model):
    """h_t = f(W h_{t-1} + W_x x_t + b), y_t = (W_o h_t + b_o) / gamma.

    Weights and biases are drawn from U(-1/sqrt(n), 1/sqrt(n)), as in `torch.nn.RNN` and `torch.nn.Linear`. A
    subclass sets `nonlinearity` and draws the recurrent matrix W.

    Args:
        width: number n of hidden units.
        gamma: divisor of the output and factor of the learning rate.
        initial_gain: factor of the initial recurrent matrix.

    Attributes:
        nonlinearity: f.
    """

    nonlinearity: ClassVar[Nonlinearity]
    stored_arrays: ClassVar[int] = 0

    initial_gain: float = neutral(1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_gain(self.initial_gain)

    def initialize(self, task: Task, stream: Stream) -> Parameters:
        bound = self.width**-0.5
        shapes: dict[str, tuple[int, ...]] = {
            "input": (self.width, task.n_inputs),
            "bias": (self.width,),
            "output": (task.n_outputs, self.width),
            "output_bias": (task.n_outputs,),
        }
        if task.n_start:
            shapes["encoder"] = (self.width, task.n_start)
        recurrent = self.initialize_recurrent(stream)
        others = {name: stream.uniform(*shape, low=-bound, high=bound) for name, shape in shapes.items()}
        return {"recurrent": recurrent, **others}

    @abstractmethod
    def initialize_recurrent(self, stream: Stream) -> Tensor:
        """Draw the weights `recurrent`, (seeds, ...)."""

    def step(self, parameters: Parameters, state: Tensor, inputs: Tensor) -> Tensor:
        drive = inputs @ parameters["input"].mT + parameters["bias"].unsqueeze(1)
        return self.nonlinearity(state @ self.recurrent(parameters).mT + drive)

    def readout(self, parameters: Parameters, hidden: Tensor) -> Tensor:
        outputs = hidden @ parameters["output"].mT.unsqueeze(1) + parameters["output_bias"][:, None, None]
        return outputs / self.gamma

    def recurrent(self, parameters: Parameters) -> Tensor:
        return parameters["recurrent"]

    def __call__(self, parameters: Parameters, trials: Trials) -> Tensor:
        weights = concatenate_weights(self.recurrent(parameters), parameters, self.gamma)
        with_one = functional.pad(trials.inputs, (0, 1), value=1.0)
        hidden = self.initial_hidden(parameters, trials)
        zero = torch.zeros_like(hidden)
        return outputs(weights, with_one, zero, hidden, leak=0.0, nonlinearity=self.nonlinearity)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DenseElman(Elman):
    """A network whose recurrent matrix is drawn from U(-1/sqrt(n), 1/sqrt(n)) and not constrained.

    Args:
        width: number n of hidden units.
        gamma: divisor of the output and factor of the learning rate.
        initial_gain: factor of the initial recurrent matrix.
        initial_rank: rank of the initial recurrent matrix, whose Frobenius norm does not change; 0 for full
            rank.
    """

    initial_rank: int = neutral(0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_rank(self.initial_rank, self.width)

    def initialize_recurrent(self, stream: Stream) -> Tensor:
        bound = self.width**-0.5
        drawn = stream.uniform(self.width, self.width, low=-bound, high=bound)
        return scale_initial(drawn, self.initial_gain, self.initial_rank)


def concatenate_weights(recurrent: Tensor, parameters: Parameters, gamma: float) -> Tensor:
    """Return the weights of `recurrence.outputs` for inputs with an additional input of 1.

    Args:
        recurrent: effective recurrent matrix, (seeds, n, n).
        parameters: the weights `input`, `bias`, `output` and `output_bias`.
        gamma: divisor of the output.
    """
    driven = (recurrent, parameters["input"], parameters["bias"].unsqueeze(-1))
    output, output_bias = parameters["output"], parameters["output_bias"].unsqueeze(-1)
    read = (output, output.new_zeros(*output.shape[:2], parameters["input"].shape[-1]), output_bias)
    return torch.cat((torch.cat(driven, dim=-1), torch.cat(read, dim=-1) / gamma), dim=1)
