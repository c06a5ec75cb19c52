r"""Quasi-Newton maximization of f(C) = <A, C B C^T> + <L, C> on O(n), for many problems at once.

With :math:`M = C B C^\top`, :math:`N = L C^\top` and a step :math:`C \to e^\Omega C`, the gradient with
respect to the skew-symmetric matrix :math:`\Omega` is

.. math:: G = \mathrm{skew}(A M^\top - M^\top A + N) = [A_s, M_s] - [A_k, M_k] + \mathrm{skew}(N),

where s and k denote the symmetric and skew-symmetric parts. Three properties make a step cost five matrix
products:

- :math:`A_s` is diagonal (`eigenbasis`), so that its commutator takes no matrix product.
- :math:`e^\Omega` is replaced by :math:`1 + \Omega + \Omega^2 / 2`, which is orthogonal up to fourth order.
- M is rotated together with C instead of being recomputed. Both are corrected every few steps, since the
  orthogonality error increases f and would grow.

Directions are those of memoryless BFGS, preconditioned by the diagonal of the Hessian (`Point.evaluate`).
There is no line search. The fraction of the slope that remains at the end of a step determines the largest
length of the next step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from degen.metrics.dsa.objective import TINY, Objective, Point, inner, orthogonalize

_CORRECTION_INTERVAL = 20  # steps between corrections of C, each of which costs as much as a step
_MAX_ORTHOGONALITY_ERROR = 0.003  # trace of R^T R - 1 per max(n, 30) above which a step is rejected


def maximize(a: Tensor, b: Tensor, linear: Tensor | None, c: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    r"""Maximize :math:`f(C) = \langle A, C B C^\top \rangle + \langle L, C \rangle` from given matrices C.

    A step that decreases f, or is too long for the rotation to be orthogonal, is rejected. The curvature
    along a rejected step is still used.

    Args:
        a: A, (problems, n, n), with a diagonal symmetric part (`eigenbasis`). Off-diagonal entries of that
            part are ignored.
        b: B, (problems, n, n).
        linear: L, (problems, n, n), or None for zero.
        c: initial orthogonal matrices, (problems, n, n).
        steps: number of steps.

    Returns:
        C (problems, n, n) and f (problems,), which is never below its initial value.
    """
    c = c.contiguous()
    objective = Objective.from_matrices(a, b, linear)
    # Allocate all memory once: reallocation in each step would cost as much as a matrix product.
    buffer, decrease, step, direction = (torch.empty_like(c) for _ in range(4))
    point, candidate = Point.from_rotation(objective, c), Point.from_rotation(objective, c)
    initial_value = point.value.clone()
    max_radius = torch.full_like(initial_value, _max_step_length(c))
    radius = max_radius / 2
    length = _shorten(torch.div(point.gradient, point.curvature, out=step), radius)
    for index in range(steps):
        if index % _CORRECTION_INTERVAL == _CORRECTION_INTERVAL - 1:
            candidate.reorthogonalize(objective, point, buffer, decrease)
            point, candidate = candidate, point
        rejected, curvature, slope = _try_step(objective, point, candidate, step, buffer, decrease, direction)
        remaining = slope - curvature
        radius = _next_radius(remaining / slope.clamp(min=TINY), rejected, length, radius, max_radius)
        candidate.copy_from(point, rejected)
        point, candidate = candidate, point
        slope = torch.where(rejected, slope, remaining)
        _quasi_newton(point, step, decrease, curvature, slope, direction, buffer)
        length = _shorten(direction, radius)
        step, direction = direction, step
    return _final_or_initial(objective, point, c, initial_value)


def _try_step(
    objective: Objective,
    point: Point,
    candidate: Point,
    step: Tensor,
    buffer: Tensor,
    decrease: Tensor,
    direction: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Move `candidate` by `step` from `point`, and write the decrease of the gradient to `decrease`.

    The tensors `buffer` and `direction` are overwritten.

    Returns:
        Whether the step is rejected, the curvature along it, and the slope at its start, each (problems,).
    """
    max_error = _MAX_ORTHOGONALITY_ERROR * max(30, step.shape[-1])
    too_long = candidate.rotate(objective, point, step, buffer, decrease, direction) > max_error
    rejected = (candidate.value <= point.value) | too_long
    torch.sub(point.gradient, candidate.gradient, out=decrease)
    curvature, slope = inner(step, decrease, buffer), inner(step, point.gradient, buffer)
    return rejected, curvature, slope


def _final_or_initial(
    objective: Objective, point: Point, initial: Tensor, initial_value: Tensor
) -> tuple[Tensor, Tensor]:
    """Return C and f of the final points, or the initial C and f where f has decreased.

    The final C is orthogonalized first, because an orthogonality error increases f.
    """
    final = Point.from_rotation(objective, orthogonalize(point.c, 2))
    worse = final.value < initial_value
    rotation = torch.where(worse.view(-1, 1, 1), initial, final.c)
    return rotation, torch.where(worse, initial_value, final.value)


def _max_step_length(c: Tensor) -> float:
    """Return the Frobenius norm up to which a step that rotates many planes remains orthogonal.

    For a step of norm 0.5 that rotates a single plane, the singular values of R deviate from 1 by 0.002.
    """
    return max(0.5, 0.2 * c.shape[-1] ** 0.5)


def _next_radius(
    remaining: Tensor, rejected: Tensor, length: Tensor, radius: Tensor, max_radius: Tensor
) -> Tensor:
    """Compute the maximum length of the next step (problems,).

    The radius is doubled if much of the slope remains, and halved if the step overshot the maximum. After a
    rejected step it is the length at which a linear slope would vanish, between a tenth and half of the step.

    Args:
        remaining: slope at the end of the step, as a fraction of the slope at its start.
        rejected: whether the step is rejected.
        length: length of the step.
        radius: maximum length of the step.
        max_radius: upper bound of any radius.
    """
    grown = torch.where(
        remaining > 0.25, torch.minimum(torch.maximum(2 * length, radius), max_radius), radius
    )
    accepted = torch.where(remaining < 0, length / 2, grown)
    return torch.where(rejected, length * (1 / (1 - remaining)).clamp(0.1, 0.5), accepted)


def _quasi_newton(
    point: Point,
    step: Tensor,
    decrease: Tensor,
    curvature: Tensor,
    slope: Tensor,
    direction: Tensor,
    buffer: Tensor,
) -> None:
    """Write the memoryless BFGS direction at `point` to `direction`.

    The last step is ignored where the curvature along it is not positive up to rounding.

    Args:
        point: current point.
        step: last step, (problems, n, n).
        decrease: decrease of the gradient by the last step, (problems, n, n).
        curvature: curvature along the last step, (problems,).
        slope: slope at `point` along the last step, (problems,).
        direction: output, (problems, n, n).
        buffer: tensor of equal shape, which is overwritten.
    """
    smallest = torch.finfo(step.dtype).eps ** 2
    inverse = torch.where(curvature > smallest, 1 / curvature.clamp(min=smallest), 0.0)
    along = inverse * slope
    torch.addcmul(point.gradient, decrease, along.view(-1, 1, 1), value=-1, out=direction)
    direction.div_(point.curvature)
    correction = inverse * inner(decrease, direction, buffer)
    direction.addcmul_(step, (along - correction).view(-1, 1, 1))


def _shorten(step: Tensor, radius: Tensor) -> Tensor:
    """Scale steps in place to length at most `radius` (problems,), and return their lengths."""
    length = torch.linalg.vector_norm(step.flatten(1), dim=1).clamp_(min=TINY)
    step.mul_((radius / length).clamp_(max=1.0).view(-1, 1, 1))
    return torch.minimum(length, radius)
