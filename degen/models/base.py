"""The base class of recurrent networks; all arrays have seeds as their first dimension."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from degen.errors import require_integer, require_number
from degen.streams import Stream
from degen.tasks import Task, Trials

Parameters = dict[str, Tensor]
"""Weights by name, each (seeds, ...)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model(ABC):
    """A recurrent network with `width` hidden units whose output is divided by `gamma`.

    A model holds no weights. Its methods take the weights of an ensemble and compute all networks at once.
    Calling it returns outputs. A new cell implements `initialize`, `step`, `readout` and `recurrent`. A cell
    whose state is larger than its activations, such as an LSTM, also overrides `state_size` and
    `activations`. Larger `gamma` means stronger feature learning (section 3.3 of the paper).

    Attributes:
        stored_arrays: number of arrays (trials, time, width) that a training step stores besides the states
            and their gradients, for the prediction of memory.

    Args:
        width: number n of hidden units.
        gamma: divisor of the output and factor of the learning rate.

    Attributes:
        is_odd: whether the nonlinearity is odd, as tanh is. A network then computes the same function after
            the signs of all weights of a hidden unit are flipped.
        is_homogeneous: whether f(a h) = a f(h) for the nonlinearity and a > 0, as for ReLU. A network then
            computes the same function after the inputs of a unit are multiplied by a, and its outputs
            divided by a.
        blocks: number of matrices that `recurrent` returns below each other, above 1 for gated cells.

    Raises:
        BadInputError: `width` is below 1, or `gamma` is not above 0.

    Examples:
        >>> from degen.models import Standard
        >>> from degen.tasks import FlipFlop
        >>> task = FlipFlop(channels=3, n_steps=20, pulse_probability=0.3)
        >>> model = Standard(width=8, gamma=1.0)
        >>> weights = model.initialize(task, Stream.named([0, 1], "example"))
        >>> weights["recurrent"].shape  # (seeds, width, width)
        torch.Size([2, 8, 8])
        >>> trials = task.generate(5, Stream.named([0, 1], "example"))
        >>> model.unroll(weights, trials).shape  # (seeds, trials, time, width)
        torch.Size([2, 5, 20, 8])
        >>> model(weights, trials).shape  # (seeds, trials, time, n_outputs)
        torch.Size([2, 5, 20, 3])
    """

    is_odd: ClassVar[bool] = False
    is_homogeneous: ClassVar[bool] = False
    blocks: ClassVar[int] = 1

    width: int
    gamma: float
    stored_arrays: ClassVar[int] = 8

    def __post_init__(self) -> None:
        require_integer("width", self.width, 1)
        require_number("gamma", self.gamma, above=0.0)

    @abstractmethod
    def initialize(self, task: Task, stream: Stream) -> Parameters:
        """Draw initial weights, each (seeds, ...), with one network per key of the stream.

        Args:
            task: the task, which determines the numbers of inputs and outputs.
            stream: random numbers with keys of shape (seeds,).
        """

    @property
    def state_size(self) -> int:
        """Number of entries of the state that `step` maps to the next state; the width by default."""
        return self.width

    def activations(self, state: Tensor) -> Tensor:
        """Return the activations (..., width) of states (..., state_size): the states by default.

        Outputs depend on the activations only, and metrics compare them.
        """
        return state

    @abstractmethod
    def step(self, parameters: Parameters, state: Tensor, inputs: Tensor) -> Tensor:
        """Return the next state without noise, (seeds, trials, state_size).

        Args:
            parameters: weights by name, each (seeds, ...).
            state: the current state, (seeds, trials, state_size).
            inputs: (seeds, trials, n_inputs).
        """

    @abstractmethod
    def readout(self, parameters: Parameters, hidden: Tensor) -> Tensor:
        """Return outputs (seeds, trials, time, n_outputs) of activations (seeds, trials, time, width)."""

    @abstractmethod
    def recurrent(self, parameters: Parameters) -> Tensor:
        """Return the effective recurrent matrix (seeds, width, width), W[i, j] from unit j to unit i.

        A gated cell returns the matrices of its gates below each other, (seeds, blocks * width, width).
        """

    def learning_rate(self, base: float) -> float:
        """Return gamma times the learning rate of the task (App. G and L of the paper)."""
        return self.gamma * base

    def add_noise(self, trials: Trials, stream: Stream) -> Trials:
        """Return the trials with process noise (`Trials.noise`), or unchanged if the model has none.

        Args:
            trials: trials of a task.
            stream: random numbers, with keys of the leading shape of the trials.
        """
        return trials

    def initial_hidden(self, parameters: Parameters, trials: Trials) -> Tensor:
        """Return the state before the first step, (seeds, trials, state_size).

        It is zero, or the product of the weights `encoder` and `Trials.start` if trials have a start.
        """
        if trials.start is not None:
            return trials.start @ parameters["encoder"].mT
        seeds, n_trials = trials.inputs.shape[:2]
        return trials.inputs.new_zeros(seeds, n_trials, self.state_size)

    def unroll_states(self, parameters: Parameters, trials: Trials) -> Tensor:
        """Return states (seeds, trials, time, state_size); state t follows input t."""
        state = self.initial_hidden(parameters, trials)
        states = []
        for t, inputs in enumerate(trials.inputs.unbind(dim=-2)):
            state = self.step(parameters, state, inputs)
            if trials.noise is not None:
                state = state + trials.noise[..., t, :]
            states.append(state)
        return torch.stack(states, dim=-2)

    def unroll(self, parameters: Parameters, trials: Trials) -> Tensor:
        """Return activations (seeds, trials, time, width); activation t follows input t."""
        return self.activations(self.unroll_states(parameters, trials))

    def __call__(self, parameters: Parameters, trials: Trials) -> Tensor:
        """Return outputs (seeds, trials, time, n_outputs)."""
        return self.readout(parameters, self.unroll(parameters, trials))
