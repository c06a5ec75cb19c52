"""Degeneracy along a factor for one task: conditions, their bootstrap samples and values per network.

Tests permute networks, not pairs, so every degeneracy needs one value per network. For a mean over pairs it
is the jackknife pseudo-value (Efron & Tibshirani 1993, chapter 11):

.. math:: v_i = n U - (n - 1) U_{-i}

The mean of the pseudo-values is nearly U, and their variance estimates that of U. The mean distance of a
network to the others has the right mean, but half the standard deviation, so that tests on it find trends
that are not there. For a standard deviation the value is the network's value minus the median of its
condition: pseudo-values of skewed data find trends up to four times too often (docs/paper.md, "Statistics").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from degen.errors import require, require_integer
from degen.statistics.bootstrap import (
    MIN_NETWORKS,
    Array,
    Bootstrap,
    bootstrap_deviation,
    bootstrap_mean,
    bootstrap_mean_distance,
)
from degen.statistics.permutation import permuted_slopes

Seeds = Sequence[Sequence[int]]
"""For each condition the seeds of its networks, in order."""


@dataclasses.dataclass(frozen=True)
class FactorCurve:
    """Degeneracy of one task along a factor, from the lowest to the highest condition.

    Attributes:
        values: degeneracy of each condition, (conditions,).
        bootstrap_values: degeneracy in each bootstrap sample, (conditions, samples).
        network_values: for each condition one value per network, (networks,). They are what a test permutes.
        seeds: for each condition the seeds of its networks.
        task: name of the task, which keys its random draws. Those of different tasks are independent.
        is_deviation: whether the degeneracy is the standard deviation of the network values. Otherwise it is
            their mean.

    Raises:
        BadInputError: fewer than two conditions.
    """

    values: Array
    bootstrap_values: Array
    network_values: list[Array]
    seeds: list[list[int]]
    task: str
    is_deviation: bool = False
    _slopes: dict[tuple[int, int], tuple[float, Array]] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        require(len(self.values) >= 2, "number of conditions along a factor", len(self.values), "at least 2")

    def permutation_slopes(self, seed: int, n_permutations: int) -> tuple[float, Array]:
        """Compute the slope in standard errors, of the data and of each permutation of its networks.

        The result is cached, since one curve enters the trend of its task, the pooled trend, and the pooled
        trends without a network of another task.

        Args:
            seed: seed of the permutations.
            n_permutations: number of permutations.

        Returns:
            The observed slope, and the permuted slopes (permutations,).
        """
        key = (seed, n_permutations)
        if key not in self._slopes:
            self._slopes[key] = permuted_slopes(
                self.network_values,
                self.seeds,
                np.random.default_rng([seed, *self.task.encode()]),
                n_permutations,
                of_deviations=self.is_deviation,
            )
        return self._slopes[key]


def distance_curve(distances: Sequence[Array], seeds: Seeds, bootstrap: Bootstrap, task: str) -> FactorCurve:
    """Build the curve of mean pairwise distances.

    Args:
        distances: for each condition a symmetric matrix (networks, networks).
        seeds: for each condition the seeds of its networks.
        bootstrap: bootstrap over seeds.
        task: name of the task.

    Raises:
        BadInputError: a condition has fewer than three networks, or there are fewer than two conditions.

    Examples:
        >>> near = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]])
        >>> bootstrap = Bootstrap(n_samples=100, level=0.95, seed=0)
        >>> distance_curve([near, 2 * near], [[0, 1, 2], [0, 1, 2]], bootstrap, "flip_flop").values
        array([2., 4.])
    """
    values = [matrix.sum() / (len(matrix) * (len(matrix) - 1)) for matrix in distances]
    samples = map(bootstrap_mean_distance, distances, bootstrap.counts_by_seed(seeds, task))
    return _curve(values, samples, map(pseudo_values, distances), seeds, task)


def deviation_curve(groups: Sequence[Array], seeds: Seeds, bootstrap: Bootstrap, task: str) -> FactorCurve:
    """Build the curve of population standard deviations.

    Args:
        groups: for each condition values (networks,).
        seeds: for each condition the seeds of its networks.
        bootstrap: bootstrap over seeds.
        task: name of the task.

    Raises:
        BadInputError: a condition has fewer than three networks, or there are fewer than two conditions.
    """
    for values in groups:
        require_integer("networks of a condition", len(values), MIN_NETWORKS)
    samples = map(bootstrap_deviation, groups, bootstrap.counts_by_seed(seeds, task))
    residuals = [values - np.median(values) for values in groups]
    curve = _curve([values.std() for values in groups], samples, residuals, seeds, task)
    return dataclasses.replace(curve, is_deviation=True)


def mean_curve(groups: Sequence[Array], seeds: Seeds, bootstrap: Bootstrap, task: str) -> FactorCurve:
    """Build the curve of means.

    Args:
        groups: for each condition values (networks,).
        seeds: for each condition the seeds of its networks.
        bootstrap: bootstrap over seeds.
        task: name of the task.

    Raises:
        BadInputError: there are fewer than two conditions.
    """
    samples = map(bootstrap_mean, groups, bootstrap.counts_by_seed(seeds, task))
    return _curve([values.mean() for values in groups], samples, groups, seeds, task)


def ratio_curve(numerator: FactorCurve, denominator: FactorCurve) -> FactorCurve:
    """Build the curve of a ratio of two degeneracies of the same networks.

    Both are resampled together, and pseudo-values leave a network out of both.

    Args:
        numerator: curve of means, distances or standard deviations.
        denominator: curve of means or distances, with the same networks and bootstrap samples.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        samples = numerator.bootstrap_values / denominator.bootstrap_values
    if numerator.is_deviation:
        pairs = zip(numerator.network_values, denominator.values, strict=True)
        network_values = [values / mean for values, mean in pairs]
    else:
        network_values = [
            _ratio_pseudo_values(*condition)
            for condition in zip(
                numerator.values,
                numerator.network_values,
                denominator.values,
                denominator.network_values,
                strict=True,
            )
        ]
    values = numerator.values / denominator.values
    return dataclasses.replace(
        numerator, values=values, bootstrap_values=samples, network_values=network_values
    )


def pseudo_values(distances: Array) -> Array:
    """Compute jackknife pseudo-values of a mean pairwise distance.

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
    n = len(distances)
    require_integer("networks of a condition", n, MIN_NETWORKS)
    rows = distances.sum(axis=1)
    total = rows.sum()
    return total / (n - 1) - (total - 2 * rows) / (n - 2)


def _ratio_pseudo_values(
    numerator: float, numerator_values: Array, denominator: float, denominator_values: Array
) -> Array:
    """Compute pseudo-values of a ratio from those of its parts, which determine the leave-one-out values."""
    n = len(numerator_values)
    without = (n * numerator - numerator_values) / (n * denominator - denominator_values)
    return n * numerator / denominator - (n - 1) * without


def _curve(
    values: Sequence[float],
    samples: Iterable[Array],
    network_values: Iterable[Array],
    seeds: Seeds,
    task: str,
) -> FactorCurve:
    return FactorCurve(
        np.array(values),
        np.stack(list(samples)),
        list(network_values),
        [list(condition) for condition in seeds],
        task,
    )
