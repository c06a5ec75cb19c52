"""Approximate solver of the graph matching problem, for many pairs of networks at once.

The objective of `degen.metrics.pif.optimizers` is maximized over permutations in two stages:

1. FAQ from several initial matrices. All initial matrices of all pairs are optimized in parallel.
2. Local search that swaps two units at a time.

Networks with indistinguishable units get further candidates (`degen.metrics.pif.symmetry`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from degen.metrics.pif.optimizers import assign, frank_wolfe, objective, search_locally, to_matrix
from degen.metrics.pif.symmetry import candidate_gains, units_look_alike_in_blocks

_MAX_BATCH_ENTRIES = 1 << 20
_REFINED_SYMMETRIES = 4  # candidates of a symmetric pair that are optimized further
_OBJECTIVE_TOLERANCE = 1e-9  # relative to the norms of the matrices


def match_units(first: Tensor, second: Tensor, linear: Tensor, seed: int) -> Tensor:
    r"""Compute permutations that approximately maximize the objective of `degen.metrics.pif.optimizers`.

    With permutations p, it is sum_gij A[g, i, j] B[g, p_i, p_j] + sum_i L[i, p_i] with blocks g.

    Args:
        first: A, (pairs, blocks, n, n).
        second: B, (pairs, blocks, n, n).
        linear: L, (pairs, n, n).
        seed: seed of the random initial permutations, which are equal for all pairs.

    Returns:
        p, (pairs, n).
    """
    size = batch_size(*first.shape[1:3])
    batches = zip(first.split(size), second.split(size), linear.split(size), strict=True)
    permutations = torch.cat([_match_batch(*batch, seed) for batch in batches])
    alike = units_look_alike_in_blocks(first) & units_look_alike_in_blocks(second)
    for pair in alike.nonzero().flatten().tolist():
        a, b, gain = (m[pair : pair + 1] for m in (first, second, linear))
        permutations[pair] = _match_symmetric(a, b, gain, permutations[pair])
    return permutations


def batch_size(blocks: int, n: int) -> int:
    """Return the number of pairs that are optimized at once."""
    return max(1, _MAX_BATCH_ENTRIES // (blocks * n * n * (2 + n_random_permutations(n))))


def n_random_permutations(n: int) -> int:
    """Return the number of random initial permutations: more at small n, where they are cheap."""
    return min(64, 4096 // n**2)


def unit_profiles(a: Tensor) -> Tensor:
    """Compute features of each unit that do not depend on the order of the other units.

    Args:
        a: (pairs, blocks, n, n).

    Returns:
        (pairs, n, features): of each block the sorted outgoing and incoming weights and the self-connection.
    """
    self_connection = a.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)
    profiles = torch.cat([a.sort(dim=-1).values, a.mT.sort(dim=-1).values, self_connection], dim=-1)
    return profiles.transpose(1, 2).flatten(2)


def repeat(count: int, a: Tensor, b: Tensor, linear: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Repeat the matrices of each pair once for each of its `count` candidates."""
    first, second, third = (m.repeat_interleave(count, dim=0) for m in (a, b, linear))
    return first, second, third


def refine_best(a: Tensor, b: Tensor, linear: Tensor, candidates: Tensor) -> Tensor:
    """Refine the best of the candidates (pairs, candidates, n) by local search, and return (pairs, n).

    Args:
        a, b, linear: A, B and L of each pair. B and L have opposite units if the candidates have signs.
    """
    pairs, n = len(a), a.shape[-1]
    # The local search dominates the run time, so at large n only the best candidate is refined.
    count = min(candidates.shape[1], max(1, 8192 // n**2))
    objectives = objective(*repeat(candidates.shape[1], a, b, linear), candidates.flatten(0, 1))
    order = objectives.view(pairs, -1).topk(count, dim=1).indices
    candidates = candidates.gather(1, order.unsqueeze(-1).expand(-1, -1, n))
    problems = repeat(count, a, b, linear)
    refined = search_locally(*problems, candidates.flatten(0, 1))
    best = objective(*problems, refined).view(pairs, -1).argmax(dim=1)
    return refined.unflatten(0, (pairs, -1))[torch.arange(pairs, device=a.device), best]


def _match_batch(a: Tensor, b: Tensor, linear: Tensor, seed: int) -> Tensor:
    pairs, n = len(a), a.shape[-1]
    initial = _initial_matrices(a, b, linear, seed)
    relaxed = frank_wolfe(*repeat(initial.shape[1], a, b, linear), initial.flatten(0, 1))
    # Also swap from unoptimized permutations: all FAQ solutions may lead to a single local optimum.
    unoptimized = torch.stack([torch.arange(n), *_random_permutations(n, seed)]).to(a.device)
    candidates = torch.cat([relaxed.unflatten(0, (pairs, -1)), unoptimized.expand(pairs, -1, n)], dim=1)
    return refine_best(a, b, linear, candidates)


def _match_symmetric(a: Tensor, b: Tensor, linear: Tensor, permutation: Tensor) -> Tensor:
    """Improve the permutation (n,) of one symmetric pair, if a better permutation is available.

    Args:
        a, b: (1, blocks, n, n).
        linear: (1, n, n).
    """
    candidates = assign(candidate_gains(a[0], b[0]))
    objectives = objective(*_expand(len(candidates), a, b, linear), candidates)
    count = min(_REFINED_SYMMETRIES, len(candidates))
    candidates = candidates[objectives.topk(count).indices]
    relaxed = frank_wolfe(*_expand(count, a, b, linear), to_matrix(candidates))
    problems = _expand(2 * count, a, b, linear)
    refined = search_locally(*problems, torch.cat([candidates, relaxed]))
    best, index = objective(*problems, refined).max(dim=0)
    gain = best - objective(a, b, linear, permutation.unsqueeze(0))
    first, second = (torch.linalg.matrix_norm(m.flatten(1, 2)) for m in (a, b))
    threshold = _OBJECTIVE_TOLERANCE * first * second
    return torch.where(gain > threshold, refined[index], permutation)


def _expand(count: int, *matrices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Repeat the matrices of one pair without copying them."""
    first, second, third = (m.expand(count, *m.shape[1:]) for m in matrices)
    return first, second, third


def _initial_matrices(a: Tensor, b: Tensor, linear: Tensor, seed: int) -> Tensor:
    """Compute the initial doubly stochastic matrices (pairs, initializations, n, n).

    The first is the barycenter, with all entries 1/n. The others lie halfway between the barycenter and a
    permutation: the permutation that matches the units' profiles, then random permutations.
    """
    pairs, n = linear.shape[:2]
    barycenter = torch.full_like(linear, 1 / n).unsqueeze(1)
    similarity = 2 * linear - torch.cdist(unit_profiles(a), unit_profiles(b)).square()
    matched = to_matrix(assign(similarity)).unsqueeze(1)
    random = [to_matrix(p.to(a.device).expand(pairs, n)).unsqueeze(1) for p in _random_permutations(n, seed)]
    return torch.cat([barycenter, *((start + barycenter) / 2 for start in (matched, *random))], dim=1)


def _random_permutations(n: int, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randperm(n, generator=generator) for _ in range(n_random_permutations(n))]
