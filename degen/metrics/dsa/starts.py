"""Where the alignment of two operators starts from."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_FEATURES: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda a: a + a.mT,
    lambda a: a.mT @ a,
    lambda a: a @ a.mT,
    lambda a: (a - a.mT) @ (a - a.mT),
    lambda a: a.mT @ a - a @ a.mT,
)
"""Symmetric matrices F(A) with F(C A C^T) = C F(A) C^T: their eigenvectors turn as A does."""

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
"""Coefficients of the features, each of norm 1."""


def starts(a: Tensor, b: Tensor, linear: Tensor | None, n_random: int, seed: int) -> Tensor:
    """Orthogonal matrices (pairs, starts, n, n) from which to align b to a, both (pairs, n, n).

    From eigenvectors of equivariant matrices of A and of B, in the order of their eigenvalues and with the
    signs that agree best; for a rotated copy each of them is the solution where eigenvalues are simple and
    the signs are found. And `n_random` uniformly random ones, the same for all pairs.
    """
    features_a, features_b = _features(a), _features(b)
    mixtures = torch.tensor(_MIXTURES, dtype=a.dtype, device=a.device)
    bases_a, bases_b = (
        torch.linalg.eigh(torch.einsum("mf,pfij->pmij", mixtures, features)).eigenvectors
        for features in (features_a, features_b)
    )
    linear = torch.zeros_like(a) if linear is None else linear
    in_bases = bases_a.mT @ linear.unsqueeze(1) @ bases_b
    signs = _signs(
        bases_a.mT @ a.unsqueeze(1) @ bases_a,
        bases_b.mT @ b.unsqueeze(1) @ bases_b,
        in_bases.diagonal(dim1=-2, dim2=-1),
    )
    structured = (bases_a * signs.unsqueeze(-2)) @ bases_b.mT
    return torch.cat([structured, random_rotations(n_random, a, seed).expand(len(a), -1, -1, -1)], dim=1)


def random_rotations(count: int, like: Tensor, seed: int) -> Tensor:
    """Uniformly random orthogonal matrices (count, n, n) with the size, type and device of `like`."""
    n = like.shape[-1]
    normal = torch.randn(count, n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    q, r = torch.linalg.qr(normal)
    # Without the signs of R, reflections and rotations are not equally likely.
    return (q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)).to(like)


def _features(a: Tensor) -> Tensor:
    """(pairs, features, n, n), each of norm 1; zero where a feature is."""
    features = torch.stack([feature(a) for feature in _FEATURES], dim=1)
    return features / torch.linalg.matrix_norm(features, keepdim=True).clamp(min=torch.finfo(a.dtype).tiny)


def _signs(a: Tensor, b: Tensor, linear: Tensor) -> Tensor:
    """Signs s (..., n) that maximize s^T (A * B) s + l^T s up to single flips.

    From those of the leading eigenvector; l (..., n) decides which of s and -s.
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
