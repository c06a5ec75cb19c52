"""The orthogonal matrix that best aligns two operators, for many pairs at once."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn.functional import pad

from degen.metrics.dsa.ascent import climb, orthogonalize, overlap
from degen.metrics.dsa.starts import half_turned, starts
from degen.metrics.pairs import canonical

Problem = tuple[Tensor, Tensor, Tensor | None]
"""A, B and L = D E^T of each pair, (pairs, n, n); none without input maps."""

_ROUNDS = ((25, 2), (30, 8), (40, 26))  # steps, and one start in how many then goes on
_HOP_NEIGHBOURS, _HOP_STEPS = 6, 50
_LARGE = 50  # rounds are n // 50 times as long: large operators converge slowly
_DOUBLE_STEPS = 20
_CPU_ENTRIES, _GPU_ENTRIES = 1 << 17, 1 << 26  # of the matrices that climb at once: caches, and memory
_CPU_BATCH = 1 << 22  # of all starts of a batch of pairs; in late rounds it takes many to fill caches


@dataclasses.dataclass(frozen=True)
class Alignment:
    r"""The best alignment of each pair.

    Attributes:
        rotation: (pairs, n, n), the best orthogonal C found, reflections included.
        overlap: (pairs,), that maximum.
        by_start: (pairs, starts), what each start reached before it was given up; its spread shows how rugged
            the problem is.
    """

    rotation: Tensor
    overlap: Tensor
    by_start: Tensor


def align(first: Tensor, second: Tensor, *, seed: int) -> Alignment:
    r"""Maximize :math:`\langle A, C B C^\top \rangle + \langle D, C E \rangle` over C in O(n), for each pair.

    The problem is not convex. Many starts (`starts`) climb by quasi-Newton steps (`climb`), and the best of
    them go on. Neighbours of the best (`half_turned`) then compete with them, several times over;
    smaller operators, cheaper and more rugged, get more of these rounds. The winner climbs to the end.

    Args:
        first: A, (pairs, n, n), or A and an input map D side by side, (pairs, n, n + inputs).
        second: B, or B and E, likewise.
        seed: of the random starts, which are the same for all pairs.
    """
    a, b, swapped = canonical(first, second)
    batch = max(1, (_GPU_ENTRIES if a.is_cuda else _CPU_BATCH) // (80 * a[0].numel()))
    parts = [_align(x, y, seed) for x, y in zip(a.split(batch), b.split(batch), strict=True)]
    rotation, reached, by_start = (torch.cat(column) for column in zip(*parts, strict=True))
    return Alignment(torch.where(swapped.view(-1, 1, 1), rotation.mT, rotation), reached, by_start)


def _align(a: Tensor, b: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rotations (pairs, n, n), overlaps (pairs,) and those by start (pairs, starts)."""
    # Unit norms: single precision then serves whatever the scale of the operators.
    n = a.shape[1]
    scale = torch.linalg.matrix_norm(a) * torch.linalg.matrix_norm(b)
    a, b = (m / torch.linalg.matrix_norm(m, keepdim=True) for m in (a, b))
    linear = a[..., n:] @ b[..., n:].mT if a.shape[2] > n else None
    double = a[..., :n].contiguous(), b[..., :n].contiguous(), linear
    single = double[0].float(), double[1].float(), None if linear is None else linear.float()
    c, by_start = _survivors(single, starts(*double, min(70, 2100 // n), seed).float())
    for hop in range(min(3, 60 // n)):
        c = _hop(single, c, seed + 1 + hop)
    c, _ = _climb_all(single, c[:, :1], max(100, 4 * n))
    c, _ = _climb_all(double, orthogonalize(c.double(), 3), _DOUBLE_STEPS)
    rotation = orthogonalize(c.squeeze(1), 2)
    return rotation, overlap(*double, rotation) * scale, by_start.double() * scale.unsqueeze(1)


def _survivors(problem: Problem, c: Tensor) -> tuple[Tensor, Tensor]:
    """The best starts after the rounds of elimination, best first; what each reached (pairs, starts)."""
    by_start = torch.empty(c.shape[:2], dtype=c.dtype, device=c.device)
    alive = torch.arange(c.shape[1], device=c.device).expand(len(c), -1)
    for steps, divisor in _ROUNDS:
        c, value = _climb_all(problem, c, steps * max(1, c.shape[-1] // _LARGE))
        by_start.scatter_(1, alive, value)
        best = value.topk(max(1, by_start.shape[1] // divisor), dim=1).indices
        alive, c = alive.gather(1, best), _chosen(c, best)
    return c, by_start


def _hop(problem: Problem, c: Tensor, seed: int) -> Tensor:
    """The best of c (pairs, starts, n, n) and of neighbours that climbed, as many, best first."""
    rivals = torch.cat([c, half_turned(c, _HOP_NEIGHBOURS, seed)], dim=1)
    rivals, value = _climb_all(problem, rivals, _HOP_STEPS)
    return _chosen(rivals, value.topk(c.shape[1], dim=1).indices)


def _climb_all(problem: Problem, c: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """`climb` for c (pairs, starts, n, n), with the matrices of its pair."""
    count, n = c.shape[1:3]
    extra = _padding(n) if c.device.type == "cpu" else 0
    # Rows and columns of zeros, in C too, stay zeros.
    a, b, every = (pad(m, (0, extra, 0, extra)) for m in (*problem[:2], c.flatten(0, 1)))
    linear = None if problem[2] is None else pad(problem[2], (0, extra, 0, extra))
    limit = (_GPU_ENTRIES if c.is_cuda else _CPU_ENTRIES) // n**2
    rotations, values = [], []
    for index in torch.arange(len(every), device=c.device).split(max(1, limit)):
        pair = index // count
        pull = None if linear is None else linear[pair]
        found, value = climb(a[pair], b[pair], pull, every[index], steps)
        rotations.append(found[:, :n, :n])
        values.append(value)
    return torch.cat(rotations).view_as(c), torch.cat(values).view(c.shape[:2])


def _padding(n: int) -> int:
    """Rows to the next multiple of 16, where its faster products outweigh their size."""
    extra = -n % 16
    return extra if extra <= n // 10 else 0


def _chosen(c: Tensor, index: Tensor) -> Tensor:
    """The entries `index` (pairs, k) of the second axis of c."""
    return c.gather(1, index[..., None, None].expand(-1, -1, *c.shape[2:]))
