"""Conjugate gradients on O(n) for <A, C B C^T> + <L, C>, for any number of problems at once."""

from __future__ import annotations

import torch
from torch import Tensor

_LONGEST_ROTATION = 0.7  # radians, bound of the spectral norm of a step: the retraction is accurate below it
_TINY = 1e-30


def inner(x: Tensor, y: Tensor) -> Tensor:
    """Frobenius inner products of stacked matrices."""
    return (x * y).sum(dim=(-2, -1))


def overlap(a: Tensor, b: Tensor, linear: Tensor, c: Tensor) -> Tensor:
    """<A, C B C^T> + <L, C>."""
    return inner(a, c @ b @ c.mT) + inner(linear, c)


def orthogonalize(c: Tensor, steps: int = 1) -> Tensor:
    """Newton-Schulz steps towards the nearest orthogonal matrix; the error of each is squared."""
    for _ in range(steps):
        c = 1.5 * c - 0.5 * c @ (c.mT @ c)
    return c


def climb(a: Tensor, b: Tensor, linear: Tensor, c: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    r"""Ascend :math:`f(C) = \langle A, C B C^\top \rangle + \langle L, C \rangle`.

    Riemannian conjugate gradients. With :math:`M = C B C^\top`, :math:`N = L C^\top` and
    :math:`C \to e^\Omega C`, :math:`\Omega` skew-symmetric, gradient and curvature are

    .. math:: G = \mathrm{skew}(A M^\top - M^\top A + N), \quad
        \tfrac{d^2 f}{dt^2} = -\langle [\Omega, A], [\Omega, M] \rangle + \langle N, \Omega^2 \rangle ,

    so that the step along a direction is Newton's. A step that descends is taken back and the next one is
    shorter. Directions: Polak & Ribiere, restarted where they would descend.

    Args:
        a, b, linear, c: A, B, L and where to begin, (problems, n, n), c orthogonal.
        steps: how many.

    Returns:
        C (problems, n, n) and f (problems,), never below where they began.
    """
    point = _Point.at(a, b, linear, c)
    direction = point.gradient
    radius = torch.full_like(point.value, _LONGEST_ROTATION)
    for _ in range(steps):
        moved = _Point.at(a, b, linear, _step(a, point, direction, radius))
        better = moved.value > point.value
        radius = torch.where(better, (2 * radius).clamp(max=_LONGEST_ROTATION), radius / 4)
        point, direction = _next(point, moved, direction, better)
    return point.c, point.value


class _Point:
    """Where the ascents are: C, M = C B C^T, N = L C^T, the gradient and f."""

    def __init__(self, c: Tensor, image: Tensor, pull: Tensor, gradient: Tensor, value: Tensor):
        self.c, self.image, self.pull, self.gradient, self.value = c, image, pull, gradient, value

    @classmethod
    def at(cls, a: Tensor, b: Tensor, linear: Tensor, c: Tensor) -> _Point:
        image, pull = c @ b @ c.mT, linear @ c.mT
        product = a @ image.mT + pull
        difference = product - image.mT @ a
        value = product.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
        return cls(c, image, pull, (difference - difference.mT) / 2, value)

    def replaced(self, other: _Point, where: Tensor) -> _Point:
        """The other point where `where` (problems,) is true."""
        mask = where.view(-1, 1, 1)
        return _Point(
            torch.where(mask, other.c, self.c),
            torch.where(mask, other.image, self.image),
            torch.where(mask, other.pull, self.pull),
            torch.where(mask, other.gradient, self.gradient),
            torch.where(where, other.value, self.value),
        )


def _step(a: Tensor, point: _Point, direction: Tensor, radius: Tensor) -> Tensor:
    """C after the Newton step along `direction`, no longer than `radius`."""
    slope = inner(point.gradient, direction)
    image = point.image
    curvature = inner(direction @ a - a @ direction, direction @ image - image @ direction)
    curvature = curvature + inner(direction @ point.pull, direction)
    longest = radius / _spectral_norm(direction).clamp(min=_TINY)
    newton = slope / curvature.clamp(min=_TINY)
    omega = torch.minimum(newton, longest).view(-1, 1, 1) * direction
    first = omega @ point.c
    return orthogonalize(point.c + first + 0.5 * (omega @ first))


def _spectral_norm(skew: Tensor) -> Tensor:
    """About the largest singular value: power iterations from the longest row, and a margin."""
    row = skew.square().sum(dim=-1).argmax(dim=-1).view(-1, 1, 1).expand(-1, 1, skew.shape[-1])
    vector = skew.gather(-2, row).mT
    for _ in range(3):
        image = skew @ vector
        norm = torch.linalg.vector_norm(image, dim=-2, keepdim=True)
        vector = image / norm.clamp(min=_TINY)
    return 1.2 * torch.linalg.vector_norm(skew @ vector, dim=(-2, -1))


def _next(before: _Point, moved: _Point, direction: Tensor, better: Tensor) -> tuple[_Point, Tensor]:
    """The point to go on from, and the conjugate direction there; the gradient's after a step taken back."""
    point = before.replaced(moved, better)
    norm = inner(before.gradient, before.gradient).clamp(min=_TINY)
    beta = (inner(moved.gradient - before.gradient, moved.gradient) / norm).clamp(min=0)
    beta = torch.where(better, beta, 0.0)
    conjugate = point.gradient + beta.view(-1, 1, 1) * direction
    upward = inner(conjugate, point.gradient) > 0
    return point, torch.where(upward.view(-1, 1, 1), conjugate, point.gradient)
