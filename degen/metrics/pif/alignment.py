"""Alignment of pairs of networks by permutations and signs of units."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from degen.metrics.arrays import Array, to_block_stacks
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
        distance: (pairs,), Frobenius norm of A - S B[p][:, p] S with S = diag(s), which p and s minimize. For
            several blocks, root of the sum of their squared norms.
    """

    permutation: Tensor
    signs: Tensor
    distance: Tensor


def align(first: Array, second: Array, *, seed: int = 0, signs: bool = False) -> Matching:
    """Compute the permutations and signs that define the distances of `distance_matrix`.

    Args:
        first, second: stacked pairs of recurrent matrices, (pairs, n, n), or of the matrices of their gates,
            (pairs, blocks, n, n).
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
    stacks = to_block_stacks("weights", both)
    blocks = stacks.shape[1]
    a, b = to_rows(stacks).chunk(2)
    smaller, larger, swapped = sort_pairs(a, b)
    matched = match_pairs(smaller, larger, blocks, seed, signs)
    units, unit_signs = split_signs(matched)
    inverse = units.argsort(dim=-1)
    inverse = with_signs(inverse, unit_signs.gather(1, inverse))
    matched = torch.where(swapped.unsqueeze(-1), inverse, matched)
    return Matching(*split_signs(matched), distance_after(a, b, matched, blocks))


def to_rows(stacks: Tensor) -> Tensor:
    """Return the recurrent weights of each unit, (networks, n, blocks * n), from (networks, blocks, n, n)."""
    return stacks.transpose(1, 2).flatten(2)


def match_pairs(a: Tensor, b: Tensor, blocks: int, seed: int, signs: bool) -> Tensor:
    """Compute permutations (pairs, n), with or without signs (`degen.metrics.pif.optimizers`).

    Args:
        a, b: weights of each unit, recurrent weights first, (pairs, n, columns).
        blocks: number of recurrent matrices, which one permutation aligns.
        seed: seed of the random initial permutations.
        signs: whether to minimize over signs of units.
    """
    match, n = match_signed_units if signs else match_units, a.shape[1]
    first, second = (rows[..., : blocks * n].unflatten(2, (blocks, n)).transpose(1, 2) for rows in (a, b))
    return match(first, second, a[..., blocks * n :] @ b[..., blocks * n :].mT, seed)


def distance_after(a: Tensor, b: Tensor, matched: Tensor, blocks: int) -> Tensor:
    """Compute the Frobenius norm of the difference of weights (pairs, n, columns) after an alignment.

    The columns of the recurrent weights are units, too. The other columns stay in place.
    """
    pairs, n = torch.arange(len(a), device=a.device)[:, None, None], a.shape[1]
    permutation, signs = split_signs(matched)
    rows = b[pairs[..., 0], permutation] * signs.unsqueeze(-1)
    starts = n * torch.arange(blocks, device=a.device).unsqueeze(-1)
    columns = (permutation.unsqueeze(1) + starts).flatten(1).unsqueeze(1)
    recurrent = rows.gather(2, columns.expand(-1, n, -1)) * signs.repeat(1, blocks).unsqueeze(1)
    return torch.linalg.matrix_norm(a - torch.cat([recurrent, rows[..., blocks * n :]], dim=-1))
