"""Fixed and slow points of a recurrent network under a constant input, with their stability (Fig. 4C)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jacfwd, vmap

from degen.errors import require, require_integer, require_number
from degen.metrics.arrays import Array, to_tensor

_RAISED, _LOWERED = 4.0, 0.25  # factors of the damping after a step taken back, and after a good one


@dataclasses.dataclass(frozen=True)
class FixedPoints:
    """Distinct minima of the speed, or slow points on the way there, slowest first.

    Attributes:
        states: (points, n).
        start: (points,), the index of the start that each was reached from.
        speed: (points,), q = ||F(h) - h||^2 / 2.
        eigenvalues: (points, n), complex, of the Jacobian of F at each point, largest modulus first.
        stable: (points,), whether all eigenvalues lie inside the unit circle.
    """

    states: Tensor
    start: Tensor
    speed: Tensor
    eigenvalues: Tensor
    stable: Tensor


def fixed_points(
    step: Callable[[Tensor], Tensor],
    starts: Array,
    *,
    slowest: float = 1e-10,
    stop: float = 0.0,
    apart: float = 1e-2,
    iterations: int = 100,
) -> FixedPoints:
    r"""Minimize the speed from many states at once (Sussillo & Barak 2013, Neural Computation).

    .. math:: q(h) = \tfrac12 \|F(h) - h\|^2

    by Levenberg-Marquardt steps with the exact Jacobian: quadratic convergence at a fixed point, and no step
    is kept that raises q. Where to stop decides what is found: from a line attractor that is not perfect
    the minima of q lie far along the line, while the first states on the way with q below a tolerance lie on
    it, since directions in which q is steep are descended first.

    Args:
        step: F, from states (points, n) to states (points, n), rows independent; plain torch operations.
        starts: (points, n), such as states visited on trials.
        slowest: points with a larger q are left out; a looser bound lets slow points in.
        stop: a state whose q is at or below this is left where it is; 0 descends to the minima. At most
            `slowest`; the same value as there gives slow points.
        apart: points nearer to each other than this, relative to 1 plus the norm of the state, are one.
        iterations: at most.

    Returns:
        The distinct points; none may be left.

    Raises:
        BadInputError: starts are not finite or not of 2 axes, or a number is out of range.
    """
    states = to_tensor("starts", starts, 2)
    require_number("slowest", slowest, above=0.0)
    require_number("stop", stop, minimum=0.0)
    require(stop <= slowest, "stop", stop, f"at most slowest = {slowest:g}")
    require_number("apart", apart, minimum=0.0)
    require_integer("iterations", iterations, 1)
    states, speed = _descend(step, states, stop, iterations)
    start = _distinct(states, speed, slowest, apart)
    states, speed = states[start], speed[start]
    values = torch.linalg.eigvals(_jacobian(step, states))
    order = values.abs().argsort(dim=1, descending=True)
    values = values.gather(1, order)
    return FixedPoints(states, start, speed, values, (values.abs() < 1).all(dim=1))


def _jacobian(step: Callable[[Tensor], Tensor], states: Tensor) -> Tensor:
    """(points, n, n)."""
    return vmap(jacfwd(lambda state: step(state.unsqueeze(0)).squeeze(0)))(states)


def _descend(
    step: Callable[[Tensor], Tensor], states: Tensor, stop: float, iterations: int
) -> tuple[Tensor, Tensor]:
    eye = torch.eye(states.shape[1], dtype=states.dtype, device=states.device)
    damping = torch.ones(len(states), 1, 1, dtype=states.dtype, device=states.device)
    velocity = step(states) - states
    speed = velocity.square().sum(dim=1) / 2
    for _ in range(iterations):
        if bool((speed <= stop).all()):
            break
        slope = _jacobian(step, states) - eye
        normal = slope.mT @ slope + damping * eye
        change = torch.linalg.solve(normal, slope.mT @ velocity.unsqueeze(-1)).squeeze(-1)
        tried = states - change
        tried_velocity = step(tried) - tried
        tried_speed = tried_velocity.square().sum(dim=1) / 2
        taken = (tried_speed < speed) & (speed > stop)
        states = torch.where(taken.unsqueeze(1), tried, states)
        velocity = torch.where(taken.unsqueeze(1), tried_velocity, velocity)
        speed = torch.where(taken, tried_speed, speed)
        factor = torch.where(taken, _LOWERED, _RAISED).to(damping).view(-1, 1, 1)
        damping = (damping * factor).clamp(1e-12, 1e6)
    return states, speed


def _distinct(states: Tensor, speed: Tensor, slowest: float, apart: float) -> Tensor:
    """The indices of the slowest of each group of points that are near to each other."""
    kept: list[int] = []
    for index in speed.argsort(stable=True).tolist():
        # NaN is last, and no fixed point.
        if not speed[index] <= slowest:
            break
        distance = torch.linalg.vector_norm(states[kept] - states[index], dim=1)
        if bool((distance > apart * (1 + torch.linalg.vector_norm(states[index]))).all()):
            kept.append(index)
    return torch.tensor(kept, dtype=torch.long, device=states.device)
