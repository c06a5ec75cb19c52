"""Alignment of pairs of networks by permutations and signs of units."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from degen.metrics.arrays import Array, to_square_matrices
from degen.metrics.pairs import sort_pairs
from degen.metrics.pif.optimizers import split_signs, with_signs
from degen.metrics.pif.signed_solver import match_signed_units
from degen.metrics.pif.solver import match_units


@dataclasses.dataclass(frozen=True)
class Matching:
    """Best permutation of each pair of networks.

    Attributes:
        permutation: p, (pairs, n). Unit i of the first network corresponds to unit p[i] of the second.
        signs: s, (pairs, n), 1.0 or -1.0. All are 1.0 for an alignment without signs.
        distance: (pairs,), Frobenius norm of A - S B[p][:, p] S with S = diag(s), which p and s minimize.
    """

    permutation: Tensor
    signs: Tensor
    distance: Tensor


def align(first: Array, second: Array, *, seed: int = 0, signs: bool = False) -> Matching:
    """Compute the permutations and signs that define the distances of `distance_matrix`.

    Args:
        first, second: stacked pairs of recurrent matrices, (pairs, n, n).
        seed: seed of the random initial permutations.
        signs: minimize over signs of units too. Only for networks with an odd nonlinearity.

    Raises:
        BadInputError: matrices that are not finite, not square or not equal in size.

    Examples:
        >>> w = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(0))
        >>> order = [2, 0, 3, 1]
        >>> align(w[:, order][:, :, order], w, seed=0).permutation
        tensor([[2, 0, 3, 1]])
    """
    both = torch.stack([torch.as_tensor(first), torch.as_tensor(second)]).flatten(0, 1)
    a, b = to_square_matrices("weights", both).chunk(2)
    n = a.shape[-1]
    smaller, larger, swapped = sort_pairs(a, b)
    matched = match_pairs(smaller, larger, n, seed, signs)
    units, unit_signs = split_signs(matched)
    inverse = units.argsort(dim=-1)
    inverse = with_signs(inverse, unit_signs.gather(1, inverse))
    matched = torch.where(swapped.unsqueeze(-1), inverse, matched)
    return Matching(*split_signs(matched), distance_after(a, b, matched, n))


def match_pairs(a: Tensor, b: Tensor, n: int, seed: int, signs: bool) -> Tensor:
    """Compute permutations (pairs, n), with or without signs (`degen.metrics.pif.optimizers`).

    Args:
        a, b: weights of each unit, recurrent weights first, (pairs, n, columns).
        n: number of units.
        seed: seed of the random initial permutations.
        signs: whether to minimize over signs of units.
    """
    match = match_signed_units if signs else match_units
    return match(a[..., :n], b[..., :n], a[..., n:] @ b[..., n:].mT, seed)


def distance_after(a: Tensor, b: Tensor, matched: Tensor, n: int) -> Tensor:
    """Compute the Frobenius norm of the difference of weights (pairs, n, columns) after an alignment.

    The columns of the recurrent weights are units, too. The other columns stay in place.
    """
    pairs = torch.arange(len(a), device=a.device)[:, None, None]
    permutation, signs = split_signs(matched)
    rows = b[pairs[..., 0], permutation] * signs.unsqueeze(-1)
    recurrent = rows[..., :n].gather(2, permutation.unsqueeze(1).expand(-1, n, -1)) * signs.unsqueeze(1)
    return torch.linalg.matrix_norm(a - torch.cat([recurrent, rows[..., n:]], dim=-1))
