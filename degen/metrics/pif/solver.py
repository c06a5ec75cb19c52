r"""The permutation that best aligns two networks, for many pairs at once.

Maximized: :math:`f(P) = \langle A, P B P^\top \rangle + \langle L, P \rangle` over permutation matrices.
Frank-Wolfe on the doubly stochastic relaxation from several starts (FAQ; Vogelstein et al. 2015, PLoS ONE),
its steps for all starts and pairs at once, then local search by exchange of two units.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

_FAQ_STEPS = 30
_FAQ_TOLERANCE = 0.03  # of a step, root mean square over units: SciPy's
_SWAP_TOLERANCE = 1e-9
_BATCH_ENTRIES = 1 << 20


def match(first: Tensor, second: Tensor, linear: Tensor, seed: int) -> Tensor:
    r"""Permutations p (pairs, n) that maximize sum_ij A[i, j] B[p_i, p_j] + sum_i L[i, p_i].

    Args:
        first, second: A and B, (pairs, n, n).
        linear: L, (pairs, n, n).
        seed: of the random starts, which are the same for all pairs.
    """
    n = first.shape[-1]
    batch = max(1, _BATCH_ENTRIES // (n * n * (2 + _random_starts(n))))
    parts = zip(first.split(batch), second.split(batch), linear.split(batch), strict=True)
    return torch.cat([_match(*part, seed) for part in parts])


def _match(a: Tensor, b: Tensor, linear: Tensor, seed: int) -> Tensor:
    pairs, n = a.shape[:2]
    starts = _starts(a, b, linear, seed)
    found = _frank_wolfe(*_repeated(starts.shape[1], a, b, linear), starts.flatten(0, 1))
    # Where they are cheap, plain permutations start the exchange too: all of FAQ's may lead to one optimum.
    plain = torch.stack([torch.arange(n), *_random_orders(n, seed)]).to(a.device)
    rivals = torch.cat([found.unflatten(0, (pairs, -1)), plain.expand(pairs, -1, n)], dim=1)
    # The exchange is the slow part: at large n only the best gets it.
    kept = min(rivals.shape[1], max(1, 8192 // n**2))
    value = _value(*_repeated(rivals.shape[1], a, b, linear), rivals.flatten(0, 1)).view(pairs, -1)
    order = value.topk(kept, dim=1).indices
    rivals = rivals.gather(1, order.unsqueeze(-1).expand(-1, -1, n))
    problems = _repeated(kept, a, b, linear)
    rivals = _exchange(*problems, rivals.flatten(0, 1))
    best = _value(*problems, rivals).view(pairs, -1).argmax(dim=1)
    return rivals.unflatten(0, (pairs, -1))[torch.arange(pairs, device=a.device), best]


def _repeated(count: int, a: Tensor, b: Tensor, linear: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each pair's matrices, once for each of its `count` candidates."""
    first, second, third = (m.repeat_interleave(count, dim=0) for m in (a, b, linear))
    return first, second, third


def _starts(a: Tensor, b: Tensor, linear: Tensor, seed: int) -> Tensor:
    """Doubly stochastic starts (pairs, starts, n, n).

    The flat one; half way from it, the permutation that matches the units' profiles (sorted rows and columns,
    self-connection), which no order of the units changes; and random ones half way, the same for all pairs.
    """
    pairs, n = a.shape[:2]
    flat = torch.full_like(a, 1 / n).unsqueeze(1)
    profiles = 2 * linear - torch.cdist(_profiles(a), _profiles(b)).square()
    matched = _as_matrix(_assign(profiles), a).unsqueeze(1)
    random = [_as_matrix(p.to(a.device).expand(pairs, n), a).unsqueeze(1) for p in _random_orders(n, seed)]
    return torch.cat([flat, *((start + flat) / 2 for start in (matched, *random))], dim=1)


def _random_orders(n: int, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randperm(n, generator=generator) for _ in range(_random_starts(n))]


def _random_starts(n: int) -> int:
    """Small problems are cheap and rugged."""
    return min(64, 4096 // n**2)


def _profiles(a: Tensor) -> Tensor:
    """What of a unit does not depend on the order of the others: (pairs, n, 2 n + 1)."""
    own = a.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)
    return torch.cat([a.sort(dim=-1).values, a.mT.sort(dim=-1).values, own], dim=-1)


def _frank_wolfe(a: Tensor, b: Tensor, linear: Tensor, p: Tensor) -> Tensor:
    """Permutations (problems, n) reached from the doubly stochastic p (problems, n, n)."""
    running, found = torch.arange(len(a), device=a.device), p.clone()
    gradient = a @ p @ b.mT + a.mT @ p @ b + linear
    for _ in range(_FAQ_STEPS):
        vertex = _assign(gradient)
        towards = _as_matrix(vertex, a) - p
        # The gradient less L is linear in P, and for a permutation half of its products are exchanges.
        order = vertex.argsort(dim=1).unsqueeze(1).expand_as(a)
        turn = a.gather(2, order) @ b.mT + a.mT.gather(2, order) @ b + linear - gradient
        # Along the line f is a parabola: its slope is <gradient, R>, its second derivative <turn, R>.
        slope, bend = ((m * towards).sum(dim=(1, 2)) for m in (gradient, turn))
        share = torch.where(bend < 0, -slope / bend, 1.0).clamp(0, 1).view(-1, 1, 1)
        p, gradient = p + share * towards, gradient + share * turn
        found[running] = p
        step = torch.linalg.matrix_norm(share * towards)
        going = step > _FAQ_TOLERANCE * a.shape[-1] ** 0.5
        if not going.any():
            break
        running, a, b, linear, p, gradient = (x[going] for x in (running, a, b, linear, p, gradient))
    return _assign(found)


def _exchange(a: Tensor, b: Tensor, linear: Tensor, p: Tensor) -> Tensor:
    r"""Exchange the two units that gain most, as long as any exchange gains: p (problems, n).

    With D = B[p][:, p], :math:`T = A D^\top + A^\top D + L[:, p]`, the gain of exchanging units r and s is

    .. math:: T_{rs} + T_{sr} - T_{rr} - T_{ss} + (A_{rr} + A_{ss} - A_{rs} - A_{sr})
        (D_{rr} + D_{ss} - D_{rs} - D_{sr}) .
    """
    running, final, n = torch.arange(len(p), device=a.device), p.clone(), p.shape[1]
    for _ in range(20 * n):
        d = _permuted(b, p)
        table = a @ d.mT + a.mT @ d + linear.gather(2, p.unsqueeze(1).expand(-1, n, -1))
        gain = _corners(a) * _corners(d) - _corners(table)
        best, index = gain.flatten(1).max(dim=1)
        going = best > _SWAP_TOLERANCE * table.abs().amax(dim=(1, 2))
        if not going.any():
            break
        running, a, b, linear, p, index = (x[going] for x in (running, a, b, linear, p, index))
        pair = torch.stack([index // n, index % n], dim=1)
        p = p.scatter(1, pair, p.gather(1, pair.flip(1)))
        final[running] = p
    return final


def _corners(m: Tensor) -> Tensor:
    """m_rr + m_ss - m_rs - m_sr for all r, s."""
    own = m.diagonal(dim1=-2, dim2=-1)
    return own.unsqueeze(-1) + own.unsqueeze(-2) - m - m.mT


def _value(a: Tensor, b: Tensor, linear: Tensor, p: Tensor) -> Tensor:
    """f (problems,) of permutations p (problems, n)."""
    quadratic = (a * _permuted(b, p)).sum(dim=(1, 2))
    return quadratic + linear.gather(2, p.unsqueeze(-1)).sum(dim=(1, 2))


def _permuted(b: Tensor, p: Tensor) -> Tensor:
    """B[p][:, p]."""
    n = b.shape[-1]
    rows = b.gather(1, p.unsqueeze(-1).expand(-1, -1, n))
    return rows.gather(2, p.unsqueeze(1).expand(-1, n, -1))


def _assign(gain: Tensor) -> Tensor:
    """The permutations (problems, n) with the largest total gain (problems, n, n)."""
    found = [linear_sum_assignment(g, maximize=True)[1] for g in gain.cpu().numpy()]
    return torch.as_tensor(np.stack(found), device=gain.device)


def _as_matrix(p: Tensor, like: Tensor) -> Tensor:
    """Permutation matrices (problems, n, n) with a one at (i, p_i)."""
    return torch.nn.functional.one_hot(p, p.shape[-1]).to(like.dtype)
