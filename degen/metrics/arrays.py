"""What every metric accepts: NumPy arrays or torch tensors, checked and turned into float64 tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degen.errors import BadInputError, require

Array = NDArray[Any] | Tensor
"""A NumPy array or a torch tensor, on any device."""


def to_tensor(field: str, values: Array, ndim: int) -> Tensor:
    """`values` as a float64 tensor on its own device.

    Raises:
        BadInputError: not `ndim` axes, complex, or NaN or infinite entries.
    """
    given = torch.as_tensor(values).detach()
    require(not given.is_complex(), f"{field} entries", str(given.dtype), "real numbers")
    tensor = given.to(torch.float64)
    require(tensor.ndim == ndim, f"{field} shape", tuple(tensor.shape), f"of {ndim} axes")
    require(bool(torch.isfinite(tensor).all()), field, "NaN or infinity", "finite")
    return tensor


def require_pairs(field: str, values: Array | Sequence[Array]) -> None:
    """Raise `BadInputError` for fewer than two networks."""
    require(len(values) >= 2, f"networks in {field}", len(values), "at least 2, since distances are of pairs")


def to_networks(field: str, values: Array | Sequence[Array], ndim: int) -> list[Tensor]:
    """One float64 tensor of `ndim` axes for each network, from a stacked array or a list.

    Raises:
        BadInputError: fewer than two networks, or a network with NaN, infinity or a wrong number of axes.
    """
    require_pairs(field, values)
    return [to_tensor(f"{field} of network {index}", value, ndim) for index, value in enumerate(values)]


def to_square(field: str, values: Array | Sequence[Array]) -> Tensor:
    """Stacked square matrices (networks, n, n).

    Raises:
        BadInputError: fewer than two, not finite, not square, or not all of one size.
    """
    matrices = to_networks(field, values, 2)
    sizes = [tuple(matrix.shape) for matrix in matrices]
    require(all(rows == columns for rows, columns in sizes), f"{field} sizes", sizes, "square")
    if len(set(sizes)) > 1:
        raise BadInputError(
            f"{field} have sizes {sorted(set(sizes))}, but a distance needs matrices of one size: "
            "use one width, or one choice of components, lag and rank, for all networks that are compared."
        )
    return torch.stack(matrices)


def to_numpy(tensor: Tensor) -> NDArray[np.float64]:
    """A float64 NumPy array with the values of `tensor`."""
    return tensor.cpu().numpy().astype(np.float64)
