"""Statistics of resampled networks, and their jackknife (Efron & Tibshirani 1993, chapter 11).

A sample is given by counts: how often it contains each network. Pairwise distances are not independent, but
networks are. A sample therefore draws networks, and takes their pairs. Closed formulas give each statistic
without one copy of each network, so that every bootstrap sample has its own jackknife standard error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from degen.errors import require_integer

Array = NDArray[np.float64]

_ZERO = 1e-12
"""Relative size below which a variance is rounding error."""


class LeaveOneOut(NamedTuple):
    """A statistic of each sample, and without one copy of each network.

    Attributes:
        value: (samples,).
        without: (samples, networks). Undefined for networks that are not in the sample.
    """

    value: Array
    without: Array


Statistic = Callable[[Array], LeaveOneOut]
"""Function of counts (samples, networks)."""


class Jackknife(NamedTuple):
    """A statistic of each sample, and the influence of each network on it.

    Attributes:
        value: (samples,).
        influence: (samples, networks). Its mean over the networks of a sample is zero. The variance of the
            statistic is the sum of its squares over n (n - 1).
    """

    value: Array
    influence: Array


def mean(values: Array, counts: Array) -> LeaveOneOut:
    """Compute the mean of values (networks,) in each sample.

    Args:
        values: (networks,).
        counts: (samples, networks).

    Examples:
        >>> mean(np.array([1.0, 2.0, 6.0]), np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0]])).value
        array([3.        , 2.66666667])
    """
    n = counts.sum(axis=1, keepdims=True)
    total = (counts * values).sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return LeaveOneOut((total / n)[:, 0], (total - values) / (n - 1))


def deviation(values: Array, counts: Array) -> LeaveOneOut:
    """Compute the population standard deviation of values in each sample.

    Args:
        values: (networks,), or (samples, networks) where samples differ in their values.
        counts: (samples, networks).
    """
    # Centering first avoids cancellation where the deviation is small.
    centered = values - np.median(values, axis=-1, keepdims=True)
    n = counts.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = (centered - (counts * centered).sum(axis=1, keepdims=True) / n) ** 2
        total = (counts * squares).sum(axis=1, keepdims=True)
        without = total - n / (n - 1) * squares
        total = np.where(total > _ZERO * (centered**2).sum(axis=-1, keepdims=True), total, 0.0 * total)
        without = np.where(without > _ZERO * total, without, 0.0 * without)
        return LeaveOneOut(np.sqrt(total / n)[:, 0], np.sqrt(without / (n - 1)))


def mean_distance(distances: Array, counts: Array) -> LeaveOneOut:
    """Compute the mean distance over pairs of different networks in each sample.

    A network that is drawn twice does not form a pair with itself: its distance of zero would bias the mean.

    Args:
        distances: symmetric, (networks, networks).
        counts: (samples, networks).

    Returns:
        NaN for a sample without two different networks.

    Examples:
        >>> distances = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]])
        >>> mean_distance(distances, np.array([[1.0, 1.0, 1.0], [2.0, 1.0, 0.0]])).value
        array([2., 1.])
    """
    n = counts.sum(axis=1, keepdims=True)
    copies = (counts**2).sum(axis=1, keepdims=True)
    rows = counts @ distances
    total = (counts * rows).sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = total / (n**2 - copies)
        without = (total - 2 * rows) / ((n - 1) ** 2 - (copies - 2 * counts + 1))
    return LeaveOneOut(value[:, 0], without)


def logarithm(statistic: LeaveOneOut) -> LeaveOneOut:
    """Return the logarithm of a statistic, not finite where the statistic is not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return LeaveOneOut(*map(np.log, statistic))


def jackknife(statistic: LeaveOneOut, counts: Array) -> Jackknife:
    """Compute the influence of each network from the statistic without it.

    Args:
        statistic: value and leave-one-out values.
        counts: (samples, networks).
    """
    n = counts.sum(axis=1, keepdims=True)
    without = np.where(counts > 0, statistic.without, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        center = (counts * without).sum(axis=1, keepdims=True) / n
        influence = (n - 1) * (center - without)
    return Jackknife(statistic.value, np.where(counts > 0, influence, 0.0))


def standard_error(estimate: Jackknife, counts: Array) -> Array:
    """Compute the jackknife standard error of independent networks in each sample, (samples,)."""
    n = counts.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.sqrt((counts * estimate.influence**2).sum(axis=1) / (n * (n - 1)))


def pseudo_values(distances: Array) -> Array:
    """Compute jackknife pseudo-values of a mean pairwise distance.

    Their mean is the mean distance, and their variance over the number of networks estimates its variance.

    Args:
        distances: symmetric, (networks, networks).

    Returns:
        (networks,), in units of the distances.

    Raises:
        BadInputError: fewer than three networks.

    Examples:
        >>> pseudo_values(np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]]))
        array([0., 2., 4.])
    """
    require_integer("number of networks", len(distances), 3)
    ones = np.ones((1, len(distances)))
    estimate = jackknife(mean_distance(distances, ones), ones)
    return estimate.value + estimate.influence[0]
