"""Long-run behavior of a recurrent network under constant input: rest, slow drift, cycles or neither."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[[Tensor], Tensor]
"""F, one time step of a network under constant input, from states (points, n) to states (points, n)."""

N_STEPS = 1000
"""Time steps after which a trajectory has reached its end [chosen]."""

N_RECURRENCE_STEPS = 500
"""Time steps within which a trajectory on a cycle returns [chosen]."""

_LEFT, _RETURNED = 0.5, 0.05
"""Fractions of its extent above which a trajectory has left its start, and below which it has returned."""


@dataclasses.dataclass(frozen=True)
class Ends:
    """States at the end of trajectories, and how they move on.

    Attributes:
        states: (points, n).
        extent: (points,), largest distance from the state in the next `N_RECURRENCE_STEPS` steps.
        period: (points,), steps after which the trajectory returns to the state, 0 if it does not.
    """

    states: Tensor
    extent: Tensor
    period: Tensor


def concatenate(*ends: Ends) -> Ends:
    """Return the ends of several sets of trajectories."""
    fields = [field.name for field in dataclasses.fields(Ends)]
    return Ends(*(torch.cat([getattr(part, name) for part in ends]) for name in fields))


def simulate(step: Step, states: Tensor, n_steps: int) -> Tensor:
    """Return the states (points, n) after a number of steps."""
    for _ in range(n_steps):
        states = step(states)
    return states


def compute_orbit(step: Step, state: Tensor) -> Tensor:
    """Return the next `N_RECURRENCE_STEPS` states (steps, n) from a state (n,)."""
    orbit = [state[None]]
    for _ in range(N_RECURRENCE_STEPS - 1):
        orbit.append(step(orbit[-1]))
    return torch.cat(orbit)


def find_ends(step: Step, states: Tensor) -> Ends:
    """Follow trajectories for `N_STEPS` steps, then detect whether they return.

    A trajectory returns if it first moves away by more than half of its extent, and then comes back to a
    twentieth of it. Trajectories on closed curves return, even if no multiple of the period is an integer.
    Trajectories that drift in one direction do not.

    Args:
        step: one time step.
        states: (points, n), initial states.

    Examples:
        A rotation by one tenth of a turn per step, with an attracting circle:

        >>> angle = torch.tensor(0.2 * torch.pi, dtype=torch.float64)
        >>> turn = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()]).view(2, 2)
        >>> def step(states):
        ...     return states @ turn / states.norm(dim=1, keepdim=True).sqrt()
        >>> find_ends(step, torch.tensor([[0.1, 0.0]], dtype=torch.float64)).period
        tensor([10])
    """
    ends = simulate(step, states, N_STEPS)
    distances, moving = [], ends
    for _ in range(N_RECURRENCE_STEPS):
        moving = step(moving)
        distances.append(torch.linalg.vector_norm(moving - ends, dim=1))
    distance = torch.stack(distances)
    extent = distance.max(dim=0).values
    has_left = (distance > _LEFT * extent).cumsum(dim=0) > 0
    returns = has_left & (distance <= _RETURNED * extent)
    period = torch.where(returns.any(dim=0), returns.int().argmax(dim=0) + 1, 0)
    return Ends(ends, extent, period)
