"""Alignment of two operators by an orthogonal matrix, for many pairs at once."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn.functional import pad

from degen.metrics.dsa.initialization import initial_alignments
from degen.metrics.dsa.objective import eigenbasis, orthogonalize, overlap
from degen.metrics.dsa.optimizer import maximize
from degen.metrics.pairs import sort_pairs

Problem = tuple[Tensor, Tensor, Tensor | None]
"""A, B and L = D E^T of each pair, (pairs, n, n). L is None without input maps."""

_DOUBLE_PRECISION_STEPS = 20
# Largest number of matrix entries optimized at once: limited by CPU caches and by GPU memory.
_MAX_CPU_ENTRIES, _MAX_GPU_ENTRIES = 1 << 17, 1 << 26
# Matrix entries per batch of pairs, more than fit into caches because late rounds have few starts per pair.
_CPU_BATCH_ENTRIES = 1 << 22


@dataclasses.dataclass(frozen=True)
class Alignment:
    r"""Best alignment of each pair of operators.

    Attributes:
        rotation: (pairs, n, n), the orthogonal matrix C with the largest overlap. It may be a reflection.
        overlap: (pairs,), :math:`\langle A, C B C^\top \rangle + \langle D, C E \rangle` at `rotation`.
        overlap_by_start: (pairs, starts), overlap reached from each initial matrix in the first round. Its
            spread indicates how many local maxima the problem has.
    """

    rotation: Tensor
    overlap: Tensor
    overlap_by_start: Tensor


def align(first: Tensor, second: Tensor, *, seed: int = 0) -> Alignment:
    r"""Maximize :math:`\langle A, C B C^\top \rangle + \langle D, C E \rangle` over C in O(n), for each pair.

    The problem is not convex and has many local maxima. Many initial matrices (`initial_alignments`) are
    optimized by quasi-Newton steps (`maximize`) in rounds of successive halving. The best half continues
    after the first round and the best sixth after the second. The best of these converges in double
    precision. Early values predict final values poorly, so the rounds are long.

    Args:
        first: A, (pairs, n, n), or A and input map D concatenated to (pairs, n, n + inputs).
        second: B, or B and input map E, in the format of `first`.
        seed: seed of the random initial matrices, which are equal for all pairs.

    Examples:
        >>> a = torch.tensor([[[0.9, 0.0], [0.0, 0.5]]], dtype=torch.float64)
        >>> swap = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
        >>> alignment = align(a, swap @ a @ swap.mT, seed=0)
        >>> alignment.overlap.numpy().round(4)  # the squared norm of a
        array([1.06])
        >>> alignment.rotation.abs().numpy().round(3)
        array([[[0., 1.],
                [1., 0.]]])
    """
    a, b, swapped = sort_pairs(first, second)
    batch_size = max(1, (_MAX_GPU_ENTRIES if a.is_cuda else _CPU_BATCH_ENTRIES) // (100 * a[0].numel()))
    parts = [_align(x, y, seed) for x, y in zip(a.split(batch_size), b.split(batch_size), strict=True)]
    rotation, overlaps, by_start = (torch.cat(column) for column in zip(*parts, strict=True))
    return Alignment(torch.where(swapped.view(-1, 1, 1), rotation.mT, rotation), overlaps, by_start)


def _align(a: Tensor, b: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the fields of `Alignment` for a batch of pairs that `sort_pairs` has sorted.

    Args:
        a, b: operators, followed by input maps if there are any, (pairs, n, n + inputs).
        seed: seed of the random initial matrices.
    """
    # Normalize, so that single precision suffices for operators of any scale.
    n = a.shape[1]
    scale = torch.linalg.matrix_norm(a) * torch.linalg.matrix_norm(b)
    a, b = (m / torch.linalg.matrix_norm(m, keepdim=True) for m in (a, b))
    linear = a[..., n:] @ b[..., n:].mT if a.shape[2] > n else None
    a, b = a[..., :n].contiguous(), b[..., :n].contiguous()
    n_random, steps = max(8, min(100, 7_200_000 // n**3)), 40 + 4 * n // 5
    initial = initial_alignments(a, b, linear, n_random, seed)
    # Steps are cheapest in the basis in which the symmetric part of A is diagonal.
    basis, rotated_a = eigenbasis(a)
    double = rotated_a, b, None if linear is None else basis.mT @ linear
    single = rotated_a.float(), b.float(), None if double[2] is None else double[2].float()
    c, by_start = _maximize_all(single, (basis.mT.unsqueeze(1) @ initial).float(), steps)
    count = c.shape[1]
    c = _select_best(c, by_start, count // 2)
    c = _select_best(*_maximize_all(single, c, steps // 2), count // 6)
    c = _select_best(*_maximize_all(single, c, steps), 1)
    c, _ = _maximize_all(single, c, max(100, 3 * n))
    c, _ = _maximize_all(double, orthogonalize(c.double(), 3), _DOUBLE_PRECISION_STEPS)
    rotation = orthogonalize(basis @ c.squeeze(1), 2)
    return rotation, overlap(a, b, linear, rotation) * scale, by_start.double() * scale.unsqueeze(1)


def _maximize_all(problem: Problem, c: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Run `maximize` from all matrices c (pairs, starts, n, n), in batches.

    Returns:
        Final matrices (pairs, starts, n, n) and their objective (pairs, starts).
    """
    n_starts, n = c.shape[1:3]
    extra = _padding(n) if c.device.type == "cpu" else 0
    # Zero-pad all matrices, including C. The padded rows and columns remain zero.
    a, b, initial = (pad(m, (0, extra, 0, extra)) for m in (*problem[:2], c.flatten(0, 1)))
    linear = None if problem[2] is None else pad(problem[2], (0, extra, 0, extra))
    batch_size = max(1, (_MAX_GPU_ENTRIES if c.is_cuda else _MAX_CPU_ENTRIES) // n**2)
    rotations, values = [], []
    for index in torch.arange(len(initial), device=c.device).split(batch_size):
        pair = index // n_starts
        linear_terms = None if linear is None else linear[pair]
        rotation, value = maximize(a[pair], b[pair], linear_terms, initial[index], steps)
        rotations.append(rotation[:, :n, :n])
        values.append(value)
    return torch.cat(rotations).view_as(c), torch.cat(values).view(c.shape[:2])


def _padding(n: int) -> int:
    """Return the rows to add up to a multiple of 16, if faster matrix products outweigh the larger size."""
    extra = -n % 16
    return extra if extra <= n // 10 else 0


def _select_best(c: Tensor, value: Tensor, count: int) -> Tensor:
    """Select the `count` matrices of c (pairs, starts, n, n) with the largest value (pairs, starts)."""
    index = value.topk(count, dim=1).indices
    return c.gather(1, index[..., None, None].expand(-1, -1, *c.shape[2:]))
