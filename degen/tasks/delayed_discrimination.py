"""Delayed discrimination: report the stronger of two pulses (section 2.2 and App. A.2 of the paper)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from degen.errors import require, require_integer, require_number
from degen.streams import Stream
from degen.tasks.base import Task, Trials
from degen.tasks.windows import window


@dataclasses.dataclass(frozen=True, kw_only=True)
class DelayedDiscrimination(Task):
    """Two pulses f1 != f2 on separate inputs, with a delay in between.

    The target is sign(f2 - f1) in a response window, and 0 outside of it.

    The layout is that of Turner, Dabholkar & Barak 2021 ("Charting and navigating the space of solutions
    for recurrent neural networks"). Inputs are f1 of every channel, then f2 of every channel. All channels
    of a trial share one delay.

    Args:
        channels: number C of simultaneous comparisons, with 2C inputs.
        n_steps: time steps per trial.
        min_delay, max_delay: steps from the end of f1 to the start of f2, both included.
        min_amplitude, max_amplitude: range of the integer amplitudes, both included.
        first_onset: step at which f1 starts.
        pulse_steps: duration of a pulse.
        response_onset: steps from the start of f2 to the start of the response window.
        response_steps: duration of the response window.
        auxiliary_loss: add C outputs with the target (f2 - f1) / auxiliary_scale in the window (Fig. 4B).
        auxiliary_scale: divisor of the auxiliary target. With 8, the largest default target is 1.

    Raises:
        BadInputError: an argument is out of its range, or the longest delay does not fit the trial.

    Examples:
        >>> task = DelayedDiscrimination(
        ...     channels=1, n_steps=60, min_delay=5, max_delay=20, min_amplitude=2, max_amplitude=10,
        ...     first_onset=5, pulse_steps=5, response_onset=15, response_steps=5, auxiliary_loss=False,
        ...     auxiliary_scale=8.0,
        ... )
        >>> trials = task.generate(4, Stream.named([0], "example"))
        >>> difference = trials.inputs.sum(dim=-2).diff(dim=-1).squeeze(-1)  # f2 - f1 over all pulse steps
        >>> torch.equal(trials.targets.sum(dim=-2).squeeze(-1).sign(), difference.sign())
        True
    """

    channels: int
    n_steps: int
    min_delay: int
    max_delay: int
    min_amplitude: int
    max_amplitude: int
    first_onset: int
    pulse_steps: int
    response_onset: int
    response_steps: int
    auxiliary_loss: bool
    auxiliary_scale: float

    def __post_init__(self) -> None:
        require_integer("task.channels", self.channels, 1)
        require_integer("task.n_steps", self.n_steps, 1)
        require_integer("task.min_delay", self.min_delay, 0)
        require_integer("task.max_delay", self.max_delay, self.min_delay)
        require_integer("task.min_amplitude", self.min_amplitude, 0)
        require_integer("task.max_amplitude", self.max_amplitude, self.min_amplitude + 1)
        require_integer("task.first_onset", self.first_onset, 0)
        require_integer("task.pulse_steps", self.pulse_steps, 1)
        require_integer("task.response_onset", self.response_onset, self.pulse_steps)
        require_integer("task.response_steps", self.response_steps, 1)
        require(
            isinstance(self.auxiliary_loss, bool), "task.auxiliary_loss", self.auxiliary_loss, "true or false"
        )
        require_number("task.auxiliary_scale", self.auxiliary_scale, above=0.0)
        needed = self._steps_for(self.max_delay)
        require(
            needed <= self.n_steps,
            "task.max_delay",
            self.max_delay,
            f"at most {self.max_delay - needed + self.n_steps} in a trial of {self.n_steps} steps "
            f"(or task.n_steps at least {needed})",
        )

    def _steps_for(self, max_delay: int) -> int:
        """Return the number of time steps of a trial with this delay."""
        return self.first_onset + self.pulse_steps + max_delay + self.response_onset + self.response_steps

    @property
    def n_inputs(self) -> int:
        return 2 * self.channels

    @property
    def n_outputs(self) -> int:
        return 2 * self.channels if self.auxiliary_loss else self.channels

    @property
    def variant(self) -> str:
        return f"{self.channels}ch-delay{self.max_delay}" + ("-auxiliary" if self.auxiliary_loss else "")

    def generate(self, n_trials: int, stream: Stream) -> Trials:
        delay = stream.integers(self.min_delay, self.max_delay, n_trials, 1)
        first = stream.integers(self.min_amplitude, self.max_amplitude, n_trials, self.channels)
        # Draw from one value less and shift values from f1 on by one: uniform over all values but f1.
        second = stream.integers(self.min_amplitude, self.max_amplitude - 1, n_trials, self.channels)
        second = second + (second >= first)
        return self.trials(first, second, delay, stream.dtype)

    def trials(self, first: Tensor, second: Tensor, delay: Tensor, dtype: torch.dtype) -> Trials:
        """Return trials with given amplitudes and delays.

        Args:
            first, second: integer amplitudes f1 and f2, (..., trials, C).
            delay: integer delays, (..., trials, 1).
            dtype: dtype of the returned arrays.
        """
        difference = (second - first).unsqueeze(-2).to(dtype)
        onset = self.first_onset + self.pulse_steps + delay
        first_pulse = self._window(torch.full_like(delay, self.first_onset), self.pulse_steps, dtype)
        second_pulse = self._window(onset, self.pulse_steps, dtype)
        response = self._window(onset + self.response_onset, self.response_steps, dtype)
        inputs = torch.cat((first_pulse * first.unsqueeze(-2), second_pulse * second.unsqueeze(-2)), dim=-1)
        targets = response * torch.sign(difference)
        if self.auxiliary_loss:
            targets = torch.cat((targets, response * difference / self.auxiliary_scale), dim=-1)
        return Trials(inputs, targets)

    def _window(self, onset: Tensor, length: int, dtype: torch.dtype) -> Tensor:
        return window(onset, length, self.n_steps, dtype)

    def ood(self) -> DelayedDiscrimination:
        """Return the task with delays twice as long, in longer trials if they do not fit."""
        longest = 2 * self.max_delay
        return dataclasses.replace(
            self,
            min_delay=2 * self.min_delay,
            max_delay=longest,
            n_steps=max(self.n_steps, self._steps_for(longest)),
        )

    def outside(self, trained: Task) -> DelayedDiscrimination:
        """Return the task with delays above the longest delay of `trained` only, if it has any."""
        assert isinstance(trained, DelayedDiscrimination)
        shortest = min(trained.max_delay + 1, self.max_delay)
        return dataclasses.replace(self, min_delay=max(self.min_delay, shortest))
