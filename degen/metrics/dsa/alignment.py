"""The orthogonal matrix that best aligns two operators, for many pairs at once."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from degen.metrics.pairs import canonical


@dataclasses.dataclass(frozen=True)
class Alignment:
    r"""The best alignment of each pair.

    Attributes:
        rotation: (pairs, n, n), the orthogonal C (reflections included) that maximizes <A, C B C^T>.
        overlap: (pairs,), that maximum.
        by_start: (pairs, starts), what each start reached; its spread shows how rugged the problem is.
    """

    rotation: Tensor
    overlap: Tensor
    by_start: Tensor


def align(first: Tensor, second: Tensor, *, seed: int) -> Alignment:
    r"""Maximize :math:`\langle A, C B C^\top \rangle` over C in O(n), for each pair.

    Args:
        first: A, (pairs, n, n).
        second: B, (pairs, n, n).
        seed: of the random starts, which are the same for all pairs.
    """
    a, b, swapped = canonical(first, second)
    starts = _starts(a, b, seed)
    best = _climb(a.unsqueeze(1), b.unsqueeze(1), starts)
    reached = _overlap(a.unsqueeze(1), b.unsqueeze(1), best)
    rotation = best[torch.arange(len(a)), reached.argmax(dim=1)]
    rotation = torch.where(swapped.view(-1, 1, 1), rotation.mT, rotation)
    return Alignment(rotation, reached.amax(dim=1), reached)


def _overlap(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return (a * (c @ b @ c.mT)).sum(dim=(-2, -1))


def _polar(m: Tensor) -> Tensor:
    left, _, right = torch.linalg.svd(m)
    return left @ right


def _starts(a: Tensor, b: Tensor, seed: int, n_random: int = 8) -> Tensor:
    """(pairs, starts, n, n)."""
    generator = torch.Generator().manual_seed(seed)
    n = a.shape[-1]
    random = _polar(torch.randn(n_random, n, n, generator=generator, dtype=torch.float64)).to(a.device)
    vectors_a, vectors_b = (torch.linalg.eigh(m + m.mT).eigenvectors for m in (a, b))
    agreement = (vectors_a.mT @ a @ vectors_a) * (vectors_b.mT @ b @ vectors_b)
    leading = torch.linalg.eigh(agreement + agreement.mT).eigenvectors[..., -1]
    signs = torch.where(leading < 0, -1.0, 1.0).to(a.dtype)
    spectral = (vectors_a * signs.unsqueeze(-2)) @ vectors_b.mT
    return torch.cat([spectral.unsqueeze(1), random.expand(len(a), -1, -1, -1)], dim=1)


def _climb(a: Tensor, b: Tensor, c: Tensor, steps: int = 200) -> Tensor:
    """Polar iterations, which never descend: the shift makes the objective convex in C."""
    shift = 2 * torch.linalg.matrix_norm(a, 2) * torch.linalg.matrix_norm(b, 2)
    for _ in range(steps):
        c = _polar(a @ c @ b.mT + a.mT @ c @ b + 0.5 * shift[..., None, None] * c)
    return c
