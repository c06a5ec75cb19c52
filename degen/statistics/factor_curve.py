"""Degeneracy along a factor for one task: conditions, their bootstrap samples and values per network.

Effects are differences of log degeneracy between conditions. Their standard errors come from the jackknife
and sum over seeds, because networks of one seed start from equal weights. Tests permute networks, not pairs,
so every degeneracy needs one value per network:

- mean distances, means and their ratios: the logarithm of the degeneracy plus the influence of the network,
  so that the mean over networks is the log degeneracy (jackknife pseudo-values without bias correction);
- standard deviations: the network's value minus the median of its condition, of which the test computes
  standard deviations again. Pseudo-values of skewed data find trends up to four times too often.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property, partial

import numpy as np

from degen.errors import require, require_integer
from degen.statistics.bootstrap import MIN_NETWORKS, Bootstrap
from degen.statistics.contrast import Contrasts, estimate_contrasts
from degen.statistics.jackknife import (
    Array,
    Jackknife,
    LeaveOneOut,
    Statistic,
    deviation,
    jackknife,
    logarithm,
    mean,
    mean_distance,
)
from degen.statistics.permutation import permute_networks

Seeds = Sequence[Sequence[int]]
"""For each condition the seeds of its networks, in order."""


@dataclasses.dataclass(frozen=True)
class FactorCurve:
    """Degeneracy of one task along a factor, from the lowest to the highest condition.

    Attributes:
        statistics: for each condition the degeneracy of samples of its networks.
        network_values: for each condition one value per network, (networks,). They are what a test permutes.
        seeds: for each condition the seeds of its networks.
        bootstrap: settings of the bootstrap over seeds.
        task: name of the task, which keys its random draws. Those of different tasks are independent.
        is_deviation: whether the log degeneracy is that of the standard deviation of the network values.
            Otherwise it is their mean.

    Raises:
        BadInputError: fewer than two conditions, or fewer than `MIN_NETWORKS` networks in a condition.
    """

    statistics: Sequence[Statistic]
    network_values: Sequence[Array]
    seeds: list[list[int]]
    bootstrap: Bootstrap
    task: str
    is_deviation: bool = False
    _cache: dict[object, Contrasts] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        require(len(self.seeds) >= 2, "number of conditions along a factor", len(self.seeds), "at least 2")
        for values in self.network_values:
            require_integer("networks of a condition", len(values), MIN_NETWORKS)

    @cached_property
    def values(self) -> Array:
        """Degeneracy of each condition, (conditions,)."""
        parts = zip(self.statistics, self._ones, strict=True)
        return np.array([statistic(ones).value[0] for statistic, ones in parts])

    @property
    def _ones(self) -> list[Array]:
        return [np.ones((1, len(values))) for values in self.network_values]

    def observed(self, weights: Array) -> Contrasts:
        """Estimate contrasts of the log degeneracy.

        Args:
            weights: weight of each condition in each contrast, (contrasts, conditions).
        """
        return self._resampled(self._ones, weights)

    def bootstrapped(self, weights: Array) -> Contrasts:
        """Estimate contrasts in each bootstrap sample of seeds."""
        key = ("bootstrap", weights.tobytes())
        if key not in self._cache:
            self._cache[key] = self._resampled(self.bootstrap.counts_by_seed(self.seeds, self.task), weights)
        return self._cache[key]

    def permuted(self, weights: Array, strata: Sequence[int], seed: int, n_permutations: int) -> Contrasts:
        """Estimate contrasts for each permutation of networks between conditions.

        The result is cached, since one curve enters the trend of its task, the pooled trend, and the pooled
        trends without a network of another task.

        Args:
            weights: weight of each condition in each contrast, (contrasts, conditions).
            strata: for each condition its stratum. Networks stay in their stratum.
            seed: seed of the permutations.
            n_permutations: number of permutations.
        """
        key = ("permutations", weights.tobytes(), tuple(strata), seed, n_permutations)
        if key not in self._cache:
            generator = np.random.default_rng([seed, *self.task.encode()])
            rows = permute_networks(self.network_values, self.seeds, strata, generator, n_permutations)
            counts = [np.ones_like(values) for values in rows]
            jackknives = [self._jackknife_of_rows(values) for values in rows]
            self._cache[key] = estimate_contrasts(jackknives, counts, self.seeds, weights)
        return self._cache[key]

    def shifted(self, offsets: Array) -> FactorCurve:
        """Return the curve with offsets (conditions,) added to the log degeneracy in permutations."""
        pairs = zip(self.network_values, offsets, strict=True)
        values = [value * np.exp(offset) if self.is_deviation else value + offset for value, offset in pairs]
        return dataclasses.replace(self, network_values=values)

    def _resampled(self, counts: Sequence[Array], weights: Array) -> Contrasts:
        parts = zip(self.statistics, counts, strict=True)
        jackknives = [jackknife(logarithm(statistic(copies)), copies) for statistic, copies in parts]
        return estimate_contrasts(jackknives, counts, self.seeds, weights)

    def _jackknife_of_rows(self, values: Array) -> Jackknife:
        """Return the log degeneracy of network values (permutations, networks), and the influence of each."""
        if self.is_deviation:
            ones = np.ones_like(values)
            return jackknife(logarithm(deviation(values, ones)), ones)
        centers = values.mean(axis=1)
        return Jackknife(centers, values - centers[:, None])


def distance_curve(distances: Sequence[Array], seeds: Seeds, bootstrap: Bootstrap, task: str) -> FactorCurve:
    """Build the curve of mean pairwise distances.

    Args:
        distances: for each condition a symmetric matrix (networks, networks).
        seeds: for each condition the seeds of its networks.
        bootstrap: bootstrap over seeds.
        task: name of the task.

    Raises:
        BadInputError: a condition has too few networks, or there are fewer than two conditions.

    Examples:
        >>> near = np.ones((5, 5)) - np.eye(5)
        >>> bootstrap = Bootstrap(n_samples=100, level=0.95, seed=0)
        >>> distance_curve([near, 2 * near], [range(5)] * 2, bootstrap, "flip_flop").values
        array([1., 2.])
    """
    return _curve_of_means([partial(mean_distance, matrix) for matrix in distances], seeds, bootstrap, task)


def mean_curve(groups: Sequence[Array], seeds: Seeds, bootstrap: Bootstrap, task: str) -> FactorCurve:
    """Build the curve of means.

    Args:
        groups: for each condition positive values (networks,).
        seeds: for each condition the seeds of its networks.
        bootstrap: bootstrap over seeds.
        task: name of the task.

    Raises:
        BadInputError: a condition has too few networks, or there are fewer than two conditions.
    """
    return _curve_of_means([partial(mean, values) for values in groups], seeds, bootstrap, task)


def deviation_curve(groups: Sequence[Array], seeds: Seeds, bootstrap: Bootstrap, task: str) -> FactorCurve:
    """Build the curve of population standard deviations.

    Args:
        groups: for each condition values (networks,).
        seeds: for each condition the seeds of its networks.
        bootstrap: bootstrap over seeds.
        task: name of the task.

    Raises:
        BadInputError: a condition has too few networks, or there are fewer than two conditions.
    """
    return FactorCurve(
        [partial(deviation, values) for values in groups],
        [values - np.median(values) for values in groups],
        [list(condition) for condition in seeds],
        bootstrap,
        task,
        is_deviation=True,
    )


def ratio_curve(numerator: FactorCurve, denominator: FactorCurve) -> FactorCurve:
    """Build the curve of a ratio of two degeneracies of the same networks.

    Both are resampled together, and the jackknife leaves a network out of both.

    Args:
        numerator: curve of means, distances or standard deviations.
        denominator: curve of means or distances, with the same networks.
    """
    pairs = zip(numerator.statistics, denominator.statistics, strict=True)
    statistics = [partial(_ratio, *pair) for pair in pairs]
    if numerator.is_deviation:
        scaled = zip(numerator.network_values, denominator.values, strict=True)
        network_values = [values / center for values, center in scaled]
        return dataclasses.replace(numerator, statistics=statistics, network_values=network_values)
    return _curve_of_means(statistics, numerator.seeds, numerator.bootstrap, numerator.task)


def _curve_of_means(
    statistics: Sequence[Statistic], seeds: Seeds, bootstrap: Bootstrap, task: str
) -> FactorCurve:
    """Build a curve whose log degeneracy is the mean of its network values."""
    network_values = []
    for statistic, condition in zip(statistics, seeds, strict=True):
        ones = np.ones((1, len(condition)))
        estimate = jackknife(logarithm(statistic(ones)), ones)
        network_values.append(estimate.value + estimate.influence[0])
    return FactorCurve(statistics, network_values, [list(condition) for condition in seeds], bootstrap, task)


def _ratio(numerator: Statistic, denominator: Statistic, counts: Array) -> LeaveOneOut:
    parts = zip(numerator(counts), denominator(counts), strict=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return LeaveOneOut(*(above / below for above, below in parts))
