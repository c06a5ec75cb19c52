"""Validation and conversion of the arrays that metrics accept."""

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
    """Convert an array to a float64 tensor on its current device.

    Args:
        field: name of the argument in error messages.
        values: real, finite numbers.
        ndim: required number of axes.

    Raises:
        BadInputError: `values` is not numeric, complex or masked, contains NaN or infinity, or has another
            number of axes.

    Examples:
        >>> to_tensor("losses", np.array([1, 2], dtype=np.float32), ndim=1)
        tensor([1., 2.], dtype=torch.float64)
    """
    original = torch.as_tensor(_supported(field, values)).detach()
    require(not original.is_complex(), f"{field} entries", str(original.dtype), "real numbers")
    tensor = original.to(torch.float64)
    require(tensor.ndim == ndim, f"{field} shape", tuple(tensor.shape), f"of {ndim} axes")
    require(bool(torch.isfinite(tensor).all()), field, "NaN or infinity", "finite")
    return tensor


def _supported(field: str, values: Array) -> Array:
    """Return a NumPy array in a layout that torch accepts: native byte order, positive strides, writable."""
    if not isinstance(values, np.ndarray):
        return values
    allowed = "real numbers without a mask"
    is_numeric = values.dtype.kind in "biufc" and not np.ma.is_masked(values)
    require(is_numeric, f"{field} entries", f"{type(values).__name__} of {values.dtype}", allowed)
    if values.dtype.kind == "c":
        return values.astype(np.complex128)  # rejected below
    native = np.asarray(values, dtype=np.float64, order="C")
    return native if native.flags.writeable else native.copy()


def require_two_networks(field: str, values: Array | Sequence[Array]) -> None:
    """Raise `BadInputError` if `values` holds fewer than two networks."""
    require(len(values) >= 2, f"networks in {field}", len(values), "at least 2 to compute a distance")


def to_networks(field: str, values: Array | Sequence[Array], ndim: int) -> list[Tensor]:
    """Convert a stacked array or a list of arrays to one float64 tensor per network.

    Args:
        field: name of the argument in error messages.
        values: (networks, ...), or a list with one array per network. Shapes may differ between networks.
        ndim: required number of axes of each network's array.

    Raises:
        BadInputError: fewer than two networks, or an array that `to_tensor` rejects.
    """
    require_two_networks(field, values)
    return [to_tensor(f"{field} of network {index}", value, ndim) for index, value in enumerate(values)]


def to_square_matrices(field: str, values: Array | Sequence[Array]) -> Tensor:
    """Convert the square matrices of all networks to one float64 tensor (networks, n, n).

    Raises:
        BadInputError: fewer than two matrices, or matrices that are not finite, not square or not equal in
            size.
    """
    matrices = to_networks(field, values, 2)
    sizes = [tuple(matrix.shape) for matrix in matrices]
    require(all(rows == columns for rows, columns in sizes), f"{field} sizes", sizes, "square")
    if len(set(sizes)) > 1:
        raise BadInputError(
            f"{field} must all have the same size, got sizes {sorted(set(sizes))}: "
            "compare weights of equal width, and operators of equal rank."
        )
    return torch.stack(matrices)


def to_block_stacks(field: str, values: Array | Sequence[Array]) -> Tensor:
    """Convert recurrent matrices to one float64 tensor (networks, blocks, n, n).

    Args:
        field: name of the argument in error messages.
        values: for each network one square matrix (n, n), or the matrices of its gates (blocks, n, n).

    Raises:
        BadInputError: fewer than two networks, or matrices that are not finite, not square or not equal in
            size and number.
    """
    if all(len(value.shape) == 2 for value in values):
        return to_square_matrices(field, values).unsqueeze(1)
    stacks = to_networks(field, values, 3)
    shapes = sorted({tuple(stack.shape) for stack in stacks})
    is_one_shape = len(shapes) == 1 and shapes[0][1] == shapes[0][2] and shapes[0][0] > 0
    require(is_one_shape, f"{field} shapes", shapes, "one shape (blocks, n, n) for all networks")
    return torch.stack(stacks)


def to_numpy(tensor: Tensor) -> NDArray[np.float64]:
    """Convert a tensor on any device to a float64 NumPy array."""
    return tensor.cpu().numpy().astype(np.float64)
