"""Path integration: track a position from heading and speed (section 2.2 and App. A.4 of the paper)."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from degen.errors import require_choice, require_integer, require_number
from degen.streams import Stream
from degen.tasks.base import Task, Trials

HEADINGS = ("angle", "unit_vector", "velocity")
STARTS = ("displacement", "pulse", "constant", "hidden_state")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PathIntegration(Task):
    """A random walk in a box with reflecting walls, in two or three dimensions.

    The input is the heading after reflection, so a trial's displacement is exactly the sum of speed times
    heading. Walking and standing alternate as a Markov chain with the given mean durations, started from its
    stationary distribution.

    Args:
        dimensions: 2 or 3, with as many outputs.
        n_steps: time steps per trial.
        heading: encoding of the heading. `angle`: azimuth (and elevation) in radians, and the speed;
            `unit_vector`: components of a unit vector, and the speed; `velocity`: components of the velocity.
        start: encoding of the start position. `displacement`: none, the target is the displacement from the
            start; `pulse`: extra inputs at the first step; `constant`: extra inputs at every step;
            `hidden_state`: a learned linear map to the initial hidden state.
        box_size: side of the arena, centered at 0.
        max_speed: distance per step.
        speed_std, heading_std: standard deviations of the increments per step (heading in radians).
        input_noise_std: standard deviation of the noise on the heading and speed inputs.
        mean_stop, mean_go: mean durations of standing and walking, in steps.

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        >>> task = PathIntegration(
        ...     dimensions=2, n_steps=50, heading="velocity", start="displacement", box_size=10.0,
        ...     max_speed=0.4, speed_std=0.1, heading_std=0.3, input_noise_std=0.0, mean_stop=30.0,
        ...     mean_go=50.0,
        ... )
        >>> trials = task.generate(2, Stream.named([0], "example"))
        >>> steps_sum = trials.inputs.cumsum(dim=-2)  # velocities, summed over time
        >>> torch.allclose(steps_sum, trials.targets, atol=1e-5)
        True
    """

    dimensions: int
    n_steps: int
    heading: str
    start: str
    box_size: float
    max_speed: float
    speed_std: float
    heading_std: float
    input_noise_std: float
    mean_stop: float
    mean_go: float

    def __post_init__(self) -> None:
        require_integer("task.dimensions", self.dimensions, 2)
        require_choice("task.dimensions", self.dimensions, (2, 3))
        require_integer("task.n_steps", self.n_steps, 1)
        require_choice("task.heading", self.heading, HEADINGS)
        require_choice("task.start", self.start, STARTS)
        require_number("task.max_speed", self.max_speed, above=0.0)
        # A step that is reflected at a wall must not reach the opposite wall.
        require_number("task.box_size", self.box_size, minimum=2 * self.max_speed)
        require_number("task.speed_std", self.speed_std, minimum=0.0)
        require_number("task.heading_std", self.heading_std, minimum=0.0)
        require_number("task.input_noise_std", self.input_noise_std, minimum=0.0)
        require_number("task.mean_stop", self.mean_stop, minimum=1.0)
        require_number("task.mean_go", self.mean_go, minimum=1.0)

    @property
    def n_inputs(self) -> int:
        n_heading = self.dimensions + 1 if self.heading == "unit_vector" else self.dimensions
        return n_heading + (self.dimensions if self.start in ("pulse", "constant") else 0)

    @property
    def n_outputs(self) -> int:
        return self.dimensions

    @property
    def n_start(self) -> int:
        return self.dimensions if self.start == "hidden_state" else 0

    @property
    def variant(self) -> str:
        return f"{self.dimensions}d-{self.heading}-{self.start}".replace("_", "")

    def generate(self, n_trials: int, stream: Stream) -> Trials:
        origin = stream.uniform(n_trials, self.dimensions, low=-self.box_size / 2, high=self.box_size / 2)
        speed = self._speeds(n_trials, stream)
        angles, position = self._walk(origin, speed, stream)
        inputs = self._heading_inputs(angles, speed)
        inputs = inputs + self.input_noise_std * stream.normal(*inputs.shape[-3:])
        position = _units_last(position)
        start = origin.unsqueeze(-2).expand(position.shape)
        if self.start == "displacement":
            return Trials(inputs, position - start)
        if self.start == "hidden_state":
            return Trials(inputs, position, start=origin)
        if self.start == "pulse":
            start = start * (torch.arange(self.n_steps, device=stream.device) == 0).unsqueeze(-1)
        return Trials(torch.cat((inputs, start), dim=-1), position)

    def _speeds(self, n_trials: int, stream: Stream) -> Tensor:
        """Draw the speed at each step, 0 while standing: (..., trials, time)."""
        switch = stream.uniform(n_trials, self.n_steps)
        increments = _unbind_time(self.speed_std * stream.normal(n_trials, self.n_steps))
        pace = stream.uniform(n_trials, high=self.max_speed)
        going = stream.uniform(n_trials) < self.mean_go / (self.mean_go + self.mean_stop)
        keeps_going = _unbind_time(switch >= torch.full((), 1 / self.mean_go, device=stream.device))
        starts = _unbind_time(switch < torch.full((), 1 / self.mean_stop, device=stream.device))
        paces, goings = [], []
        for t in range(self.n_steps):
            paces.append(pace)
            goings.append(going)
            pace = (pace + increments[t]).clamp_(0.0, self.max_speed)
            going = torch.where(going, keeps_going[t], starts[t])
        return torch.stack(paces, dim=-1) * torch.stack(goings, dim=-1)

    def _walk(self, origin: Tensor, speed: Tensor, stream: Stream) -> tuple[Tensor, Tensor]:
        """Draw angles (dimensions - 1, ..., trials, time) and positions (dimensions, ..., trials, time)."""
        n_trials = origin.shape[-2]
        turns = self.heading_std * stream.normal(n_trials, self.n_steps, self.dimensions - 1)
        angle = stream.uniform(n_trials, self.dimensions - 1, low=-math.pi, high=math.pi)
        angle[..., 1:] /= 2  # the elevation, between -pi/2 and pi/2
        angle, current = _units_first(angle), _units_first(origin)
        turn, pace = _unbind_time(_units_first(turns)), _unbind_time(speed)
        angles, positions = [], []
        for t in range(self.n_steps):
            proposed = current + pace[t] * self._direction(angle)
            angle = self._reflect(angle, proposed.abs_() > self.box_size / 2)
            current = current + pace[t] * self._direction(angle)
            angles.append(angle)
            positions.append(current)
            angle = self._wrap(angle + turn[t])
        return torch.stack(angles, dim=-1), torch.stack(positions, dim=-1)

    def _direction(self, angle: Tensor) -> Tensor:
        """Return unit vectors (dimensions, ...) of azimuths and, in 3D, elevations (dimensions - 1, ...)."""
        azimuth = angle[0]
        if self.dimensions == 2:
            return torch.stack((azimuth.cos(), azimuth.sin()))
        level, elevation = angle[1].cos(), angle[1]
        return torch.stack((level * azimuth.cos(), level * azimuth.sin(), elevation.sin()))

    def _reflect(self, angle: Tensor, hit: Tensor) -> Tensor:
        """Return the angles after reflection at the walls for which `hit` (dimensions, ...) is True."""
        azimuth = torch.where(hit[1], -angle[0], angle[0])
        # pi - azimuth, kept within [-pi, pi]
        opposite = torch.copysign(azimuth.new_full((), math.pi), azimuth).sub_(azimuth)
        azimuth = torch.where(hit[0], opposite, azimuth)
        if self.dimensions == 2:
            return azimuth.unsqueeze(0)
        return torch.stack((azimuth, torch.where(hit[2], -angle[1], angle[1])))

    def _wrap(self, angle: Tensor) -> Tensor:
        """Return the angles within their ranges: wrap the azimuth, clamp the elevation at the poles."""
        azimuth = torch.remainder(angle[:1] + math.pi, 2 * math.pi).sub_(math.pi)
        if self.dimensions == 2:
            return azimuth
        return torch.cat((azimuth, angle[1:].clamp(-math.pi / 2, math.pi / 2)))

    def _heading_inputs(self, angles: Tensor, speed: Tensor) -> Tensor:
        """Return the inputs that encode heading and speed: (..., trials, time, units)."""
        if self.heading == "angle":
            inputs = torch.cat((angles, speed.unsqueeze(0)))
        elif self.heading == "unit_vector":
            inputs = torch.cat((self._direction(angles), speed.unsqueeze(0)))
        else:
            inputs = speed * self._direction(angles)
        return _units_last(inputs)

    def ood(self) -> PathIntegration:
        """Return the task with trials twice as long."""
        return dataclasses.replace(self, n_steps=2 * self.n_steps)


def _units_first(array: Tensor) -> Tensor:
    """Move units first, (..., units) to (units, ...), contiguous in memory."""
    return array.movedim(-1, 0).contiguous()


def _units_last(array: Tensor) -> Tensor:
    """Move units last, (units, ...) to (..., units), contiguous in memory."""
    return array.movedim(0, -1).contiguous()


def _unbind_time(array: Tensor) -> tuple[Tensor, ...]:
    """Return each time step (...) of (..., time), contiguous in memory."""
    return array.movedim(-1, 0).contiguous().unbind(0)
