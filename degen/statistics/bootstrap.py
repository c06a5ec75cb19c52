"""Bootstrap intervals over networks (docs/specification.md, section 7).

Pairwise distances are not independent, but networks are. A bootstrap sample therefore draws networks, and
takes their pairs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from degen.errors import require_integer, require_number

Array = NDArray[np.float64]

MIN_NETWORKS = 3
"""Fewest networks that have an interval: samples of two networks contain one pair or none."""


class Estimate(NamedTuple):
    """Value of a statistic with its confidence interval, which is NaN for fewer than `MIN_NETWORKS`."""

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """Percentile bootstrap over networks (Efron & Tibshirani 1993, chapter 13).

    Args:
        n_samples: number of bootstrap samples.
        level: nominal level of the interval, for example 0.95.
        seed: seed of the random draws.

    Raises:
        BadInputError: an argument is out of range.

    Examples:
        >>> bootstrap = Bootstrap(n_samples=1000, level=0.95, seed=0)
        >>> bootstrap.mean(np.array([1.0, 2.0, 3.0, 4.0]))
        Estimate(value=2.5, low=1.5, high=3.5)
    """

    n_samples: int
    level: float
    seed: int

    def __post_init__(self) -> None:
        require_integer("bootstrap.n_samples", self.n_samples, 1)
        require_number("bootstrap.level", self.level, above=0.0, maximum=1.0)
        require_integer("bootstrap.seed", self.seed, 0)

    def mean_distance(self, distances: Array) -> Estimate:
        """Estimate the mean over pairs of a symmetric distance matrix (networks, networks).

        A network that is drawn twice does not form a pair with itself: its distance of zero would bias the
        mean.
        """
        n = len(distances)
        return self._estimate(float(distances.sum() / (n * (n - 1))), bootstrap_mean_distance, distances)

    def mean(self, values: Array) -> Estimate:
        """Estimate the mean of values (networks,)."""
        return self._estimate(float(values.mean()), bootstrap_mean, values)

    def deviation(self, values: Array) -> Estimate:
        """Estimate the population standard deviation of values (networks,) (section 2.3.1 of the paper)."""
        return self._estimate(float(values.std()), bootstrap_deviation, values)

    def _estimate(self, value: float, statistic: Callable[[Array, Array], Array], data: Array) -> Estimate:
        n = len(data)
        if n < MIN_NETWORKS:
            return Estimate(value, math.nan, math.nan)
        return Estimate(value, *self.interval(statistic(data, self.counts(n))))

    def counts(self, n: int, task: str = "") -> Array:
        """Return how often each sample contains each of n networks, (samples, networks).

        Args:
            n: number of networks.
            task: name of the task, which seeds the draws. Samples of different tasks are independent.
        """
        generator = np.random.default_rng([self.seed, *task.encode()])
        return generator.multinomial(n, np.full(n, 1 / n), size=self.n_samples).astype(np.float64)

    def counts_by_seed(self, seeds: Sequence[Sequence[int]], task: str) -> list[Array]:
        """Return how often each sample contains each network of each condition of a task.

        Seeds are drawn rather than networks, and a seed brings its networks of all conditions. They start
        from equal weights, if the width is equal, and are therefore not independent. Where some seeds of a
        condition are missing, the size of its samples varies.

        Args:
            seeds: for each condition the seeds of its networks.
            task: name of the task. Samples of different tasks are independent.

        Returns:
            For each condition an array (samples, networks).
        """
        all_seeds = sorted(set().union(*seeds))
        counts = self.counts(len(all_seeds), task)
        return [counts[:, np.searchsorted(all_seeds, list(condition))] for condition in seeds]

    def interval(self, values: Array) -> tuple[float, float]:
        """Return the percentile interval of bootstrap values (samples,).

        NaN values are ignored. The interval is NaN if all values are.
        """
        if np.isnan(values).all():
            return math.nan, math.nan
        low, high = np.nanquantile(values, [(1 - self.level) / 2, (1 + self.level) / 2])
        return float(low), float(high)


def networks_for_precision(estimate: Estimate, n_networks: int, precision: float = 0.1) -> float:
    """Estimate how many networks give an interval of plus or minus a fraction of the value.

    The half-width of an interval is taken to shrink with one over the square root of the number of networks.

    Args:
        estimate: value and interval.
        n_networks: number of networks behind the estimate.
        precision: half-width relative to the value.

    Returns:
        The number of networks, or NaN if the value is zero or has no interval.

    Examples:
        >>> networks_for_precision(Estimate(value=2.0, low=1.6, high=2.4), n_networks=10)
        40
    """
    if not estimate.value or math.isnan(estimate.low):
        return math.nan
    return math.ceil(n_networks * ((estimate.high - estimate.low) / 2 / (precision * estimate.value)) ** 2)


def bootstrap_mean_distance(distances: Array, counts: Array) -> Array:
    """Compute the mean distance over pairs of different networks in each bootstrap sample.

    Args:
        distances: symmetric, (networks, networks).
        counts: how often each sample contains each network, (samples, networks).

    Returns:
        (samples,), NaN for a sample without two different networks.

    Examples:
        >>> distances = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]])
        >>> bootstrap_mean_distance(distances, np.array([[1.0, 1.0, 1.0], [2.0, 1.0, 0.0]]))
        array([2., 1.])
    """
    pairs = counts.sum(axis=1) ** 2 - (counts**2).sum(axis=1)
    sums = ((counts @ distances) * counts).sum(axis=1)
    return np.divide(sums, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def bootstrap_mean(values: Array, counts: Array) -> Array:
    """Compute the mean of values (networks,) in each bootstrap sample.

    Args:
        values: (networks,).
        counts: how often each sample contains each network, (samples, networks).

    Returns:
        (samples,), NaN for a sample without networks.
    """
    return _frequencies(counts) @ values


def bootstrap_deviation(values: Array, counts: Array) -> Array:
    """Compute the population standard deviation of values (networks,) in each bootstrap sample.

    Args:
        values: (networks,).
        counts: how often each sample contains each network, (samples, networks).

    Returns:
        (samples,), NaN for a sample without networks.
    """
    frequencies = _frequencies(counts)
    # Centering first avoids cancellation of the two moments where the deviation is small.
    centered = values - values.mean()
    variances = frequencies @ centered**2 - (frequencies @ centered) ** 2
    return np.sqrt(np.maximum(variances, 0.0))


def _frequencies(counts: Array) -> Array:
    drawn = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, drawn, out=np.full(counts.shape, np.nan), where=drawn > 0)
