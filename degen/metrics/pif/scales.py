"""Scales of units, which do not change what a network with a homogeneous nonlinearity computes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from degen.metrics.arrays import Array, to_square_matrices

_MAX_SWEEPS = 1000
_TOLERANCE = 1e-10
"""Largest relative difference between the norms of a unit's row and column."""


def balance(weights: Array | Sequence[Array]) -> Tensor:
    r"""Scale the units of each network so that each row of its recurrent matrix has the norm of its column.

    If the nonlinearity is homogeneous, f(a h) = a f(h) for a > 0 as for ReLU, a network computes the same
    function with the recurrent matrix :math:`D W D^{-1}` for any positive diagonal D, and input and output
    weights scaled accordingly. The balanced matrix is the one of smallest norm. It is unique if every unit is
    connected with every other, directly or indirectly. Distances of balanced matrices therefore do not depend
    on scales. Balancing commutes with permutations of units.

    Rows and columns are scaled in turn until all norms agree (Osborne 1960, Journal of the ACM 7). Entries
    on the diagonal do not change. A unit without inputs from or outputs to other units keeps its scale.

    Args:
        weights: recurrent weights, (networks, n, n).

    Returns:
        (networks, n, n), in float64.

    Raises:
        BadInputError: fewer than two networks, or matrices that are not finite, square and of one size.

    Examples:
        >>> w = np.array([[0.0, 1.0], [1.0, 0.0]])
        >>> scales = np.array([1.0, 8.0])
        >>> balance([w, scales[:, None] * w / scales])[1]
        tensor([[0., 1.],
                [1., 0.]], dtype=torch.float64)
    """
    balanced = to_square_matrices("recurrent weights", weights).cpu().numpy().copy()
    diagonal = np.einsum("kii->ki", balanced)
    stored = diagonal.copy()
    diagonal[:] = 0  # it does not depend on scales
    for _ in range(_MAX_SWEEPS):
        if _sweep(balanced) <= _TOLERANCE:
            break
    diagonal[:] = stored
    return torch.from_numpy(balanced)


def _sweep(matrices: np.ndarray) -> float:
    """Balance each unit in turn, in place. Return the largest difference of logarithms before the sweep."""
    largest = 0.0
    for unit in range(matrices.shape[-1]):
        row, column = matrices[:, unit, :], matrices[:, :, unit]
        norms = np.linalg.norm(row, axis=1), np.linalg.norm(column, axis=1)
        is_connected = (norms[0] > 0) & (norms[1] > 0)
        ratio = np.divide(norms[1], norms[0], out=np.ones_like(norms[0]), where=is_connected)
        scale = np.sqrt(ratio)[:, None]
        row *= scale
        column /= scale
        largest = max(largest, float(np.abs(np.log(ratio)).max()))
    return largest
