"""The energy statistic of two groups of networks."""

from __future__ import annotations

from degen.statistics.jackknife import Array


def energy_statistic(distances: Array, second: Array) -> Array:
    r"""Compute the energy statistic of two groups from distances between networks.

    .. math:: 2 \bar d_{12} - \bar d_{11} - \bar d_{22}

    The means are over all ordered pairs, including each network with itself (Székely & Rizzo 2013, Journal of
    Statistical Planning and Inference 143).

    Args:
        distances: symmetric, (networks, networks).
        second: 1.0 for members of the second group and 0.0 for members of the first, (samples, networks).

    Returns:
        (samples,).

    Examples:
        >>> import numpy as np
        >>> points = np.array([0.0, 2.0, 3.0])
        >>> energy_statistic(abs(points[:, None] - points), np.array([[0.0, 0.0, 1.0]]))
        array([3.])
    """
    first = 1 - second
    contrast = second / second.sum(axis=1, keepdims=True) - first / first.sum(axis=1, keepdims=True)
    return -((contrast @ distances) * contrast).sum(axis=1)
