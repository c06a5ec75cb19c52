"""How far training moved a network: weights, tangent kernel, representation (App. I and L of the paper)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from degen.errors import require
from degen.metrics.arrays import Array, to_numpy, to_tensor


def weight_change(initial: Array, final: Array, *, per_parameter: bool = False) -> NDArray[np.float64]:
    r"""Weight change norm :math:`\|W_T - W_0\|_F` of each network, or per weight (App. I).

    Args:
        initial, final: (networks, rows, columns).
        per_parameter: divide by rows * columns.

    Returns:
        (networks,).

    Raises:
        BadInputError: not finite, or not of one shape.
    """
    before, after = to_tensor("initial", initial, 3), to_tensor("final", final, 3)
    require(
        before.shape == after.shape,
        "final shape",
        tuple(after.shape),
        f"that of initial, {tuple(before.shape)}",
    )
    norms = torch.linalg.matrix_norm(after - before)
    return to_numpy(norms / before[0].numel() if per_parameter else norms)


def representation_alignment(initial: Array, final: Array) -> NDArray[np.float64]:
    r"""Representation alignment RA of each network before and after training (App. L).

    .. math:: RA = \frac{\mathrm{Tr}(R^{(T)} R^{(0)})}{\|R^{(T)}\|_F \|R^{(0)}\|_F}, \quad R = H^\top H

    with H the activations (units, samples), not centred. Computed from the cross-products of units, since
    :math:`\mathrm{Tr}(R^{(T)} R^{(0)}) = \|H^{(T)} H^{(0)\top}\|_F^2`: no samples-by-samples matrix.

    Args:
        initial, final: (networks, samples, units), the same samples in both.

    Returns:
        (networks,), between 0 and 1.

    Raises:
        BadInputError: not finite, all zero, or not of the same networks and samples.
    """
    before, after = to_tensor("initial", initial, 3), to_tensor("final", final, 3)
    require(before.shape[:2] == after.shape[:2], "final shape", tuple(after.shape), "of initial's samples")
    cross, own_before, own_after = (
        (x.mT @ y).square().sum(dim=(1, 2)) for x, y in ((after, before), (before, before), (after, after))
    )
    scale = (own_before * own_after).sqrt()
    require(bool((scale > 0).all()), "activations", 0, "other than zero")
    return to_numpy(cross / scale)
