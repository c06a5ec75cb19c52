"""Quasi-Newton ascent on O(n) of <A, C B C^T> + <L, C>, for any number of problems at once."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

_TINY = 1e-30


def inner(x: Tensor, y: Tensor) -> Tensor:
    """Frobenius inner products of stacked matrices."""
    return (x * y).sum(dim=(-2, -1))


def overlap(a: Tensor, b: Tensor, linear: Tensor | None, c: Tensor) -> Tensor:
    """<A, C B C^T> + <L, C>."""
    value = inner(a, c @ b @ c.mT)
    return value if linear is None else value + inner(linear, c)


def orthogonalize(c: Tensor, steps: int = 1) -> Tensor:
    """Newton-Schulz steps towards the nearest orthogonal matrix; the error of each is squared."""
    for _ in range(steps):
        c = 1.5 * c - 0.5 * c @ (c.mT @ c)
    return c


def climb(a: Tensor, b: Tensor, linear: Tensor | None, c: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    r"""Ascend :math:`f(C) = \langle A, C B C^\top \rangle + \langle L, C \rangle`.

    With :math:`M = C B C^\top`, :math:`N = L C^\top` and :math:`C \to e^\Omega C`, :math:`\Omega`
    skew-symmetric, the gradient is

    .. math:: G = \mathrm{skew}(A M^\top - M^\top A + N) .

    Steps are those of BFGS that remembers the last step only. A step costs seven products of matrices and no
    line search: a Newton step along the direction needs four more, and gains less than they cost. A step
    that descends is taken back, its curvature used, and the next one is shorter.

    Args:
        a, b, linear, c: A, B, L (none: zero) and where to begin, (problems, n, n), c orthogonal.
        steps: how many.

    Returns:
        C (problems, n, n) and f (problems,), never below where they began.
    """
    transposed = a.mT.contiguous()
    point = begin = _Point.at(a, transposed, b, linear, c)
    longest = _longest_step(c)
    radius = torch.full_like(point.value, longest)
    step = _shortened(point.gradient, radius / 2, fixed=True)
    for _ in range(steps):
        moved = _Point.at(a, transposed, b, linear, _turned(point.c, step))
        worse = moved.value <= point.value
        radius = torch.where(worse, radius / 4, (2 * radius).clamp_(max=longest))
        lost = point.gradient - moved.gradient
        point = moved.replaced(point, worse)
        step = _quasi_newton(point.gradient, step, lost, radius)
    # What is lost of orthogonality on the way raises f: without this, it decides between starts.
    end = _Point.at(a, transposed, b, linear, orthogonalize(point.c, 2))
    end = end.replaced(begin, end.value < begin.value)
    return end.c, end.value


def _longest_step(c: Tensor) -> float:
    """The Frobenius norm up to which a step, spread over many axes, stays orthogonal (`_turned`).

    One about a single axis is off by 2e-3 at norm 1.
    """
    return max(1.0, 0.2 * c.shape[-1] ** 0.5)


@dataclasses.dataclass(frozen=True)
class _Point:
    """Where the ascents are: C, the gradient and f."""

    c: Tensor
    gradient: Tensor
    value: Tensor

    @classmethod
    def at(cls, a: Tensor, transposed: Tensor, b: Tensor, linear: Tensor | None, c: Tensor) -> _Point:
        image = (c @ b) @ c.mT
        # The trace of this is 2 <A, M>, its skew part -G.
        product = torch.baddbmm(image @ transposed, image.mT, a)
        value = _trace(product) / 2
        if linear is not None:
            pull = linear @ c.mT
            product, value = product - pull, value + _trace(pull)
        return cls(c, (product.mT - product).mul_(0.5), value)

    def replaced(self, other: _Point, where: Tensor) -> _Point:
        """The other point where `where` (problems,) is true; those are written into this one."""
        index = where.nonzero().squeeze(1)
        if len(index):
            self.c[index], self.gradient[index] = other.c[index], other.gradient[index]
            self.value[index] = other.value[index]
        return self


def _trace(x: Tensor) -> Tensor:
    return x.diagonal(dim1=-2, dim2=-1).sum(dim=-1)


def _turned(c: Tensor, omega: Tensor) -> Tensor:
    """R C with R = 1 + W + W^2 / 2 + W^3 / 8, for which R^T R - 1 is of sixth order: no other cubic's is."""
    first = omega @ c
    second = omega @ first
    third = omega @ second
    return first.add_(c).add_(second, alpha=0.5).add_(third, alpha=0.125)


def _quasi_newton(gradient: Tensor, step: Tensor, lost: Tensor, radius: Tensor) -> Tensor:
    """The next step, from the last one and what the gradient lost by it; along the gradient if that is up.

    Where the curvature along the last step has the wrong sign, it is not used. Overwrites `step` and `lost`.
    """
    curvature, square = inner(step, lost), inner(lost, lost).clamp_(min=_TINY)
    concave = curvature > 0
    scale = curvature / square
    if not bool(concave.all()):
        norm = inner(gradient, gradient).sqrt_().clamp_(min=_TINY)
        scale = torch.where(concave, scale, radius / norm)
    inverse = torch.where(concave, 1 / curvature.clamp(min=_TINY), 0.0)
    along = inverse * inner(step, gradient)
    back = inverse * scale * (inner(lost, gradient) - along * square)
    direction = _scaled(gradient, scale)
    direction.sub_(lost.mul_((scale * along).view(-1, 1, 1)))
    direction.add_(step.mul_((along - back).view(-1, 1, 1)))
    return _shortened(direction, radius)


def _scaled(x: Tensor, factor: Tensor) -> Tensor:
    return x * factor.view(-1, 1, 1)


def _shortened(step: Tensor, radius: Tensor, *, fixed: bool = False) -> Tensor:
    """The step, no longer than `radius`; exactly that long if `fixed`."""
    factor = radius / inner(step, step).sqrt().clamp(min=_TINY)
    return _scaled(step, factor if fixed else factor.clamp(max=1.0))
