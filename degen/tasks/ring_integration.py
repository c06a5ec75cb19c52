"""Ring integration: track an angle from its velocity."""

from __future__ import annotations

import dataclasses
import math

import torch

from degen.errors import require_integer, require_number
from degen.streams import Stream
from degen.tasks.base import Task, Trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class RingIntegration(Task):
    """Channels whose input is an angular velocity; the targets are the sine and cosine of the angle.

    Each velocity is an autoregressive process of first order. The inputs are velocities divided by their
    standard deviation. All angles start at 0. The task asks for a ring attractor per channel, as
    head-direction circuits have (for example Cueva & Wei 2018, ICLR).

    Args:
        channels: number C of angles, with C inputs and 2C outputs: all sines, then all cosines.
        n_steps: time steps per trial.
        velocity_std: stationary standard deviation of the velocity, in radians per step.
        correlation_steps: steps after which the autocorrelation of the velocity has fallen to 1/e.

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        >>> task = RingIntegration(channels=1, n_steps=50, velocity_std=0.2, correlation_steps=10.0)
        >>> trials = task.generate(8, Stream.named([0], "example", dtype=torch.float64))
        >>> angle = 0.2 * trials.inputs.cumsum(dim=-2)
        >>> torch.allclose(trials.targets, torch.cat((angle.sin(), angle.cos()), dim=-1))
        True
    """

    channels: int
    n_steps: int
    velocity_std: float
    correlation_steps: float

    def __post_init__(self) -> None:
        require_integer("task.channels", self.channels, 1)
        require_integer("task.n_steps", self.n_steps, 1)
        require_number("task.velocity_std", self.velocity_std, above=0.0)
        require_number("task.correlation_steps", self.correlation_steps, above=0.0)

    @property
    def n_inputs(self) -> int:
        return self.channels

    @property
    def n_outputs(self) -> int:
        return 2 * self.channels

    @property
    def variant(self) -> str:
        return f"{self.channels}ring"

    def generate(self, n_trials: int, stream: Stream) -> Trials:
        remaining = math.exp(-1 / self.correlation_steps)
        velocity = stream.normal(n_trials, self.channels)
        innovations = stream.normal(n_trials, self.n_steps, self.channels) * math.sqrt(1 - remaining**2)
        velocities = []
        for t in range(self.n_steps):
            velocities.append(velocity)
            velocity = remaining * velocity + innovations[..., t, :]
        inputs = torch.stack(velocities, dim=-2)
        angle = self.velocity_std * inputs.cumsum(dim=-2)
        return Trials(inputs, torch.cat((angle.sin(), angle.cos()), dim=-1))

    def ood(self) -> RingIntegration:
        """Return the task with trials twice as long."""
        return dataclasses.replace(self, n_steps=2 * self.n_steps)
