"""The base class of tasks, and batches of trials."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch import Tensor

from degen.streams import Stream

LOSSES = ("squared_error", "cross_entropy")
"""Losses of a time step: mean squared error over outputs, or cross-entropy in nats."""


@dataclasses.dataclass(frozen=True)
class Trials:
    """A batch of trials. `...` stands for the shape of the stream's keys, usually (seeds,).

    Attributes:
        inputs: (..., trials, time, n_inputs).
        targets: (..., trials, time, n_outputs). For the cross-entropy they are the probabilities of the
            classes: 1 for the correct class and 0 for the others.
        mask: (..., trials, time), weights of the loss; None for the plain mean.
        start: (..., trials, n_start), mapped to the initial hidden state by a learned linear map; None for
            an initial state of zero.
        noise: (..., trials, time, units), added to the state of a network after each step; None without
            noise. Tasks leave it out: models draw it (`Model.add_noise`).
        loss: one of `LOSSES`. For `cross_entropy`, outputs are the logits of the classes.

    Examples:
        >>> from degen.tasks import FlipFlop
        >>> task = FlipFlop(channels=2, n_steps=20, pulse_probability=0.3)
        >>> trials = task.generate(5, Stream.named([0, 1, 2], "example"))
        >>> trials.inputs.shape, trials.targets.shape, trials.mask
        (torch.Size([3, 5, 20, 2]), torch.Size([3, 5, 20, 2]), None)
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor | None = None
    start: Tensor | None = None
    noise: Tensor | None = None
    loss: str = "squared_error"

    @property
    def arrays(self) -> dict[str, Tensor]:
        """All arrays that are not None, by name."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    def map(self, function: Callable[[Tensor], Tensor]) -> Trials:
        """Return trials with `function` applied to every array that is not None."""
        mapped: dict[str, Any] = {name: function(array) for name, array in self.arrays.items()}
        return dataclasses.replace(self, **mapped)


class Task(ABC):
    """A task: a pure function from its parameters and a stream of random numbers to trials.

    Tasks are frozen dataclasses with keyword arguments. They have no defaults, because values belong in YAML.
    `generate` must work for any leading shape: index trials, time and units from the end, as dimensions -3,
    -2 and -1.
    """

    @property
    @abstractmethod
    def n_inputs(self) -> int:
        """Number of inputs."""

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Number of outputs."""

    @property
    def n_start(self) -> int:
        """Number of entries of `Trials.start`; 0 if the initial hidden state is zero."""
        return 0

    @property
    def variant(self) -> str:
        """Short name of this variant of the task, used in the names of run folders."""
        return ""

    @abstractmethod
    def generate(self, n_trials: int, stream: Stream) -> Trials:
        """Draw trials, with arrays of shape `(*stream.keys.shape, n_trials, time, units)`."""

    def ood(self) -> Task | None:
        """Return the task of the out-of-distribution (OOD) trials (section 2.3.1 of the paper).

        None means that the task has no such trials. Behavioral degeneracy is not measured then.
        """
        return None

    def outside(self, trained: Task) -> Task:
        """Return this task without the trials that networks were trained on.

        By default it is the task itself, which is right if all OOD trials are longer than training trials.
        Override it if an OOD trial may have a value, such as a delay, that training trials have.

        Args:
            trained: task that the networks were trained on, of the same class.
        """
        return self
