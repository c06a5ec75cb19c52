"""The base class of recurrent networks; all arrays have seeds as their first dimension."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from degen.errors import require_integer, require_number
from degen.streams import Stream
from degen.tasks import Task, Trials

Parameters = dict[str, Tensor]
"""Name to weights, (seeds, ...)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model(ABC):
    """A recurrent network with `width` hidden units whose output is divided by `gamma`.

    A new cell implements `initialize`, `step`, `readout` and `recurrent`. Larger `gamma` means stronger
    feature learning (section 3.3 of the paper).

    Args:
        width: number n of hidden units.
        gamma: divides the output and multiplies the learning rate.

    Raises:
        BadInputError: `width` is below 1, or `gamma` is not above 0.
    """

    width: int
    gamma: float

    def __post_init__(self) -> None:
        require_integer("width", self.width, 1)
        require_number("gamma", self.gamma, above=0.0)

    @abstractmethod
    def initialize(self, task: Task, stream: Stream) -> Parameters:
        """Draw initial weights, one network for each of the stream's keys (seeds,)."""

    @abstractmethod
    def step(self, parameters: Parameters, hidden: Tensor, inputs: Tensor) -> Tensor:
        """Return the next hidden state.

        Args:
            hidden: the last hidden state, (seeds, trials, width).
            inputs: (seeds, trials, n_inputs).
        """

    @abstractmethod
    def readout(self, parameters: Parameters, hidden: Tensor) -> Tensor:
        """Return outputs (seeds, trials, time, n_outputs) of hidden states (seeds, trials, time, width)."""

    @abstractmethod
    def recurrent(self, parameters: Parameters) -> Tensor:
        """Return the effective recurrent matrix (seeds, width, width), W[i, j] from unit j to unit i."""

    def learning_rate(self, base: float) -> float:
        """Return the optimizer's learning rate: gamma times the task's (App. G and L of the paper)."""
        return self.gamma * base

    def initial_hidden(self, parameters: Parameters, trials: Trials) -> Tensor:
        """Return the hidden state before the first step (seeds, trials, width).

        Zero, or the weights `encoder` times `Trials.start`.
        """
        if trials.start is not None:
            return trials.start @ parameters["encoder"].mT
        seeds, n_trials = trials.inputs.shape[:2]
        return trials.inputs.new_zeros(seeds, n_trials, self.width)

    def unroll(self, parameters: Parameters, trials: Trials) -> Tensor:
        """Return hidden states (seeds, trials, time, width); state t follows input t."""
        hidden = self.initial_hidden(parameters, trials)
        states = []
        for inputs in trials.inputs.unbind(dim=-2):
            hidden = self.step(parameters, hidden, inputs)
            states.append(hidden)
        return torch.stack(states, dim=-2)

    def __call__(self, parameters: Parameters, trials: Trials) -> Tensor:
        """Return outputs (seeds, trials, time, n_outputs)."""
        return self.readout(parameters, self.unroll(parameters, trials))
