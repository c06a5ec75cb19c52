"""Approximate solver of the graph matching problem over permutations and signs of units.

A network with an odd nonlinearity computes the same function after a change of sign of any unit. It turns the
recurrent weights W into S W S with a diagonal matrix S of signs, and acts on input weights, biases and output
weights as well. The objective of `degen.metrics.pif.optimizers` is maximized over signed permutations, in the
two stages of `degen.metrics.pif.solver`. The initial signed permutations are:

- the solution without signs, so that the result is never worse;
- the solution for the absolute values of the weights, with signs from an eigenvector (`_assign_signs`);
- the permutation that matches absolute values of the units' profiles, with signs from an eigenvector;
- random signed permutations.

At 0, the barycenter of the signed permutations, the quadratic part of the objective has no gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

from degen.metrics.pif.optimizers import (
    add_opposite_units,
    assign,
    frank_wolfe,
    permute,
    to_matrix,
    with_signs,
)
from degen.metrics.pif.solver import (
    batch_size,
    match_units,
    n_random_permutations,
    refine_best,
    repeat,
    unit_profiles,
)


def match_signed_units(first: Tensor, second: Tensor, linear: Tensor, seed: int) -> Tensor:
    r"""Compute signed permutations that approximately maximize the objective.

    With permutations p and signs s, it is sum_gij A[g, i, j] s_i B[g, p_i, p_j] s_j + sum_i s_i L[i, p_i]
    with blocks g.

    Args:
        first: A, (pairs, blocks, n, n).
        second: B, (pairs, blocks, n, n).
        linear: L, (pairs, n, n).
        seed: seed of the random initial permutations and signs, which are equal for all pairs.

    Returns:
        Permutations with signs (pairs, n), as in `degen.metrics.pif.optimizers`.
    """
    unsigned = match_units(first, second, linear, seed)
    by_size = match_units(first.abs(), second.abs(), linear.abs(), seed)
    pairs = first, second, linear, unsigned, by_size
    size = batch_size(*first.shape[1:3])
    batches = zip(*(array.split(size) for array in pairs), strict=True)
    return torch.cat([_match_batch(*batch, seed=seed) for batch in batches])


def _match_batch(
    a: Tensor, b: Tensor, linear: Tensor, unsigned: Tensor, by_size: Tensor, *, seed: int
) -> Tensor:
    difference = torch.cdist(unit_profiles(a.abs()), unit_profiles(b.abs())).square()
    by_profile = assign(2 * linear.abs() - difference)
    random = _random_signed_permutations(a.shape[-1], seed).to(a.device)
    with_eigenvector = [_assign_signs(a, b, linear, p, seed) for p in (by_size, by_profile)]
    starts = torch.stack([unsigned, *with_eigenvector, *random.expand(len(a), -1, -1).unbind(1)], dim=1)
    problems = repeat(starts.shape[1], a, b, linear)
    relaxed = frank_wolfe(*problems, to_matrix(starts.flatten(0, 1)) / 2, signed=True)
    candidates = torch.cat([relaxed.view_as(starts), starts], dim=1)
    return refine_best(a, *add_opposite_units(b, linear), candidates)


def _assign_signs(a: Tensor, b: Tensor, linear: Tensor, p: Tensor, seed: int) -> Tensor:
    """Add signs s to permutations p (problems, n) that approximately maximize the objective.

    The objective is a quadratic form in s, and linear terms are those of one more unit, whose sign is 1. With
    the form scaled by the sums of its rows, signs that make all terms positive span the leading eigenspace.
    Its dimension is the number of parts without connections in between.
    """
    n = p.shape[1]
    form = torch.nn.functional.pad((a * permute(b, p)).sum(dim=1), (0, 1, 0, 1))
    form[:, -1, :-1] = linear.gather(2, p.unsqueeze(-1)).squeeze(-1)
    form = form + form.mT
    form.diagonal(dim1=1, dim2=2).zero_()
    sums = form.abs().sum(dim=1)
    scale = sums.where(sums > 0, 1.0).rsqrt()
    values, vectors = torch.linalg.eigh(scale.unsqueeze(1) * form * scale.unsqueeze(2))
    # Project a random vector on the eigenspace: a single eigenvector may be zero in some parts.
    probe = torch.randn(n + 1, generator=torch.Generator().manual_seed(seed), dtype=a.dtype).to(a.device)
    leading = (values / values[:, -1:].clamp(min=1e-300)).clamp(min=0) ** (10 * n**2)
    relaxed = (vectors * leading.unsqueeze(1)) @ (vectors.mT @ probe).unsqueeze(-1)
    return with_signs(p, relaxed[:, :-1, 0] * torch.where(relaxed[:, -1:, 0] < 0, -1.0, 1.0))


def _random_signed_permutations(n: int, seed: int) -> Tensor:
    """Return random signed permutations, (permutations, n)."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(2, n_random_permutations(n), n, generator=generator)
    return with_signs(numbers[0].argsort(dim=-1), numbers[1])
