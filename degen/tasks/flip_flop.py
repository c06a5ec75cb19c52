"""N-bit flip-flop: remember the last pulse of each channel (section 2.2 and App. A.1 of the paper)."""

from __future__ import annotations

import dataclasses

import torch

from degen.errors import require_integer, require_number
from degen.streams import Stream
from degen.tasks.base import Task, Trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlipFlop(Task):
    """Channels with occasional pulses of +1 or -1; the target is the last pulse, or 0 before the first.

    Args:
        channels: number of bits C, with C inputs and C outputs.
        n_steps: time steps per trial.
        pulse_probability: probability of a pulse of either sign, per channel and step.

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        >>> task = FlipFlop(channels=1, n_steps=8, pulse_probability=0.5)
        >>> trials = task.generate(1, Stream.named([0], "example"))
        >>> trials.inputs.flatten().int().tolist()
        [0, 0, 1, 0, 1, 0, -1, 0]
        >>> trials.targets.flatten().int().tolist()
        [0, 0, 1, 1, 1, 1, -1, -1]
    """

    channels: int
    n_steps: int
    pulse_probability: float

    def __post_init__(self) -> None:
        require_integer("task.channels", self.channels, 1)
        require_integer("task.n_steps", self.n_steps, 1)
        require_number("task.pulse_probability", self.pulse_probability, above=0.0, maximum=1.0)

    @property
    def n_inputs(self) -> int:
        return self.channels

    @property
    def n_outputs(self) -> int:
        return self.channels

    @property
    def variant(self) -> str:
        return f"{self.channels}bit"

    def generate(self, n_trials: int, stream: Stream) -> Trials:
        chance = stream.uniform(n_trials, self.n_steps, self.channels)
        up = chance < self.pulse_probability / 2
        pulse = chance < self.pulse_probability
        inputs = up.to(stream.dtype) * 2 - pulse.to(stream.dtype)
        # The last pulse has the largest code 2 t + (sign > 0) so far. The parity of the code is the sign.
        time = torch.arange(1, self.n_steps + 1, device=stream.device, dtype=stream.dtype).unsqueeze(-1)
        code = torch.where(pulse, 2 * time + up, torch.zeros((), dtype=stream.dtype, device=stream.device))
        last = code.cummax(dim=-2).values
        targets = torch.where(last > 0, (last % 2) * 2 - 1, last)
        return Trials(inputs, targets)

    def ood(self) -> FlipFlop:
        """Return the task with trials twice as long."""
        return dataclasses.replace(self, n_steps=2 * self.n_steps)
