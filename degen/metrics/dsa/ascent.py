"""Quasi-Newton ascent on O(n) of <A, C B C^T> + <L, C>, for any number of problems at once."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

_TINY = 1e-30
_FRESH = 20  # steps between corrections of C, each as dear as a step
_LOOSE = 0.003  # times n (at least 30): the trace of R^T R - 1 above which a step is taken back
_LEAST = 0.03  # of the mean curvature: what a flat or wrongly curved plane is taken to have


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

    Steps are those of BFGS that remembers the last step only, without a line search. Its first guess of the
    curvatures is the Hessian's diagonal, that of rotations in the planes of two axes (`_Point.evaluate`).
    How long the next step may be, the slope that is left along the last one says (`_next_radius`). A step
    that descends, or is too long for the turn to be orthogonal, is taken back, and its curvature used.

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
    longest = torch.full_like(begin, _longest_step(c))
    looseness = _LOOSE * max(30, c.shape[-1])
    radius = longest / 2
    length = _shorten(torch.div(point.gradient, point.curvature, out=step), radius)
    for index in range(steps):
        if index % _FRESH == _FRESH - 1:
            # Turns are not quite orthogonal, which raises f: left alone, some ascents would feed on that.
            moved.correct(objective, point, work, lost)
            point, moved = moved, point
        loose = moved.turn(objective, point, step, work, lost, direction) > looseness
        worse = (moved.value <= point.value) | loose
        torch.sub(point.gradient, moved.gradient, out=lost)
        curvature, slope = inner(step, lost, work), inner(step, point.gradient, work)
        left = slope - curvature
        radius = _next_radius(left / slope.clamp(min=_TINY), worse, length, radius, longest)
        moved.replace(point, worse)
        point, moved = moved, point
        _quasi_newton(point, step, lost, curvature, torch.where(worse, slope, left), direction, work)
        length = _shorten(direction, radius)
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
    """Where the ascents are: C, M, the gradient, curvatures (problems, n, n) and f (problems,).

    Curvatures are the moduli of the Hessian's diagonal, not below a share of their mean.
    """

    c: Tensor
    image: Tensor
    gradient: Tensor
    curvature: Tensor
    value: Tensor

    @classmethod
    def at(cls, objective: _Objective, c: Tensor) -> _Point:
        image = c @ objective.b @ c.mT
        point = cls(c.clone(), image, torch.empty_like(c), torch.empty_like(c), c.new_empty(len(c)))
        point.evaluate(objective, torch.empty_like(c), torch.empty_like(c))
        return point

    def turn(self, objective: _Objective, begin: _Point, omega: Tensor, *work: Tensor) -> Tensor:
        """Move to where `omega` leads from `begin`, by R = 1 + W + W^2 / 2.

        Returns how far R is from orthogonal, the trace (problems,) of R^T R - 1 = W^4 / 4.
        """
        turn, left, difference = work
        torch.baddbmm(omega, omega, omega, alpha=0.5, out=turn).diagonal(dim1=-2, dim2=-1).add_(1)
        torch.bmm(turn, begin.c, out=self.c)
        torch.bmm(turn, begin.image, out=left)
        torch.bmm(left, turn.mT, out=self.image)
        self.evaluate(objective, left, difference)
        return torch.linalg.vector_norm(turn.flatten(1), dim=1) ** 2 - turn.shape[-1]

    def correct(self, objective: _Objective, begin: _Point, *work: Tensor) -> None:
        """Move to the orthogonal matrix nearest to `begin`, by one step of `orthogonalize`."""
        left, square = work
        torch.bmm(begin.c.mT, begin.c, out=square)
        torch.baddbmm(begin.c, begin.c, square, beta=1.5, alpha=-0.5, out=self.c)
        torch.bmm(self.c, objective.b, out=left)
        torch.bmm(left, self.c.mT, out=self.image)
        self.evaluate(objective, left, square)

    def evaluate(self, objective: _Objective, product: Tensor, difference: Tensor) -> None:
        r"""Gradient, curvatures and f, from C and M; the arguments behind the objective are overwritten.

        What the gradient's entry p, q loses by a rotation in the plane of these two axes, for each unit of
        its angle, is

        .. math:: (r_p + r_q + N_{pp} + N_{qq}) / 2 - K_{pq} + (A_{pp} - A_{qq}) (M_{pp} - M_{qq})

        with :math:`K = A_k \circ (M - M^\top)`, r the sums of its rows, and :math:`A_s` diagonal.
        """
        torch.sub(self.image, self.image.mT, out=difference)
        # Its skew part is G / 2, and with the diagonals its trace gives <A, M>.
        torch.mul(objective.gaps, self.image, out=product).baddbmm_(objective.skew, difference, alpha=-1)
        diagonal = self.image.diagonal(dim1=-2, dim2=-1)
        torch.add((objective.diagonal * diagonal).sum(dim=-1), _trace(product), out=self.value)
        rows = torch.mul(objective.skew, difference, out=self.curvature).sum(dim=-1)
        if objective.linear is not None:
            pull = torch.bmm(objective.linear, self.c.mT, out=difference)
            product.add_(pull, alpha=0.5)
            self.value.add_(_trace(pull))
            rows.add_(pull.diagonal(dim1=-2, dim2=-1), alpha=0.5)
        torch.sub(product, product.mT, out=self.gradient)
        # But for K it is a matrix of rank four, which is cheaper to add as one product than term by term.
        rows, one = rows + objective.diagonal * diagonal, torch.ones_like(rows)
        left = torch.stack((rows, one, objective.diagonal, diagonal), dim=2)
        right = torch.stack((one, rows, -diagonal, -objective.diagonal), dim=1)
        self.curvature.baddbmm_(left, right, beta=-2).abs_()
        least = _LEAST * self.curvature.mean(dim=(-2, -1), keepdim=True)
        torch.maximum(self.curvature, least.clamp_(min=_TINY), out=self.curvature)

    def replace(self, other: _Point, where: Tensor) -> None:
        """Become the other point where `where` (problems,) is true."""
        index = where.nonzero().squeeze(1)
        if len(index):
            for field in dataclasses.fields(self):
                mine, theirs = getattr(self, field.name), getattr(other, field.name)
                mine.index_copy_(0, index, theirs.index_select(0, index))


def _trace(x: Tensor) -> Tensor:
    return x.diagonal(dim1=-2, dim2=-1).sum(dim=-1)


def _next_radius(left: Tensor, worse: Tensor, length: Tensor, radius: Tensor, longest: Tensor) -> Tensor:
    """How long the next step may be, by the share `left` of the slope at the end of a step of that length.

    Twice as long where much is left, half where the step has overshot. After a step that was taken back: to
    where the slope, were it linear, would be zero, but between a tenth and half of the step.
    """
    grown = torch.where(left > 0.25, torch.minimum(torch.maximum(2 * length, radius), longest), radius)
    taken = torch.where(left < 0, length / 2, grown)
    return torch.where(worse, length * (1 / (1 - left)).clamp(0.1, 0.5), taken)


def _quasi_newton(
    point: _Point,
    step: Tensor,
    lost: Tensor,
    curvature: Tensor,
    slope: Tensor,
    direction: Tensor,
    work: Tensor,
) -> None:
    """Write the next step to `direction`, from the last one and what the gradient lost by it.

    Where the curvature (problems,) along the last step has the wrong sign, or is of rounding, it is not used.
    `slope` (problems,) is that along the last step where we are.
    """
    least = torch.finfo(step.dtype).eps ** 2
    inverse = torch.where(curvature > least, 1 / curvature.clamp(min=least), 0.0)
    along = inverse * slope
    torch.addcmul(point.gradient, lost, along.view(-1, 1, 1), value=-1, out=direction)
    direction.div_(point.curvature)
    back = inverse * inner(lost, direction, work)
    direction.addcmul_(step, (along - back).view(-1, 1, 1))


def _shorten(step: Tensor, radius: Tensor) -> Tensor:
    """Make the step no longer than `radius` (problems,); returns its length then."""
    length = torch.linalg.vector_norm(step.flatten(1), dim=1).clamp_(min=_TINY)
    step.mul_((radius / length).clamp_(max=1.0).view(-1, 1, 1))
    return torch.minimum(length, radius)
