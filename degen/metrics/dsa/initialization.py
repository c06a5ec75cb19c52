"""Initial orthogonal matrices for the alignment of two operators."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_EQUIVARIANT_FUNCTIONS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda a: a + a.mT,
    lambda a: a.mT @ a,
    lambda a: a @ a.mT,
    lambda a: (a - a.mT) @ (a - a.mT),
    lambda a: a.mT @ a - a @ a.mT,
)
"""Symmetric matrix functions with F(C A C^T) = C F(A) C^T: their eigenvectors rotate with A."""

_MIXTURES = (
    (1, 0, 0, 0, 0),
    (1, 1, 0, 0, 0),
    (1, 0, 1, 0, 0),
    (1, 0, 0, 1, 0),
    (1, 0, 0, 0, 2),
    (1, 0, 0, 0, -2),
    (0, 1, 0, 0, 0),
    (0, 0, 1, 0, 0),
    (0, 0, 0, 1, 0),
    (0, 1, 1, 0, 0),
)
"""Coefficients of linear combinations of the equivariant functions, each normalized to norm 1."""


def initial_alignments(a: Tensor, b: Tensor, linear: Tensor | None, n_random: int, seed: int) -> Tensor:
    """Compute orthogonal matrices from which to start the alignment of B to A.

    The first ten map eigenvectors of equivariant matrices of B to those of A, in the order of the eigenvalues
    and with the signs that agree best. For a rotated copy with simple eigenvalues and correct signs, each of
    them is the exact solution. The others are uniformly random.

    Args:
        a: A, (pairs, n, n).
        b: B, (pairs, n, n).
        linear: L, the linear term of the objective, (pairs, n, n), or None for zero.
        n_random: number of random matrices. They are equal for all pairs.
        seed: seed of the random matrices.

    Returns:
        (pairs, 10 + n_random, n, n).
    """
    equivariant_a, equivariant_b = _equivariant_matrices(a), _equivariant_matrices(b)
    mixtures = torch.tensor(_MIXTURES, dtype=a.dtype, device=a.device)
    bases_a, bases_b = (
        torch.linalg.eigh(torch.einsum("mf,pfij->pmij", mixtures, equivariant)).eigenvectors
        for equivariant in (equivariant_a, equivariant_b)
    )
    linear = torch.zeros_like(a) if linear is None else linear
    linear_in_bases = bases_a.mT @ linear.unsqueeze(1) @ bases_b
    signs = _matching_signs(
        bases_a.mT @ a.unsqueeze(1) @ bases_a,
        bases_b.mT @ b.unsqueeze(1) @ bases_b,
        linear_in_bases.diagonal(dim1=-2, dim2=-1),
    )
    structured = (bases_a * signs.unsqueeze(-2)) @ bases_b.mT
    random = random_orthogonal_matrices(n_random, a, seed)
    return torch.cat([structured, random.expand(len(a), -1, -1, -1)], dim=1)


def random_orthogonal_matrices(count: int, like: Tensor, seed: int) -> Tensor:
    """Draw uniformly random orthogonal matrices, including reflections.

    Args:
        count: number of matrices.
        like: tensor (..., n, n) that determines size, dtype and device.
        seed: seed of the random numbers.

    Returns:
        (count, n, n).
    """
    n = like.shape[-1]
    normal = torch.randn(count, n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    q, r = torch.linalg.qr(normal)
    # The signs of the diagonal of R make the distribution uniform (Mezzadri 2007).
    return (q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)).to(like)


def _equivariant_matrices(a: Tensor) -> Tensor:
    """Compute the equivariant functions of A: (pairs, functions, n, n), each of norm 1 or zero."""
    matrices = torch.stack([function(a) for function in _EQUIVARIANT_FUNCTIONS], dim=1)
    return matrices / torch.linalg.matrix_norm(matrices, keepdim=True).clamp(min=torch.finfo(a.dtype).tiny)


def _matching_signs(a: Tensor, b: Tensor, linear: Tensor) -> Tensor:
    """Maximize s^T (A * B) s + l^T s over signs s, where * is the elementwise product.

    The search starts from the signs of the leading eigenvector, oriented by l, and flips single signs until
    no flip increases the value.

    Args:
        a, b: (..., n, n).
        linear: l, (..., n).

    Returns:
        (..., n), entries -1 and 1.
    """
    agreement = a * b
    agreement = agreement + agreement.mT
    agreement = agreement - torch.diag_embed(agreement.diagonal(dim1=-2, dim2=-1))
    signs = torch.linalg.eigh(agreement).eigenvectors[..., -1].sign()
    signs = torch.where(signs == 0, 1.0, signs)
    signs = torch.where((signs * linear).sum(dim=-1, keepdim=True) < 0, -signs, signs)
    field = (agreement @ signs.unsqueeze(-1)).squeeze(-1) + linear
    for _ in range(2 * a.shape[-1]):
        gain, unit = (-signs * field).max(dim=-1, keepdim=True)
        change = torch.where(gain > 0, -2 * signs.gather(-1, unit), 0.0)
        signs = signs.scatter_add(-1, unit, change)
        column = agreement.gather(-1, unit.unsqueeze(-1).expand(*unit.shape[:-1], a.shape[-1], 1)).squeeze(-1)
        field = field + column * change
    return signs
