"""Divisions of many sets of points into two clusters at once, by 2-means with a smallest cluster."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from degen.statistics.jackknife import Array

N_STARTS = 3
"""Leading coordinates from whose signs 2-means starts."""

_MAX_ITERATIONS = 20

Mask = NDArray[np.bool_]


class Bisection(NamedTuple):
    """Divisions of sets of points.

    Attributes:
        is_first: (sets, points), whether a point belongs to the first of the two clusters.
        explained: (sets,), fraction of the variance of the points between the two clusters.
    """

    is_first: Mask
    explained: Array


def bisect(points: Array, min_size: int) -> Bisection:
    """Divide each set of points into two clusters of at least `min_size` points.

    Args:
        points: (sets, points, coordinates), of mean zero in each set, with at least 2 `min_size` points.
        min_size: smallest number of points of a cluster.

    Returns:
        The division that explains most of the variance, of those that 2-means finds from the leading
        coordinates.

    Examples:
        >>> points = np.array([[[-2.0], [-1.0], [-1.5], [1.0], [2.0], [1.5]]])
        >>> is_first, explained = bisect(points, min_size=3)
        >>> is_first
        array([[False, False, False,  True,  True,  True]])
        >>> explained.round(2)
        array([0.93])
    """
    n_starts = min(N_STARTS, points.shape[2])
    divisions = [_two_means(points, points[:, :, start], min_size) for start in range(n_starts)]
    explained = np.stack([division.explained for division in divisions])
    best = explained.argmax(axis=0), np.arange(len(points))
    return Bisection(np.stack([division.is_first for division in divisions])[best], explained[best])


def _two_means(points: Array, position: Array, min_size: int) -> Bisection:
    """Run 2-means on each set.

    Args:
        points: (sets, points, coordinates).
        position: (sets, points), a coordinate whose positive values are the first cluster at the start.
        min_size: smallest number of points of a cluster.
    """
    is_first = _above(position, np.zeros(len(points)), min_size)
    for _ in range(_MAX_ITERATIONS):
        difference, middle = _centroids(points, is_first)
        position = (points @ difference[:, :, None])[:, :, 0]
        following = _above(position, np.einsum("bd,bd->b", difference, middle), min_size)
        if (following == is_first).all():
            break
        is_first = following
    n_first = is_first.sum(axis=1)
    n_second = points.shape[1] - n_first
    difference, _ = _centroids(points, is_first)
    between = n_first * n_second / points.shape[1] * np.einsum("bd,bd->b", difference, difference)
    total = np.einsum("bnd,bnd->b", points, points)
    return Bisection(is_first, between / total)


def _above(position: Array, threshold: Array, min_size: int) -> Mask:
    """Return which points lie above a threshold, at least `min_size` and at most all but `min_size`."""
    n = position.shape[1]
    n_above = (position > threshold[:, None]).sum(axis=1).clip(min_size, n - min_size)
    rank = (-position).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    return rank < n_above[:, None]


def _centroids(points: Array, is_first: Mask) -> tuple[Array, Array]:
    """Return the difference of the two centroids and the point halfway between them, (sets, coordinates)."""
    first = is_first / is_first.sum(axis=1, keepdims=True)
    second = ~is_first / (~is_first).sum(axis=1, keepdims=True)
    weights = np.stack([first - second, (first + second) / 2], axis=1)
    difference, middle = np.moveaxis(weights @ points, 1, 0)
    return difference, middle
