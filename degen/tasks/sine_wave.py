"""Sine wave generation: an oscillation from a constant input (section 2.2 and App. A.3 of the paper)."""

from __future__ import annotations

import dataclasses
import math

import torch

from degen.errors import require, require_integer, require_number
from degen.streams import Stream
from degen.tasks.base import Task, Trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class SineWave(Task):
    """Channels whose input is a frequency f, constant and unscaled; the target is sin(2 pi f t).

    Args:
        channels: number C of inputs and outputs, with one frequency per channel.
        n_steps: time steps per trial.
        dt: seconds per step.
        min_frequency, max_frequency: range of frequencies in Hz, both included.
        n_frequencies: number of evenly spaced frequencies.

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        >>> task = SineWave(
        ...     channels=1, n_steps=5, dt=0.25, min_frequency=1.0, max_frequency=1.0, n_frequencies=1
        ... )
        >>> trials = task.generate(1, Stream.named([0], "example"))
        >>> trials.inputs.flatten().tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0]
        >>> trials.targets.flatten().numpy().round(2) + 0.0
        array([ 0.,  1.,  0., -1.,  0.], dtype=float32)
    """

    channels: int
    n_steps: int
    dt: float
    min_frequency: float
    max_frequency: float
    n_frequencies: int

    def __post_init__(self) -> None:
        require_integer("task.channels", self.channels, 1)
        require_integer("task.n_steps", self.n_steps, 1)
        require_number("task.dt", self.dt, above=0.0)
        require_number("task.min_frequency", self.min_frequency, above=0.0)
        require_number("task.max_frequency", self.max_frequency, minimum=self.min_frequency)
        require_integer("task.n_frequencies", self.n_frequencies, 1)
        require(
            self.n_frequencies == 1 or self.max_frequency > self.min_frequency,
            "task.n_frequencies",
            self.n_frequencies,
            "1 where task.min_frequency equals task.max_frequency",
        )

    @property
    def n_inputs(self) -> int:
        return self.channels

    @property
    def n_outputs(self) -> int:
        return self.channels

    @property
    def variant(self) -> str:
        return f"{self.channels}ch"

    def generate(self, n_trials: int, stream: Stream) -> Trials:
        choice = stream.integers(0, self.n_frequencies - 1, n_trials, 1, self.channels)
        spacing = (self.max_frequency - self.min_frequency) / max(self.n_frequencies - 1, 1)
        frequency = self.min_frequency + spacing * choice.to(stream.dtype)
        seconds = torch.arange(self.n_steps, dtype=stream.dtype, device=stream.device) * self.dt
        targets = torch.sin(2 * math.pi * frequency * seconds.unsqueeze(-1))
        return Trials(frequency.expand(targets.shape).contiguous(), targets)

    def ood(self) -> SineWave:
        """Return the task with trials twice as long."""
        return dataclasses.replace(self, n_steps=2 * self.n_steps)
