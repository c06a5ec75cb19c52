"""Gain and rank of initial recurrent matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from degen.errors import require, require_integer, require_number


def require_gain(gain: float) -> None:
    """Raise `BadInputError` unless `gain` is a positive number."""
    require_number("parameterization.initial_gain", gain, above=0.0)


def require_rank(rank: int, width: int) -> None:
    """Raise `BadInputError` unless `rank` is 0, for full rank, or a rank of matrices of this width."""
    require_integer("parameterization.initial_rank", rank, 0)
    allowed = f"at most width = {width} (0: full rank)"
    require(rank <= width, "parameterization.initial_rank", rank, allowed)


def scale_initial(recurrent: Tensor, gain: float, rank: int) -> Tensor:
    """Return initial recurrent matrices with a gain and a rank.

    With `rank`, the largest singular values of each block are kept, and scaled so that the Frobenius norm
    does not change (Liu et al. 2024, "How connectivity structure shapes rich and lazy learning").

    Args:
        recurrent: square blocks below each other, (seeds, blocks * n, n).
        gain: factor of all entries.
        rank: rank of each block; 0 for the rank it has.

    Examples:
        >>> matrix = torch.diag(torch.tensor([4.0, 3.0])).unsqueeze(0)
        >>> scale_initial(matrix, gain=2.0, rank=1)
        tensor([[[10.,  0.],
                 [ 0.,  0.]]])
    """
    if rank == 0:
        return recurrent if gain == 1.0 else gain * recurrent
    n = recurrent.shape[-1]
    blocks = recurrent.double().unflatten(-2, (-1, n))
    left, singular, right = torch.linalg.svd(blocks)
    largest = singular[..., :rank]
    scale = gain * torch.linalg.vector_norm(singular, dim=-1) / torch.linalg.vector_norm(largest, dim=-1)
    values = (scale.unsqueeze(-1) * largest).unsqueeze(-2)
    return ((left[..., :rank] * values) @ right[..., :rank, :]).flatten(-3, -2).to(recurrent.dtype)
