"""Quasi-Newton ascent on O(n) of <A, C B C^T> + <L, C>, for any number of problems at once."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

_TINY = 1e-30
_FRESH = 10  # steps between corrections of C, each as dear as a step


def inner(x: Tensor, y: Tensor, work: Tensor | None = None) -> Tensor:
    """Frobenius inner products of stacked matrices; `work`, where given, is overwritten."""
    return torch.mul(x, y, out=work).sum(dim=(-2, -1))


def overlap(a: Tensor, b: Tensor, linear: Tensor | None, c: Tensor) -> Tensor:
    """<A, C B C^T> + <L, C>."""
    value = inner(a, c @ b @ c.mT)
    return value if linear is None else value + inner(linear, c)


def orthogonalize(c: Tensor, steps: int = 1) -> Tensor:
    """Newton-Schulz steps towards the nearest orthogonal matrix; the error of each is squared."""
    for _ in range(steps):
        c = 1.5 * c - 0.5 * c @ (c.mT @ c)
    return c


def eigenbasis(a: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvectors V (problems, n, n) of the symmetric part of A, and V^T A V: there it is diagonal."""
    basis = torch.linalg.eigh(a + a.mT).eigenvectors
    return basis, basis.mT @ a @ basis


def climb(a: Tensor, b: Tensor, linear: Tensor | None, c: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    r"""Ascend :math:`f(C) = \langle A, C B C^\top \rangle + \langle L, C \rangle`.

    With :math:`M = C B C^\top`, :math:`N = L C^\top` and :math:`C \to e^\Omega C`, :math:`\Omega`
    skew-symmetric, the gradient is

    .. math:: G = \mathrm{skew}(A M^\top - M^\top A + N) = [A_s, M_s] - [A_k, M_k] + \mathrm{skew}(N)

    with the symmetric and the skew parts of A and M. Where :math:`A_s` is diagonal, the first commutator
    needs no product of matrices, and the second takes one. M is turned along with C, by
    :math:`1 + \Omega + \Omega^2 / 2`: five products a step, and what corrects both from time to time.

    Steps are those of BFGS that remembers the last step only, without a line search. A step that descends is
    taken back, its curvature used, and the next one is shorter.

    Args:
        a: A (problems, n, n), its symmetric part diagonal (`eigenbasis`); the rest of that part is ignored.
        b, linear, c: B, L (none: zero) and where to begin, likewise, c orthogonal.
        steps: how many.

    Returns:
        C (problems, n, n) and f (problems,), never below where they began.
    """
    c = c.contiguous()
    objective = _Objective.of(a, b, linear)
    # All that steps write is here: memory that is given back and taken again costs as much as a product.
    work, lost, step, direction = (torch.empty_like(c) for _ in range(4))
    point, moved = _Point.at(objective, c), _Point.at(objective, c)
    begin = point.value.clone()
    radius = longest = torch.full_like(begin, _longest_step(c))
    _shorten(step.copy_(point.gradient), radius / 2, fixed=True)
    for index in range(steps):
        if index % _FRESH == _FRESH - 1:
            # Turns are not quite orthogonal, which raises f: left alone, some ascents would feed on that.
            point = _Point.at(objective, orthogonalize(point.c))
        moved.turn(objective, point, step, work, lost, direction)
        worse = moved.value <= point.value
        radius = torch.where(worse, radius / 4, torch.minimum(2 * radius, longest))
        torch.sub(point.gradient, moved.gradient, out=lost)
        moved.replace(point, worse)
        point, moved = moved, point
        _quasi_newton(point.gradient, step, lost, radius, direction, work)
        step, direction = direction, step
    # What is lost of orthogonality on the way raises f: without this, it decides between starts.
    end = _Point.at(objective, orthogonalize(point.c, 2))
    worse = end.value < begin
    return torch.where(worse.view(-1, 1, 1), c, end.c), torch.where(worse, begin, end.value)


def _longest_step(c: Tensor) -> float:
    """The Frobenius norm up to which a step, spread over many axes, stays orthogonal (`_Point.turn`).

    One about a single axis is off by 2e-3 at norm 0.5.
    """
    return max(0.5, 0.2 * c.shape[-1] ** 0.5)


@dataclasses.dataclass(frozen=True)
class _Objective:
    """Diagonal of A (problems, n), half its differences, half A's skew part, B and L (problems, n, n)."""

    diagonal: Tensor
    gaps: Tensor
    skew: Tensor
    b: Tensor
    linear: Tensor | None

    @classmethod
    def of(cls, a: Tensor, b: Tensor, linear: Tensor | None) -> _Objective:
        diagonal = a.diagonal(dim1=-2, dim2=-1).contiguous()
        gaps = (diagonal.unsqueeze(-1) - diagonal.unsqueeze(-2)) / 2
        return cls(diagonal, gaps, ((a - a.mT) / 4).contiguous(), b, linear)


@dataclasses.dataclass(frozen=True)
class _Point:
    """Where the ascents are: C, M, the gradient (problems, n, n) and f (problems,)."""

    c: Tensor
    image: Tensor
    gradient: Tensor
    value: Tensor

    @classmethod
    def at(cls, objective: _Objective, c: Tensor) -> _Point:
        point = cls(c.clone(), c @ objective.b @ c.mT, torch.empty_like(c), c.new_empty(len(c)))
        point._evaluate(objective, torch.empty_like(c), torch.empty_like(c))
        return point

    def turn(self, objective: _Objective, begin: _Point, omega: Tensor, *work: Tensor) -> None:
        """Move to where `omega` leads from `begin`, by R = 1 + W + W^2 / 2; R^T R - 1 is W^4 / 4."""
        turn, left, difference = work
        torch.baddbmm(omega, omega, omega, alpha=0.5, out=turn).diagonal(dim1=-2, dim2=-1).add_(1)
        torch.bmm(turn, begin.c, out=self.c)
        torch.bmm(turn, begin.image, out=left)
        torch.bmm(left, turn.mT, out=self.image)
        self._evaluate(objective, left, difference)

    def _evaluate(self, objective: _Objective, product: Tensor, difference: Tensor) -> None:
        torch.sub(self.image, self.image.mT, out=difference)
        # Its skew part is G / 2, and with the diagonals its trace gives <A, M>.
        torch.mul(objective.gaps, self.image, out=product).baddbmm_(objective.skew, difference, alpha=-1)
        diagonal = self.image.diagonal(dim1=-2, dim2=-1)
        torch.add((objective.diagonal * diagonal).sum(dim=-1), _trace(product), out=self.value)
        if objective.linear is not None:
            pull = torch.bmm(objective.linear, self.c.mT, out=difference)
            product.add_(pull, alpha=0.5)
            self.value.add_(_trace(pull))
        torch.sub(product, product.mT, out=self.gradient)

    def replace(self, other: _Point, where: Tensor) -> None:
        """Become the other point where `where` (problems,) is true."""
        index = where.nonzero().squeeze(1)
        if len(index):
            self.c[index], self.image[index] = other.c[index], other.image[index]
            self.gradient[index], self.value[index] = other.gradient[index], other.value[index]


def _trace(x: Tensor) -> Tensor:
    return x.diagonal(dim1=-2, dim2=-1).sum(dim=-1)


def _quasi_newton(
    gradient: Tensor, step: Tensor, lost: Tensor, radius: Tensor, direction: Tensor, work: Tensor
) -> None:
    """Write the next step to `direction`, from the last one and what the gradient lost by it.

    Where the curvature along the last step has the wrong sign, it is not used: the step is up the gradient.
    """
    curvature, square = inner(step, lost, work), inner(lost, lost, work).clamp_(min=_TINY)
    concave = curvature > 0
    scale = curvature / square
    if not bool(concave.all()):
        scale = torch.where(concave, scale, radius / _norm(gradient))
    inverse = torch.where(concave, 1 / curvature.clamp(min=_TINY), 0.0)
    along = inverse * inner(step, gradient, work)
    back = inverse * scale * (inner(lost, gradient, work) - along * square)
    torch.mul(gradient, scale.view(-1, 1, 1), out=direction)
    direction.addcmul_(lost, (scale * along).view(-1, 1, 1), value=-1)
    direction.addcmul_(step, (along - back).view(-1, 1, 1))
    _shorten(direction, radius)


def _shorten(step: Tensor, radius: Tensor, *, fixed: bool = False) -> None:
    """Make the step no longer than `radius`; exactly that long if `fixed`."""
    factor = radius / _norm(step)
    step.mul_((factor if fixed else factor.clamp_(max=1.0)).view(-1, 1, 1))


def _norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x.flatten(1), dim=1).clamp_(min=_TINY)
