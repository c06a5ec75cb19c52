r"""Optimizers of the graph matching problem, for many initializations of many pairs of networks at once.

The objective :math:`f(Q) = \sum_g \langle A_g, Q B_g Q^\top \rangle + \langle L, Q \rangle` is maximized over
permutation matrices, or over signed permutation matrices, whose nonzero entries are 1 or -1. The sum is over
blocks: the recurrent matrices of the gates of a gated cell, which have one Q. Other networks have one block.

- `frank_wolfe` optimizes the relaxation to the convex hull (FAQ, Vogelstein et al. 2015, PLoS ONE). Each step
  maximizes a linear function G. The maximum is the permutation with the largest sum of entries of G, or with
  signs, of absolute values :math:`|G_{ij}|`, where the signs are those of the entries.
- `search_locally` swaps two units at a time. With signs, it also flips the sign of one unit at a time.

Permutations are index tensors p with Q[i, p_i] = 1. With signs, an index p_i from n to 2n - 1 means
Q[i, p_i - n] = -1: the second network has n more units, which are the first n with the opposite sign
(`add_opposite_units`). Shapes use `problems` for one initialization of one pair.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

_FAQ_STEPS = 30
_FAQ_TOLERANCE = 0.03  # root-mean-square size of a step over units, the default of SciPy
_SEARCH_TOLERANCE = 1e-9  # relative to the largest entry of T (`search_locally`)


def assign(gain: Tensor, *, signed: bool = False) -> Tensor:
    """Solve the linear assignment problem: permutations (problems, n) that maximize the total gain.

    Args:
        gain: (problems, n, n).
        signed: maximize over signed permutations.
    """
    sizes = gain.abs() if signed else gain
    assigned = [linear_sum_assignment(g, maximize=True)[1] for g in sizes.cpu().numpy()]
    p = torch.as_tensor(np.stack(assigned), device=gain.device)
    return with_signs(p, gain.gather(2, p.unsqueeze(-1)).squeeze(-1)) if signed else p


def with_signs(p: Tensor, values: Tensor) -> Tensor:
    """Return permutations (..., n) with the signs of `values` (..., n)."""
    return p + p.shape[-1] * (values < 0)


def split_signs(p: Tensor) -> tuple[Tensor, Tensor]:
    """Return the permutations (..., n) of signed permutations, and their signs as 1.0 or -1.0.

    Examples:
        >>> split_signs(torch.tensor([1, 3]))
        (tensor([1, 1]), tensor([ 1., -1.], dtype=torch.float64))
    """
    n = p.shape[-1]
    return p % n, torch.where(p < n, 1.0, -1.0).double()


def add_opposite_units(b: Tensor, linear: Tensor) -> tuple[Tensor, Tensor]:
    """Return B (..., 2n, 2n) and L (..., n, 2n): the last n units are the first n with opposite signs."""
    wide = torch.cat([b, -b], dim=-1)
    return torch.cat([wide, -wide], dim=-2), torch.cat([linear, -linear], dim=-1)


def to_matrix(p: Tensor) -> Tensor:
    """Return the matrices Q (..., n, n) of permutations (..., n)."""
    units, signs = split_signs(p)
    return torch.nn.functional.one_hot(units, p.shape[-1]) * signs.unsqueeze(-1)


def permute(b: Tensor, p: Tensor) -> Tensor:
    """Reorder rows and columns of each block: B[p][:, p], (problems, blocks, n, n)."""
    n, blocks = p.shape[-1], b.shape[1]
    rows = b.gather(2, p[:, None, :, None].expand(-1, blocks, -1, b.shape[-1]))
    return rows.gather(3, p[:, None, None].expand(-1, blocks, n, -1))


def objective(a: Tensor, b: Tensor, linear: Tensor, p: Tensor) -> Tensor:
    """Compute f (problems,) of permutations p (problems, n). B and L have opposite units if p has signs."""
    quadratic = (a * permute(b, p)).sum(dim=(1, 2, 3))
    return quadratic + linear.gather(2, p.unsqueeze(-1)).sum(dim=(1, 2))


def frank_wolfe(a: Tensor, b: Tensor, linear: Tensor, q: Tensor, *, signed: bool = False) -> Tensor:
    """Maximize the relaxed objective from matrices q (problems, n, n).

    Args:
        a, b: A and B, (problems, blocks, n, n), without opposite units.
        linear: L, (problems, n, n), without opposite units.
        signed: maximize over signed permutations.

    Returns:
        Permutations (problems, n) nearest to the final matrices.
    """
    active, final = torch.arange(len(a), device=a.device), q.clone()
    gradient = (a @ q.unsqueeze(1) @ b.mT + a.mT @ q.unsqueeze(1) @ b).sum(dim=1) + linear
    for _ in range(_FAQ_STEPS):
        vertex = assign(gradient, signed=signed)
        direction = to_matrix(vertex) - q
        # The gradient minus L is linear in Q. Products with a vertex reduce to indexing.
        units, signs = split_signs(vertex)
        order = units.argsort(dim=1).unsqueeze(1)
        column_signs, order = signs.unsqueeze(1).gather(2, order), order.unsqueeze(1).expand_as(a)
        forward, backward = (m.gather(3, order) * column_signs.unsqueeze(1) for m in (a, a.mT))
        gradient_change = (forward @ b.mT + backward @ b).sum(dim=1) + linear - gradient
        # Exact line search: f is a parabola along the direction.
        slope, curvature = ((m * direction).sum(dim=(1, 2)) for m in (gradient, gradient_change))
        step_size = torch.where(curvature < 0, -slope / curvature, 1.0).clamp(0, 1).view(-1, 1, 1)
        q, gradient = q + step_size * direction, gradient + step_size * gradient_change
        final[active] = q
        change = torch.linalg.matrix_norm(step_size * direction)
        unfinished = change > _FAQ_TOLERANCE * a.shape[-1] ** 0.5
        if not unfinished.any():
            break
        active, a, b, linear, q, gradient = (x[unfinished] for x in (active, a, b, linear, q, gradient))
    return assign(final, signed=signed)


def search_locally(a: Tensor, b: Tensor, linear: Tensor, p: Tensor) -> Tensor:
    r"""Swap the two units with the largest gain until no swap improves the permutation p (problems, n).

    With D = B[p][:, p] and :math:`T = A D^\top + A^\top D + L[:, p]`, swapping units r and s gains

    .. math:: T_{rs} + T_{sr} - T_{rr} - T_{ss} + (A_{rr} + A_{ss} - A_{rs} - A_{sr})
        (D_{rr} + D_{ss} - D_{rs} - D_{sr}) .

    If B and L have opposite units, flipping the sign of unit r is a further move, which gains
    :math:`4 A_{rr} D_{rr} - 2 T_{rr}`. Products with D are summed over the blocks.
    """
    active, final, n = torch.arange(len(p), device=a.device), p.clone(), p.shape[1]
    has_signs = b.shape[-1] > n
    for _ in range(20 * n):
        d = permute(b, p)
        table = (a @ d.mT + a.mT @ d).sum(dim=1) + linear.gather(2, p.unsqueeze(1).expand(-1, n, -1))
        gain = (_swap_difference(a) * _swap_difference(d)).sum(dim=1) - _swap_difference(table)
        if has_signs:  # on the diagonal, where swaps gain nothing
            flips = (4 * a * d).sum(dim=1) - 2 * table
            gain = gain + torch.diag_embed(flips.diagonal(dim1=1, dim2=2))
        best, index = gain.flatten(1).max(dim=1)
        unfinished = best > _SEARCH_TOLERANCE * table.abs().amax(dim=(1, 2))
        if not unfinished.any():
            break
        active, a, b, linear, p, index = (x[unfinished] for x in (active, a, b, linear, p, index))
        pair = torch.stack([index // n, index % n], dim=1)
        is_flip = (pair[:, :1] == pair[:, 1:]).long()
        p = p.scatter(1, pair, (p.gather(1, pair.flip(1)) + n * is_flip) % b.shape[-1])
        final[active] = p
    return final


def _swap_difference(m: Tensor) -> Tensor:
    """Compute m_rr + m_ss - m_rs - m_sr for all r and s."""
    diagonal = m.diagonal(dim1=-2, dim2=-1)
    return diagonal.unsqueeze(-1) + diagonal.unsqueeze(-2) - m - m.mT
