"""Amount of feature learning: change of weights and representations by training (App. I and L of the paper).

The change of the neural tangent kernel is measured in `degen.metrics.ntk`.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from degen.errors import require
from degen.metrics.arrays import Array, to_numpy, to_tensor


def weight_change(initial: Array, final: Array, *, per_parameter: bool = False) -> NDArray[np.float64]:
    r"""Compute the weight change norm :math:`\|W_T - W_0\|_F` of each network (App. I of the paper).

    Args:
        initial: weights before training, (networks, rows, columns).
        final: weights after training, of equal shape.
        per_parameter: divide the norm by the number of weights, rows * columns.

    Returns:
        (networks,), in units of the weights.

    Raises:
        BadInputError: weights that are not finite, or shapes that differ.

    Examples:
        >>> initial, final = np.zeros((2, 3, 3)), np.zeros((2, 3, 3))
        >>> final[1, 0, :2] = 3.0, 4.0
        >>> weight_change(initial, final)
        array([0., 5.])
    """
    before, after = to_tensor("initial", initial, 3), to_tensor("final", final, 3)
    require(
        before.shape == after.shape,
        "final shape",
        tuple(after.shape),
        f"equal to the shape of initial, {tuple(before.shape)}",
    )
    norms = torch.linalg.matrix_norm(after - before)
    return to_numpy(norms / before[0].numel() if per_parameter else norms)


def representation_alignment(initial: Array, final: Array) -> NDArray[np.float64]:
    r"""Compute the representation alignment (RA) of each network (App. L of the paper).

    .. math:: RA = \frac{\mathrm{Tr}(R^{(T)} R^{(0)})}{\|R^{(T)}\|_F \|R^{(0)}\|_F}, \quad R = H^\top H

    H are the activations (units, samples), which are not centered. RA is 1 if training did not change the
    representation, up to rotation and scale. The computation uses
    :math:`\mathrm{Tr}(R^{(T)} R^{(0)}) = \|H^{(T)} H^{(0)\top}\|_F^2`, which avoids matrices of size
    samples * samples.

    Args:
        initial: activations before training, (networks, samples, units).
        final: activations after training, for the samples of `initial` in equal order.

    Returns:
        (networks,), between 0 and 1.

    Raises:
        BadInputError: activations that are not finite or all zero, or numbers of networks or samples that
            differ.

    Examples:
        >>> initial = np.random.default_rng(0).standard_normal((1, 50, 3))
        >>> rotation = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        >>> representation_alignment(initial, 2 * initial @ rotation).round(6)
        array([1.])
    """
    before, after = to_tensor("initial", initial, 3), to_tensor("final", final, 3)
    allowed = f"(networks, samples) of initial, {tuple(before.shape[:2])}"
    require(before.shape[:2] == after.shape[:2], "final shape", tuple(after.shape[:2]), allowed)
    cross, norm_before, norm_after = (
        (x.mT @ y).square().sum(dim=(1, 2)) for x, y in ((after, before), (before, before), (after, after))
    )
    scale = (norm_before * norm_after).sqrt()
    require(bool((scale > 0).all()), "activations", 0, "nonzero")
    return to_numpy(cross / scale)
