r"""Approximate solver of the graph matching problem, for many pairs of networks at once.

The objective :math:`f(P) = \langle A, P B P^\top \rangle + \langle L, P \rangle` is maximized over
permutation matrices P. The solver has two stages:

1. FAQ: Frank-Wolfe on the doubly stochastic relaxation, from several initial matrices (Vogelstein et al.
   2015, PLoS ONE). All initial matrices of all pairs are optimized in parallel.
2. Local search that swaps two units at a time.

Networks with indistinguishable units get further candidates (`degen.metrics.pif.symmetry`).

Permutations are index tensors p with P[i, p_i] = 1. Shapes use `problems` for one initialization of one pair.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from degen.metrics.pif.symmetry import candidate_gains, units_look_alike

_FAQ_STEPS = 30
_FAQ_TOLERANCE = 0.03  # root-mean-square size of a step over units, the default of SciPy
_SWAP_TOLERANCE = 1e-9  # relative to the largest entry of T (`_swap_units`)
_MAX_BATCH_ENTRIES = 1 << 20
_REFINED_SYMMETRIES = 4  # candidates of a symmetric pair that are optimized further
_OBJECTIVE_TOLERANCE = 1e-9  # relative to the norms of the matrices


def match_units(first: Tensor, second: Tensor, linear: Tensor, seed: int) -> Tensor:
    r"""Compute permutations that approximately maximize sum_ij A[i, j] B[p_i, p_j] + sum_i L[i, p_i].

    Args:
        first: A, (pairs, n, n).
        second: B, (pairs, n, n).
        linear: L, (pairs, n, n).
        seed: seed of the random initial permutations, which are equal for all pairs.

    Returns:
        p, (pairs, n).
    """
    n = first.shape[-1]
    batch_size = max(1, _MAX_BATCH_ENTRIES // (n * n * (2 + _n_random_permutations(n))))
    batches = zip(first.split(batch_size), second.split(batch_size), linear.split(batch_size), strict=True)
    permutations = torch.cat([_match_batch(*batch, seed) for batch in batches])
    alike = units_look_alike(first) & units_look_alike(second)
    for pair in alike.nonzero().flatten().tolist():
        a, b, gain = (m[pair : pair + 1] for m in (first, second, linear))
        permutations[pair] = _match_symmetric(a, b, gain, permutations[pair])
    return permutations


def _match_batch(a: Tensor, b: Tensor, linear: Tensor, seed: int) -> Tensor:
    pairs, n = a.shape[:2]
    initial = _initial_matrices(a, b, linear, seed)
    relaxed = _frank_wolfe(*_repeat(initial.shape[1], a, b, linear), initial.flatten(0, 1))
    # Also swap from unoptimized permutations: all FAQ solutions may lead to a single local optimum.
    unoptimized = torch.stack([torch.arange(n), *_random_permutations(n, seed)]).to(a.device)
    candidates = torch.cat([relaxed.unflatten(0, (pairs, -1)), unoptimized.expand(pairs, -1, n)], dim=1)
    # Swapping dominates the run time, so at large n only the best candidate is refined.
    count = min(candidates.shape[1], max(1, 8192 // n**2))
    objectives = _objective(*_repeat(candidates.shape[1], a, b, linear), candidates.flatten(0, 1))
    order = objectives.view(pairs, -1).topk(count, dim=1).indices
    candidates = candidates.gather(1, order.unsqueeze(-1).expand(-1, -1, n))
    problems = _repeat(count, a, b, linear)
    refined = _swap_units(*problems, candidates.flatten(0, 1))
    best = _objective(*problems, refined).view(pairs, -1).argmax(dim=1)
    return refined.unflatten(0, (pairs, -1))[torch.arange(pairs, device=a.device), best]


def _match_symmetric(a: Tensor, b: Tensor, linear: Tensor, permutation: Tensor) -> Tensor:
    """Improve the permutation (n,) of one symmetric pair (1, n, n), if a better permutation is available."""
    candidates = _assign(candidate_gains(a[0], b[0]))
    objectives = _objective(*_expand(len(candidates), a, b, linear), candidates)
    count = min(_REFINED_SYMMETRIES, len(candidates))
    candidates = candidates[objectives.topk(count).indices]
    relaxed = _frank_wolfe(*_expand(count, a, b, linear), _permutation_matrix(candidates, a))
    problems = _expand(2 * count, a, b, linear)
    refined = _swap_units(*problems, torch.cat([candidates, relaxed]))
    best, index = _objective(*problems, refined).max(dim=0)
    gain = best - _objective(a, b, linear, permutation.unsqueeze(0))
    threshold = _OBJECTIVE_TOLERANCE * torch.linalg.matrix_norm(a) * torch.linalg.matrix_norm(b)
    return torch.where(gain > threshold, refined[index], permutation)


def _expand(count: int, *matrices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Repeat the matrices of one pair without copying them."""
    first, second, third = (m.expand(count, -1, -1) for m in matrices)
    return first, second, third


def _repeat(count: int, a: Tensor, b: Tensor, linear: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Repeat the matrices of each pair once for each of its `count` candidates."""
    first, second, third = (m.repeat_interleave(count, dim=0) for m in (a, b, linear))
    return first, second, third


def _initial_matrices(a: Tensor, b: Tensor, linear: Tensor, seed: int) -> Tensor:
    """Compute the initial doubly stochastic matrices (pairs, initializations, n, n).

    The first is the barycenter, with all entries 1/n. The others lie halfway between the barycenter and a
    permutation: the permutation that matches the units' profiles, then random permutations.
    """
    pairs, n = a.shape[:2]
    barycenter = torch.full_like(a, 1 / n).unsqueeze(1)
    similarity = 2 * linear - torch.cdist(_unit_profiles(a), _unit_profiles(b)).square()
    matched = _permutation_matrix(_assign(similarity), a).unsqueeze(1)
    random = [
        _permutation_matrix(p.to(a.device).expand(pairs, n), a).unsqueeze(1)
        for p in _random_permutations(n, seed)
    ]
    return torch.cat([barycenter, *((start + barycenter) / 2 for start in (matched, *random))], dim=1)


def _random_permutations(n: int, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randperm(n, generator=generator) for _ in range(_n_random_permutations(n))]


def _n_random_permutations(n: int) -> int:
    """Return the number of random initial permutations: more at small n, where they are cheap."""
    return min(64, 4096 // n**2)


def _unit_profiles(a: Tensor) -> Tensor:
    """Compute features of each unit that do not depend on the order of the other units.

    Returns:
        (pairs, n, 2 n + 1): sorted outgoing and incoming weights, and the self-connection.
    """
    self_connection = a.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)
    return torch.cat([a.sort(dim=-1).values, a.mT.sort(dim=-1).values, self_connection], dim=-1)


def _frank_wolfe(a: Tensor, b: Tensor, linear: Tensor, p: Tensor) -> Tensor:
    """Maximize the relaxed objective from doubly stochastic matrices p (problems, n, n).

    Returns:
        Permutations (problems, n) nearest to the final matrices.
    """
    active, final = torch.arange(len(a), device=a.device), p.clone()
    gradient = a @ p @ b.mT + a.mT @ p @ b + linear
    for _ in range(_FAQ_STEPS):
        vertex = _assign(gradient)
        direction = _permutation_matrix(vertex, a) - p
        # The gradient minus L is linear in P. Products with a permutation matrix reduce to indexing.
        order = vertex.argsort(dim=1).unsqueeze(1).expand_as(a)
        gradient_change = a.gather(2, order) @ b.mT + a.mT.gather(2, order) @ b + linear - gradient
        # Exact line search: f is a parabola along the direction.
        slope, curvature = ((m * direction).sum(dim=(1, 2)) for m in (gradient, gradient_change))
        step_size = torch.where(curvature < 0, -slope / curvature, 1.0).clamp(0, 1).view(-1, 1, 1)
        p, gradient = p + step_size * direction, gradient + step_size * gradient_change
        final[active] = p
        change = torch.linalg.matrix_norm(step_size * direction)
        unfinished = change > _FAQ_TOLERANCE * a.shape[-1] ** 0.5
        if not unfinished.any():
            break
        active, a, b, linear, p, gradient = (x[unfinished] for x in (active, a, b, linear, p, gradient))
    return _assign(final)


def _swap_units(a: Tensor, b: Tensor, linear: Tensor, p: Tensor) -> Tensor:
    r"""Swap the two units with the largest gain until no swap improves the permutation p (problems, n).

    With D = B[p][:, p] and :math:`T = A D^\top + A^\top D + L[:, p]`, swapping units r and s gains

    .. math:: T_{rs} + T_{sr} - T_{rr} - T_{ss} + (A_{rr} + A_{ss} - A_{rs} - A_{sr})
        (D_{rr} + D_{ss} - D_{rs} - D_{sr}) .
    """
    active, final, n = torch.arange(len(p), device=a.device), p.clone(), p.shape[1]
    for _ in range(20 * n):
        d = _permute(b, p)
        table = a @ d.mT + a.mT @ d + linear.gather(2, p.unsqueeze(1).expand(-1, n, -1))
        gain = _swap_difference(a) * _swap_difference(d) - _swap_difference(table)
        best, index = gain.flatten(1).max(dim=1)
        unfinished = best > _SWAP_TOLERANCE * table.abs().amax(dim=(1, 2))
        if not unfinished.any():
            break
        active, a, b, linear, p, index = (x[unfinished] for x in (active, a, b, linear, p, index))
        pair = torch.stack([index // n, index % n], dim=1)
        p = p.scatter(1, pair, p.gather(1, pair.flip(1)))
        final[active] = p
    return final


def _swap_difference(m: Tensor) -> Tensor:
    """Compute m_rr + m_ss - m_rs - m_sr for all r and s."""
    diagonal = m.diagonal(dim1=-2, dim2=-1)
    return diagonal.unsqueeze(-1) + diagonal.unsqueeze(-2) - m - m.mT


def _objective(a: Tensor, b: Tensor, linear: Tensor, p: Tensor) -> Tensor:
    """Compute f (problems,) of permutations p (problems, n)."""
    quadratic = (a * _permute(b, p)).sum(dim=(1, 2))
    return quadratic + linear.gather(2, p.unsqueeze(-1)).sum(dim=(1, 2))


def _permute(b: Tensor, p: Tensor) -> Tensor:
    """Reorder rows and columns: B[p][:, p]."""
    n = b.shape[-1]
    rows = b.gather(1, p.unsqueeze(-1).expand(-1, -1, n))
    return rows.gather(2, p.unsqueeze(1).expand(-1, n, -1))


def _assign(gain: Tensor) -> Tensor:
    """Solve the linear assignment problem: permutations (problems, n) that maximize the total gain."""
    permutations = [linear_sum_assignment(g, maximize=True)[1] for g in gain.cpu().numpy()]
    return torch.as_tensor(np.stack(permutations), device=gain.device)


def _permutation_matrix(p: Tensor, like: Tensor) -> Tensor:
    """Return matrices (problems, n, n) with entry 1 at (i, p_i), of the dtype of `like`."""
    return torch.nn.functional.one_hot(p, p.shape[-1]).to(like.dtype)
