"""Fixed and slow points of a recurrent network under constant input, with their stability (Fig. 4C)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.func import jacfwd, vmap

from degen.errors import BadInputError, require, require_integer, require_number
from degen.metrics.arrays import Array, to_tensor

_DAMPING_INCREASE, _DAMPING_DECREASE = 4.0, 0.25  # factors after a rejected and after an accepted step


@dataclasses.dataclass(frozen=True)
class FixedPoints:
    """Distinct fixed or slow points, sorted by speed with the slowest first.

    Attributes:
        states: (points, n), hidden states.
        start: (points,), index of the initial state from which each point was reached.
        speed: (points,), q = ||F(h) - h||^2 / 2, in squared units of the states.
        eigenvalues: (points, n), complex eigenvalues of the Jacobian of F at each point, largest modulus
            first.
        stable: (points,), true where all eigenvalues lie inside the unit circle.
    """

    states: Tensor
    start: Tensor
    speed: Tensor
    eigenvalues: Tensor
    stable: Tensor


def fixed_points(
    step: Callable[[Tensor], Tensor],
    initial_states: Array,
    *,
    max_speed: float = 1e-10,
    stop_speed: float = 0.0,
    min_distance: float = 1e-2,
    max_iterations: int = 100,
) -> FixedPoints:
    r"""Minimize the speed from many initial states in parallel (Sussillo & Barak 2013, Neural Computation).

    .. math:: q(h) = \tfrac12 \|F(h) - h\|^2

    The optimizer is Levenberg-Marquardt with the exact Jacobian. It converges quadratically at a fixed point
    and rejects steps that increase q.

    The stopping speed selects between fixed points and slow points. The minima of q along an imperfect line
    attractor may lie far from the initial states. With `stop_speed` equal to `max_speed`, each state stops at
    the first slow state on its path, which lies on the line near the initial state: the descent reduces
    directions of steep q first.

    Args:
        step: F, one time step of the network, from states (points, n) to states (points, n). It treats rows
            independently and consists of torch operations.
        initial_states: (points, n), for example states visited on trials.
        max_speed: largest q of the returned points.
        stop_speed: q at or below which a state is not moved further, at most `max_speed`. With 0 the states
            descend to the minima.
        min_distance: smallest distance between two returned points, relative to 1 plus the norm of the state.
        max_iterations: maximum number of optimizer steps.

    Returns:
        The distinct points, possibly none.

    Raises:
        BadInputError: initial states that are not finite or not of 2 axes, a step that does not take float64
            states, or a number out of range.

    Examples:
        >>> initial_states = torch.tensor([[-1.0], [0.1], [1.0], [1.1]])
        >>> points = fixed_points(lambda h: torch.tanh(2 * h), initial_states)
        >>> points.states.squeeze(1).sort().values.numpy().round(4)
        array([-0.9575,  0.    ,  0.9575])
        >>> int(points.stable.sum())
        2
    """
    states = to_tensor("initial_states", initial_states, 2)
    require_number("max_speed", max_speed, above=0.0)
    require_number("stop_speed", stop_speed, minimum=0.0)
    require(stop_speed <= max_speed, "stop_speed", stop_speed, f"at most max_speed = {max_speed:g}")
    require_number("min_distance", min_distance, minimum=0.0)
    require_integer("max_iterations", max_iterations, 1)
    _require_float64(step, states)
    states, speed = _minimize_speed(step, states, stop_speed, max_iterations)
    start = _distinct_points(states, speed, max_speed, min_distance)
    states, speed = states[start], speed[start]
    # torch's eigvals fails to converge for some Jacobians with many equal eigenvalues.
    jacobians = jacobian(step, states)
    eigenvalues = torch.from_numpy(np.linalg.eigvals(jacobians.cpu().numpy()).astype(np.complex128))
    eigenvalues = eigenvalues.to(jacobians.device)
    order = eigenvalues.abs().argsort(dim=1, descending=True)
    eigenvalues = eigenvalues.gather(1, order)
    return FixedPoints(states, start, speed, eigenvalues, (eigenvalues.abs() < 1).all(dim=1))


def _require_float64(step: Callable[[Tensor], Tensor], states: Tensor) -> None:
    """Raise `BadInputError` unless `step` maps float64 states (points, n) to float64 states of that shape."""
    allowed = "a function of float64 states; convert a network's weights with .double()"
    try:
        result = step(states[:1])
    except RuntimeError as error:
        if "dtype" not in str(error) and "scalar type" not in str(error):
            raise
        raise BadInputError(f"step must be {allowed}, got {str(error).partition(chr(10))[0]!r}.") from error
    require(result.dtype == torch.float64, "step", f"states of {result.dtype}", allowed)
    require(result.shape == states[:1].shape, "step", tuple(result.shape), "a map to states of equal shape")


def jacobian(step: Callable[[Tensor], Tensor], states: Tensor) -> Tensor:
    """Compute the Jacobian of `step` at each state: (points, n, n)."""
    return vmap(jacfwd(lambda state: step(state.unsqueeze(0)).squeeze(0)))(states)


def _minimize_speed(
    step: Callable[[Tensor], Tensor], states: Tensor, stop_speed: float, max_iterations: int
) -> tuple[Tensor, Tensor]:
    """Run Levenberg-Marquardt; return the final states (points, n) and their q (points,)."""
    eye = torch.eye(states.shape[1], dtype=states.dtype, device=states.device)
    damping = torch.ones(len(states), 1, 1, dtype=states.dtype, device=states.device)
    velocity = step(states) - states
    speed = velocity.square().sum(dim=1) / 2
    for _ in range(max_iterations):
        if bool((speed <= stop_speed).all()):
            break
        slope = jacobian(step, states) - eye
        normal = slope.mT @ slope + damping * eye
        change = torch.linalg.solve(normal, slope.mT @ velocity.unsqueeze(-1)).squeeze(-1)
        candidate = states - change
        candidate_velocity = step(candidate) - candidate
        candidate_speed = candidate_velocity.square().sum(dim=1) / 2
        accepted = (candidate_speed < speed) & (speed > stop_speed)
        states = torch.where(accepted.unsqueeze(1), candidate, states)
        velocity = torch.where(accepted.unsqueeze(1), candidate_velocity, velocity)
        speed = torch.where(accepted, candidate_speed, speed)
        factor = torch.where(accepted, _DAMPING_DECREASE, _DAMPING_INCREASE).to(damping).view(-1, 1, 1)
        damping = (damping * factor).clamp(1e-12, 1e6)
    return states, speed


def _distinct_points(states: Tensor, speed: Tensor, max_speed: float, min_distance: float) -> Tensor:
    """Return the index of the slowest point of each cluster, sorted by speed."""
    indices: list[int] = []
    for index in speed.argsort(stable=True).tolist():
        # The negation also rejects NaN, which sorts last.
        if not speed[index] <= max_speed:
            break
        distance = torch.linalg.vector_norm(states[indices] - states[index], dim=1)
        if bool((distance > min_distance * (1 + torch.linalg.vector_norm(states[index]))).all()):
            indices.append(index)
    return torch.tensor(indices, dtype=torch.long, device=states.device)
