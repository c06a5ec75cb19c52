"""Next-step prediction of the Lorenz-96 system (beyond the paper's four tasks; App. E of its version 3)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from degen.errors import require, require_integer, require_number
from degen.streams import Stream
from degen.tasks.base import Task, Trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lorenz96(Task):
    r"""The input is the state of the system, the target its state one step later.

    .. math:: \dot x_i = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F

    on a ring of sites (Lorenz 1996), integrated by the classical Runge-Kutta method of fourth order. States
    are divided by F, which makes them of order 1.

    Args:
        channels: number of sites, with as many inputs and outputs.
        n_steps: time steps per trial.
        forcing: F. The system is chaotic at 8 for most numbers of sites from 5 on.
        dt: time between steps, at most 0.1 and 0.8 / F.
        burn_in_steps: steps before a trial starts, from the fixed point x_i = F plus noise.
        initial_noise_std: standard deviation of that noise, at most 0.1 / dt.

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        >>> task = Lorenz96(
        ...     channels=8, n_steps=50, forcing=8.0, dt=0.05, burn_in_steps=100, initial_noise_std=1.0
        ... )
        >>> trials = task.generate(2, Stream.named([0], "example"))
        >>> trials.inputs.shape
        torch.Size([1, 2, 50, 8])
        >>> torch.equal(trials.targets[..., :-1, :], trials.inputs[..., 1:, :])  # the next state
        True
    """

    channels: int
    n_steps: int
    forcing: float
    dt: float
    burn_in_steps: int
    initial_noise_std: float

    def __post_init__(self) -> None:
        require_integer("task.channels", self.channels, 4)
        require_integer("task.n_steps", self.n_steps, 1)
        require_number("task.forcing", self.forcing, above=0.0)
        require_number("task.dt", self.dt, above=0.0, maximum=0.1)
        # In simulations of 1,000 trials with F = 8 to 200, all were stable at F * dt = 0.8, and not at 1.
        stable = min(0.1, 0.8 / self.forcing)
        allowed = (
            f"at most {stable:g} where task.forcing is {self.forcing:g}, for the integration to be stable"
        )
        require(self.dt <= stable, "task.dt", self.dt, allowed)
        require_integer("task.burn_in_steps", self.burn_in_steps, 0)
        # More noise makes the integration of some trials unstable (1 in 10,000 at F = 100 and the limit).
        require_number("task.initial_noise_std", self.initial_noise_std, above=0.0, maximum=0.1 / self.dt)

    @property
    def n_inputs(self) -> int:
        return self.channels

    @property
    def n_outputs(self) -> int:
        return self.channels

    @property
    def variant(self) -> str:
        return f"{self.channels}sites"

    def generate(self, n_trials: int, stream: Stream) -> Trials:
        state = self.forcing + self.initial_noise_std * stream.normal(n_trials, self.channels)
        for _ in range(self.burn_in_steps):
            state = self._advance(state)
        states = [state]
        for _ in range(self.n_steps):
            states.append(self._advance(states[-1]))
        scaled = torch.stack(states, dim=-2) / self.forcing  # (..., trials, n_steps + 1, sites)
        return Trials(scaled[..., :-1, :].contiguous(), scaled[..., 1:, :].contiguous())

    def _advance(self, state: Tensor) -> Tensor:
        """Return states (..., sites) after one Runge-Kutta step."""
        half = self.dt / 2
        first = self._velocity(state)
        second = self._velocity(state + half * first)
        third = self._velocity(state + half * second)
        fourth = self._velocity(state + self.dt * third)
        return state + self.dt / 6 * (first + 2 * second + 2 * third + fourth)

    def _velocity(self, state: Tensor) -> Tensor:
        after, before, two_before = (state.roll(shift, dims=-1) for shift in (-1, 1, 2))
        return (after - two_before) * before - state + self.forcing

    def ood(self) -> Lorenz96:
        """Return the task with trials twice as long."""
        return dataclasses.replace(self, n_steps=2 * self.n_steps)
