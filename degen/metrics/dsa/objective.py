r"""Alignment objective f(C) = <A, C B C^T> + <L, C> on O(n), with its gradient and curvatures.

All functions act on stacks of problems. A rotation step multiplies C by :math:`e^\Omega` with a
skew-symmetric matrix :math:`\Omega`, and the gradient is taken with respect to :math:`\Omega`.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

TINY = 1e-30
"""Lower bound of divisors."""

_MIN_RELATIVE_CURVATURE = 0.03  # relative to the mean curvature; replaces smaller values


def inner(x: Tensor, y: Tensor, buffer: Tensor | None = None) -> Tensor:
    """Compute Frobenius inner products of stacked matrices; `buffer`, if given, is overwritten."""
    return torch.mul(x, y, out=buffer).sum(dim=(-2, -1))


def overlap(a: Tensor, b: Tensor, linear: Tensor | None, c: Tensor) -> Tensor:
    """Compute <A, C B C^T> + <L, C> (problems,); `linear` None means L = 0."""
    value = inner(a, c @ b @ c.mT)
    return value if linear is None else value + inner(linear, c)


def orthogonalize(c: Tensor, steps: int = 1) -> Tensor:
    """Move matrices towards the nearest orthogonal matrix by Newton-Schulz steps.

    Each step squares the orthogonality error.
    """
    for _ in range(steps):
        c = 1.5 * c - 0.5 * c @ (c.mT @ c)
    return c


def eigenbasis(a: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvectors V of the symmetric part of A, and V^T A V, both (problems, n, n)."""
    basis = torch.linalg.eigh(a + a.mT).eigenvectors
    return basis, basis.mT @ a @ basis


@dataclasses.dataclass(frozen=True)
class Objective:
    """Constant terms of the objective, for A with a diagonal symmetric part.

    Attributes:
        diagonal: (problems, n), diagonal of A.
        half_gaps: (problems, n, n), half the differences between diagonal entries, (A_pp - A_qq) / 2.
        half_skew: (problems, n, n), half the skew-symmetric part of A.
        b: (problems, n, n), B.
        linear: (problems, n, n), L, or None for zero.
    """

    diagonal: Tensor
    half_gaps: Tensor
    half_skew: Tensor
    b: Tensor
    linear: Tensor | None

    @classmethod
    def from_matrices(cls, a: Tensor, b: Tensor, linear: Tensor | None) -> Objective:
        """Compute the terms from A, B and L. Off-diagonal entries of the symmetric part of A are ignored."""
        diagonal = a.diagonal(dim1=-2, dim2=-1).contiguous()
        half_gaps = (diagonal.unsqueeze(-1) - diagonal.unsqueeze(-2)) / 2
        return cls(diagonal, half_gaps, ((a - a.mT) / 4).contiguous(), b, linear)


@dataclasses.dataclass(frozen=True)
class Point:
    """Current iterate of every problem. Methods update the tensors in place.

    Attributes:
        c: (problems, n, n), C.
        rotated_b: (problems, n, n), C B C^T.
        gradient: (problems, n, n), skew-symmetric.
        curvature: (problems, n, n), absolute values of the Hessian's diagonal, bounded from below.
        value: (problems,), f.
    """

    c: Tensor
    rotated_b: Tensor
    gradient: Tensor
    curvature: Tensor
    value: Tensor

    @classmethod
    def from_rotation(cls, objective: Objective, c: Tensor) -> Point:
        """Evaluate the objective at C. The tensor `c` is copied."""
        rotated_b = c @ objective.b @ c.mT
        point = cls(c.clone(), rotated_b, torch.empty_like(c), torch.empty_like(c), c.new_empty(len(c)))
        point.evaluate(objective, torch.empty_like(c), torch.empty_like(c))
        return point

    def rotate(self, objective: Objective, origin: Point, omega: Tensor, *buffers: Tensor) -> Tensor:
        """Move to the point reached from `origin` by R = 1 + W + W^2 / 2, with W = `omega`.

        Args:
            objective: constant terms.
            origin: point at which the step starts.
            omega: (problems, n, n), skew-symmetric.
            buffers: three tensors of the shape of `omega`, which are overwritten.

        Returns:
            Orthogonality error of R (problems,): the trace of R^T R - 1 = W^4 / 4.
        """
        rotation, product, difference = buffers
        torch.baddbmm(omega, omega, omega, alpha=0.5, out=rotation).diagonal(dim1=-2, dim2=-1).add_(1)
        torch.bmm(rotation, origin.c, out=self.c)
        torch.bmm(rotation, origin.rotated_b, out=product)
        torch.bmm(product, rotation.mT, out=self.rotated_b)
        self.evaluate(objective, product, difference)
        return torch.linalg.vector_norm(rotation.flatten(1), dim=1) ** 2 - rotation.shape[-1]

    def reorthogonalize(self, objective: Objective, origin: Point, *buffers: Tensor) -> None:
        """Move to `origin` after one step of `orthogonalize`, and recompute C B C^T.

        Args:
            objective: constant terms.
            origin: point to correct.
            buffers: two tensors of the shape of C, which are overwritten.
        """
        product, square = buffers
        torch.bmm(origin.c.mT, origin.c, out=square)
        torch.baddbmm(origin.c, origin.c, square, beta=1.5, alpha=-0.5, out=self.c)
        torch.bmm(self.c, objective.b, out=product)
        torch.bmm(product, self.c.mT, out=self.rotated_b)
        self.evaluate(objective, product, square)

    def evaluate(self, objective: Objective, product: Tensor, difference: Tensor) -> None:
        r"""Compute gradient, curvatures and f from C and M = C B C^T.

        The curvature of a rotation in the plane of axes p and q, the decrease of gradient entry p, q per unit
        angle, is

        .. math:: (r_p + r_q + N_{pp} + N_{qq}) / 2 - K_{pq} + (A_{pp} - A_{qq}) (M_{pp} - M_{qq})

        with :math:`K = A_k \circ (M - M^\top)`, its row sums r, the skew-symmetric part :math:`A_k` of A, and
        :math:`N = L C^\top`.

        Args:
            objective: constant terms.
            product, difference: buffers of the shape of C, which are overwritten.
        """
        torch.sub(self.rotated_b, self.rotated_b.mT, out=difference)
        # The skew part of `product` becomes half the gradient. Its trace plus the diagonal terms is <A, M>.
        torch.mul(objective.half_gaps, self.rotated_b, out=product)
        product.baddbmm_(objective.half_skew, difference, alpha=-1)
        diagonal = self.rotated_b.diagonal(dim1=-2, dim2=-1)
        torch.add((objective.diagonal * diagonal).sum(dim=-1), _trace(product), out=self.value)
        rows = torch.mul(objective.half_skew, difference, out=self.curvature).sum(dim=-1)
        if objective.linear is not None:
            linear = torch.bmm(objective.linear, self.c.mT, out=difference)
            product.add_(linear, alpha=0.5)
            self.value.add_(_trace(linear))
            rows.add_(linear.diagonal(dim1=-2, dim2=-1), alpha=0.5)
        torch.sub(product, product.mT, out=self.gradient)
        # All terms except K form a matrix of rank four, so one matrix product adds them to K.
        rows, ones = rows + objective.diagonal * diagonal, torch.ones_like(rows)
        left = torch.stack((rows, ones, objective.diagonal, diagonal), dim=2)
        right = torch.stack((ones, rows, -diagonal, -objective.diagonal), dim=1)
        self.curvature.baddbmm_(left, right, beta=-2).abs_()
        smallest = _MIN_RELATIVE_CURVATURE * self.curvature.mean(dim=(-2, -1), keepdim=True)
        torch.maximum(self.curvature, smallest.clamp_(min=TINY), out=self.curvature)

    def copy_from(self, other: Point, where: Tensor) -> None:
        """Copy the problems of another point at which `where` (problems,) is true."""
        index = where.nonzero().squeeze(1)
        if len(index):
            for field in dataclasses.fields(self):
                target, source = getattr(self, field.name), getattr(other, field.name)
                target.index_copy_(0, index, source.index_select(0, index))


def _trace(x: Tensor) -> Tensor:
    """Compute the trace of stacked matrices (..., n, n)."""
    return x.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
