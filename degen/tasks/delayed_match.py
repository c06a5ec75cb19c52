"""Delayed match to sample: report whether a test stimulus equals an earlier sample."""

from __future__ import annotations

import dataclasses

import torch

from degen.errors import require, require_integer, require_number
from degen.streams import Stream
from degen.tasks.base import Task, Trials
from degen.tasks.windows import window


@dataclasses.dataclass(frozen=True, kw_only=True)
class DelayedMatch(Task):
    """A sample item, a delay, and a test item, which is the sample in half of the trials.

    Each item has an input of its own. The target is +1 for a match and -1 otherwise in the response window
    that follows the test, and 0 before it.

    Args:
        n_items: number of items and inputs.
        amplitude: input of the item that is shown.
        n_steps: time steps per trial.
        sample_onset: step at which the sample starts.
        pulse_steps: duration of the sample and of the test.
        min_delay, max_delay: steps from the end of the sample to the start of the test, both included.
        response_steps: duration of the response window, from the end of the test on.

    Raises:
        BadInputError: an argument is out of its range, or the longest delay does not fit the trial.

    Examples:
        >>> task = DelayedMatch(
        ...     n_items=2, amplitude=1.0, n_steps=12, sample_onset=1, pulse_steps=2, min_delay=3, max_delay=3,
        ...     response_steps=4,
        ... )
        >>> trials = task.generate(1, Stream.named([0], "example"))
        >>> trials.inputs.sum(dim=-1).flatten().int().tolist()
        [0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0]
        >>> trials.targets.flatten().int().tolist()
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
    """

    n_items: int
    amplitude: float
    n_steps: int
    sample_onset: int
    pulse_steps: int
    min_delay: int
    max_delay: int
    response_steps: int

    n_outputs = 1

    def __post_init__(self) -> None:
        require_integer("task.n_items", self.n_items, 2)
        require_number("task.amplitude", self.amplitude, above=0.0)
        require_integer("task.n_steps", self.n_steps, 1)
        require_integer("task.sample_onset", self.sample_onset, 0)
        require_integer("task.pulse_steps", self.pulse_steps, 1)
        require_integer("task.min_delay", self.min_delay, 0)
        require_integer("task.max_delay", self.max_delay, self.min_delay)
        require_integer("task.response_steps", self.response_steps, 1)
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
        return self.sample_onset + 2 * self.pulse_steps + max_delay + self.response_steps

    @property
    def n_inputs(self) -> int:
        return self.n_items

    @property
    def variant(self) -> str:
        return f"{self.n_items}items-delay{self.max_delay}"

    def generate(self, n_trials: int, stream: Stream) -> Trials:
        delay = stream.integers(self.min_delay, self.max_delay, n_trials, 1)
        sample = stream.integers(0, self.n_items - 1, n_trials, 1)
        is_match = stream.integers(0, 1, n_trials, 1)
        other = (sample + stream.integers(1, self.n_items - 1, n_trials, 1)) % self.n_items
        test = torch.where(is_match == 1, sample, other)
        test_onset = self.sample_onset + self.pulse_steps + delay
        items = torch.arange(self.n_items, device=stream.device)
        pulses = [
            window(onset, self.pulse_steps, self.n_steps, stream.dtype) * (item == items).unsqueeze(-2)
            for onset, item in ((torch.full_like(delay, self.sample_onset), sample), (test_onset, test))
        ]
        response = window(test_onset + self.pulse_steps, self.response_steps, self.n_steps, stream.dtype)
        targets = response * (2 * is_match - 1).to(stream.dtype).unsqueeze(-1)
        return Trials(self.amplitude * (pulses[0] + pulses[1]), targets)

    def ood(self) -> DelayedMatch:
        """Return the task with delays twice as long, in longer trials if they do not fit."""
        longest = 2 * self.max_delay
        n_steps = max(self.n_steps, self._steps_for(longest))
        return dataclasses.replace(self, min_delay=2 * self.min_delay, max_delay=longest, n_steps=n_steps)
