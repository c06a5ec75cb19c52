"""What a task is: sizes, a generator of trials, and its out-of-distribution version."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor

from degen.streams import Stream


@dataclasses.dataclass(frozen=True)
class Trials:
    """A batch of trials. `...` is the shape of the stream's keys, usually (seeds,).

    Attributes:
        inputs: (..., trials, time, n_inputs).
        targets: (..., trials, time, n_outputs).
        mask: (..., trials, time), weights of the loss, or None for the plain mean.
        start: (..., trials, n_start), what a learned linear map turns into the initial hidden state,
            or None for an initial state of zero.
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor | None = None
    start: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> Trials:
        """`function` applied to every array that is there."""
        return Trials(
            inputs=function(self.inputs),
            targets=function(self.targets),
            mask=None if self.mask is None else function(self.mask),
            start=None if self.start is None else function(self.start),
        )


class Task(ABC):
    """A task: a pure function of its parameters and of a stream of random numbers.

    The tasks here are frozen dataclasses with keyword arguments and no defaults: the values are in YAML.
    `generate` is written for arrays with any leading shape: index trials, time and units from the end
    (dimensions -3, -2, -1).
    """

    @property
    @abstractmethod
    def n_inputs(self) -> int:
        """Input units."""

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Output units."""

    @property
    def n_start(self) -> int:
        """Units of `Trials.start`; 0 where the initial hidden state is zero."""
        return 0

    @property
    def variant(self) -> str:
        """A few characters that tell this variant from others of the task in the name of a run folder."""
        return ""

    @abstractmethod
    def generate(self, n_trials: int, stream: Stream) -> Trials:
        """Draw trials: arrays of shape (*stream.keys.shape, n_trials, time, units)."""

    @abstractmethod
    def ood(self) -> Task:
        """The out-of-distribution version on which behaviour is compared (section 2.3.1 of the paper)."""
