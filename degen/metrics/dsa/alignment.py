"""The orthogonal matrix that best aligns two operators, for many pairs at once."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn.functional import pad

from degen.metrics.dsa.ascent import climb, eigenbasis, orthogonalize, overlap
from degen.metrics.dsa.starts import starts
from degen.metrics.pairs import canonical

Problem = tuple[Tensor, Tensor, Tensor | None]
"""A, B and L = D E^T of each pair, (pairs, n, n); none without input maps."""

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

    The problem is not convex. Many starts (`starts`) climb by quasi-Newton steps (`climb`); the better half
    climb on, then the best sixth, and the winner to the end. Who wins shows late, so the rounds are long.

    Args:
        first: A, (pairs, n, n), or A and an input map D side by side, (pairs, n, n + inputs).
        second: B, or B and E, likewise.
        seed: of the random starts, which are the same for all pairs.
    """
    a, b, swapped = canonical(first, second)
    batch = max(1, (_GPU_ENTRIES if a.is_cuda else _CPU_BATCH) // (100 * a[0].numel()))
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
    a, b = a[..., :n].contiguous(), b[..., :n].contiguous()
    n_random, steps = max(8, min(100, 7_200_000 // n**3)), 40 + 4 * n // 5
    begin = starts(a, b, linear, n_random, seed)
    # Steps are cheapest in the basis where the symmetric part of A is diagonal.
    basis, turned = eigenbasis(a)
    double = turned, b, None if linear is None else basis.mT @ linear
    single = turned.float(), b.float(), None if double[2] is None else double[2].float()
    c, by_start = _climb_all(single, (basis.mT.unsqueeze(1) @ begin).float(), steps)
    count = c.shape[1]
    c = _best(c, by_start, count // 2)
    c = _best(*_climb_all(single, c, steps // 2), count // 6)
    c = _best(*_climb_all(single, c, steps), 1)
    c, _ = _climb_all(single, c, max(100, 3 * n))
    c, _ = _climb_all(double, orthogonalize(c.double(), 3), _DOUBLE_STEPS)
    rotation = orthogonalize(basis @ c.squeeze(1), 2)
    return rotation, overlap(a, b, linear, rotation) * scale, by_start.double() * scale.unsqueeze(1)


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


def _best(c: Tensor, value: Tensor, count: int) -> Tensor:
    """The `count` entries of c (pairs, starts, n, n) of the highest value (pairs, starts)."""
    index = value.topk(count, dim=1).indices
    return c.gather(1, index[..., None, None].expand(-1, -1, *c.shape[2:]))
