"""Bootstrap intervals over networks (docs/statistics.md)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student_t

from degen.errors import require_integer, require_number
from degen.statistics.jackknife import (
    Array,
    LeaveOneOut,
    Statistic,
    deviation,
    jackknife,
    logarithm,
    mean,
    mean_distance,
    standard_error,
)

MIN_NETWORKS = 5
"""Fewest networks that have an interval: samples of fewer networks contain too few different ones."""

_ZERO = 1e-12
"""Standard error below which networks are equal up to rounding, relative to the value."""

_NO_ERROR = 1e-6
"""Standard error of a sample below which it is rounding error, relative to the error of the estimate."""


class Estimate(NamedTuple):
    """Value of a statistic with its confidence interval, which is NaN for fewer than `MIN_NETWORKS`."""

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """Intervals over networks with jackknife standard errors (Efron & Tibshirani 1993, chapters 11 and 12).

    Means and standard deviations have bootstrap-t intervals: the quantiles of the studentized statistic over
    bootstrap samples replace those of the t distribution. Mean distances have t intervals. Mean distances and
    standard deviations are studentized on the logarithmic scale. The true coverage of the intervals is in
    `degen.statistics.true_coverage`.

    Args:
        n_samples: number of bootstrap samples.
        level: nominal level of the interval, for example 0.95.
        seed: seed of the random draws.

    Raises:
        BadInputError: an argument is out of range.

    Examples:
        >>> bootstrap = Bootstrap(n_samples=1000, level=0.95, seed=0)
        >>> value, low, high = bootstrap.mean(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
        >>> low < value < high
        True
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

        Its interval is a t interval of the logarithm. It covers as well as bootstrap-t, which is many times
        wider if one of few networks is far from the others (docs/statistics.md).
        """
        n = len(distances)
        ones = np.ones((1, n))
        observed = mean_distance(distances, ones)
        value = float(observed.value[0])
        if n < MIN_NETWORKS or not math.isfinite(value) or value <= 0:
            return Estimate(value, math.nan, math.nan)
        center, error = _value_and_error(logarithm(observed), ones)
        half = float(student_t.ppf((1 + self.level) / 2, n - 1) * error[0])
        return Estimate(value, math.exp(float(center[0]) - half), math.exp(float(center[0]) + half))

    def mean(self, values: Array) -> Estimate:
        """Estimate the mean of values (networks,)."""
        return self._estimate(partial(mean, values), len(values), is_positive=False)

    def deviation(self, values: Array) -> Estimate:
        """Estimate the population standard deviation of values (networks,) (section 2.3.1 of the paper).

        The interval is NaN if all values are equal: zero has no logarithm.
        """
        return self._estimate(partial(deviation, values), len(values), is_positive=True)

    def _estimate(self, statistic: Statistic, n: int, *, is_positive: bool) -> Estimate:
        observed = statistic(np.ones((1, n)))
        value = float(observed.value[0])
        if n < MIN_NETWORKS or not math.isfinite(value) or (is_positive and value <= 0):
            return Estimate(value, math.nan, math.nan)
        scale = logarithm if is_positive else lambda unchanged: unchanged
        counts = self.counts(n)
        center, error = _value_and_error(scale(observed), np.ones((1, n)))
        samples, errors = _value_and_error(scale(statistic(counts)), counts)
        if error[0] <= _ZERO * max(1.0, abs(float(center[0]))):
            return Estimate(value, value, value)
        studentized = studentize(samples - center, errors, error)
        low, high = self.interval(float(center[0]), float(error[0]), studentized)
        with np.errstate(over="ignore"):
            return Estimate(value, *(map(float, np.exp([low, high])) if is_positive else (low, high)))

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

    def interval(self, value: float, error: float, studentized: Array) -> tuple[float, float]:
        """Return the bootstrap-t interval of a value.

        Args:
            value: the estimate.
            error: its standard error.
            studentized: deviation of each sample from the estimate, in standard errors of the sample,
                (samples,). Samples that are not finite are dropped: they have too few different networks.

        Returns:
            Lower and upper end, NaN if no sample is finite.
        """
        finite = studentized[np.isfinite(studentized)]
        if len(finite) == 0:
            return math.nan, math.nan
        low, high = np.quantile(finite, [(1 - self.level) / 2, (1 + self.level) / 2])
        return float(value - high * error), float(value - low * error)


def networks_for_precision(estimate: Estimate, n_networks: int, precision: float = 0.1) -> float:
    """Estimate how many networks give an interval of plus or minus a fraction of a mean distance.

    The half-width of an interval is taken to shrink with one over the square root of the number of networks.
    Of standard deviations the estimate is too uncertain to be of use (docs/statistics.md).

    Args:
        estimate: value and interval of a mean distance.
        n_networks: number of networks behind the estimate.
        precision: half-width relative to the value.

    Returns:
        The number of networks, or NaN if the value is zero or has no finite interval.

    Examples:
        >>> networks_for_precision(Estimate(value=2.0, low=1.6, high=2.4), n_networks=10)
        40.0
    """
    half_width = (estimate.high - estimate.low) / 2
    if not estimate.value or not math.isfinite(half_width):
        return math.nan
    return float(np.ceil(n_networks * (half_width / (precision * estimate.value)) ** 2))


def studentize(deviations: Array, errors: Array, observed_error: Array) -> Array:
    """Divide deviations of samples by their standard errors.

    Args:
        deviations: (samples, ...).
        errors: standard error of each sample, (samples, ...).
        observed_error: standard error of the estimate, (...).

    Returns:
        (samples, ...), NaN for samples without a standard error, such as two values that are drawn equally
        often.
    """
    has_error = errors > _NO_ERROR * observed_error
    return np.divide(deviations, errors, out=np.full_like(deviations, np.nan), where=has_error)


def _value_and_error(statistic: LeaveOneOut, counts: Array) -> tuple[Array, Array]:
    """Return value and standard error of each sample, (samples,)."""
    return statistic.value, standard_error(jackknife(statistic, counts), counts)
