"""Differences between two groups of independent networks: ratios of degeneracy, and separation.

Groups may differ in where their networks are, in how far apart these are, or in both. The methods of
`GroupDifference` tell these apart. They permute networks between the groups, not pairs.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from degen.errors import require_integer, require_number
from degen.statistics.energy import energy_statistic
from degen.statistics.jackknife import Array

_MIN_NETWORKS = 3  # fewest with a jackknife standard error of distances

Mask = NDArray[np.bool_]
LogDegeneracy = Callable[[Array, Array], tuple[Array, Array]]
"""Function from the data of all networks and the members of groups (samples, networks), which are 1 or 0.

It returns the log degeneracy of the members and its jackknife standard error, both (samples,).
"""


class Ratio(NamedTuple):
    """Degeneracy of the second group divided by the degeneracy of the first, with interval and p.

    The interval and p are NaN for fewer than three networks in a group.
    """

    value: float
    low: float
    high: float
    p: float


class Separation(NamedTuple):
    """Mean distance between networks of two groups, and p of the test that the groups do not differ."""

    between: float
    p: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupDifference:
    """Comparison of two groups of independent networks.

    Args:
        level: nominal level of intervals.
        n_permutations: number of permutations of a test.
        seed: seed of the permutations.

    Raises:
        BadInputError: an argument is out of range.

    Examples:
        >>> points = np.random.default_rng(0).standard_normal((20, 3))
        >>> points[10:] = 5 + 3 * points[10:]
        >>> distances = np.linalg.norm(points[:, None] - points, axis=-1)
        >>> ratio = GroupDifference().distance_ratio(distances, np.arange(20) >= 10)
        >>> round(ratio.value, 1), ratio.low > 1, ratio.p < 0.01
        (3.5, True, True)
    """

    level: float = 0.95
    n_permutations: int = 9999
    seed: int = 0

    def __post_init__(self) -> None:
        require_number("level", self.level, above=0.0, maximum=1.0)
        require_integer("n_permutations", self.n_permutations, 19)
        require_integer("seed", self.seed, 0)

    def distance_ratio(self, distances: Array, is_second: Mask) -> Ratio:
        """Compare the mean distances within two groups, wherever the groups are.

        The interval is a t interval of the log ratio with jackknife standard errors and Welch's degrees of
        freedom. The test moves the centroids of the groups together and permutes networks between the groups
        (Anderson 2006, Biometrics 62). It compares log ratios in standard errors, so that the groups may
        differ in variance (Janssen 1997, Statistics & Probability Letters 36).

        Args:
            distances: symmetric, (networks, networks).
            is_second: whether each network belongs to the second group, (networks,).
        """
        return self._ratio(distances, is_second, _log_mean_distance, _join_centroids)

    def deviation_ratio(self, values: Array, is_second: Mask) -> Ratio:
        """Compare the standard deviations of two groups, as `distance_ratio` compares mean distances.

        The test permutes differences from the median of the group.

        Args:
            values: one value per network, (networks,).
            is_second: whether each network belongs to the second group, (networks,).
        """
        return self._ratio(values, is_second, _log_deviation, _subtract_medians)

    def separation(self, distances: Array, is_second: Mask) -> Separation:
        """Test whether two groups of networks differ in any respect, by the energy statistic.

        The test (`degen.statistics.energy.energy_statistic`) is exact for groups of any size.

        Args:
            distances: symmetric, (networks, networks).
            is_second: whether each network belongs to the second group, (networks,).

        Examples:
            >>> points = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 2.0, 2.1, 2.2, 2.3, 2.4])
            >>> distances = abs(points[:, None] - points)
            >>> between, p = GroupDifference().separation(distances, np.arange(10) >= 5)
            >>> round(between, 2), p < 0.02
            (2.0, True)
        """
        between = float(distances[np.ix_(~is_second, is_second)].mean())
        energy = functools.partial(energy_statistic, distances)
        return Separation(between, self._permutation_p(energy, is_second))

    def _ratio(
        self,
        data: Array,
        is_second: Mask,
        log_degeneracy: LogDegeneracy,
        center: Callable[[Array, Mask], Array],
    ) -> Ratio:
        """Compute the ratio of two degeneracies and its interval, and p by permuting centered data."""
        sizes = np.array([(~is_second).sum(), is_second.sum()])
        if sizes.min() < 2:
            return Ratio(math.nan, math.nan, math.nan, math.nan)
        (first, second), errors = log_degeneracy(data, np.stack([~is_second, is_second]).astype(np.float64))
        effect = float(second - first) if np.isfinite([first, second]).all() else math.nan
        if sizes.min() < _MIN_NETWORKS or math.isnan(effect):
            return Ratio(_exp(effect), math.nan, math.nan, math.nan)
        half_width = _welch_half_width(errors, sizes, self.level)
        centered = center(data, is_second)

        def studentized(members: Array) -> Array:
            """Return the absolute difference of log degeneracies over its standard error, (samples,)."""
            first, first_error = log_degeneracy(centered, 1 - members)
            second, second_error = log_degeneracy(centered, members)
            # Where the networks of each group are identical, both logarithms are -inf: NaN.
            with np.errstate(invalid="ignore"):
                return np.abs(_quotient(second - first, np.hypot(first_error, second_error)))

        p = self._permutation_p(studentized, is_second)
        return Ratio(_exp(effect), _exp(effect - half_width), _exp(effect + half_width), p)

    def _permutation_p(self, statistic: Callable[[Array], Array], is_second: Mask) -> float:
        """Return p of a statistic of members (samples, networks) that is large under the alternative."""
        members = np.tile(is_second.astype(np.float64), (self.n_permutations + 1, 1))
        members[1:] = np.random.default_rng(self.seed).permuted(members[1:], axis=1)
        observed, *permuted = statistic(members)
        # A permutation that leaves the groups as they are has the observed value up to rounding.
        extreme = np.count_nonzero(np.array(permuted) >= observed - 1e-9 * abs(observed))
        return float((1 + extreme) / (1 + self.n_permutations))


def _welch_half_width(errors: Array, sizes: NDArray[np.int_], level: float) -> float:
    """Return the half-width of Welch's t interval of a difference, NaN if a standard error is not finite."""
    variances = errors**2
    if not variances.any():
        return 0.0
    if not np.isfinite(variances).all():
        return math.nan
    freedom = variances.sum() ** 2 / (variances**2 / (sizes - 1)).sum()
    return float(student_t.ppf((1 + level) / 2, freedom) * np.sqrt(variances.sum()))


def _exp(value: float) -> float:
    """Return the exponential without overflow."""
    return math.exp(max(-700.0, min(700.0, value))) if not math.isnan(value) else math.nan


def _log_mean_distance(distances: Array, members: Array) -> tuple[Array, Array]:
    """Compute the log mean distance of members (samples, networks) and its jackknife error, (samples,)."""
    n = members.sum(axis=1, keepdims=True)
    rows = members @ distances
    total = (rows * members).sum(axis=1, keepdims=True)
    without = (total - 2 * rows) / np.maximum((n - 1) * (n - 2), 1)
    return _log((total / (n * (n - 1)))[:, 0]), _jackknife_error(_log(without), members)


def _log_deviation(values: Array, members: Array) -> tuple[Array, Array]:
    """Compute the log deviation of members (samples, networks) and its jackknife error, (samples,)."""
    n = members.sum(axis=1, keepdims=True)
    squares = (values - (members @ values)[:, None] / n) ** 2
    total = (squares * members).sum(axis=1, keepdims=True)
    without = (total - n / (n - 1) * squares) / (n - 1)
    return _log((total / n)[:, 0]) / 2, _jackknife_error(_log(without) / 2, members)


def _log(values: Array) -> Array:
    """Return the log, minus infinity for zero and for rounding errors below it."""
    return np.log(values, out=np.full(values.shape, -np.inf), where=values > 0)


def _jackknife_error(without: Array, members: Array) -> Array:
    """Return the standard error (samples,) from the values without each network (samples, networks).

    It is infinite if a value is.
    """
    n = members.sum(axis=1, keepdims=True)
    values = np.where(members > 0, without, 0.0)
    is_finite = np.isfinite(values).all(axis=1)
    values[~is_finite] = 0.0
    squares = (values - values.sum(axis=1, keepdims=True) / n) ** 2 * members
    errors = np.sqrt((n - 1) / n * squares.sum(axis=1, keepdims=True))
    return np.where(is_finite, errors[:, 0], np.inf)


def _quotient(numerator: Array, denominator: Array) -> Array:
    """Divide standardized differences: 0 / 0 is 0, and any difference over an infinite error is 0."""
    limits = np.where(np.isinf(denominator) | (numerator == 0), 0.0, np.inf)
    return np.divide(numerator, denominator, out=limits, where=(denominator > 0) & np.isfinite(denominator))


def _join_centroids(distances: Array, is_second: Mask) -> Array:
    """Return the distances (networks, networks) after the centroids of both groups are moved together.

    Distances within the groups do not change. Subtracting estimated centroids shortens squared distances
    between the groups by the fraction (1/n1 + 1/n2) / 2 on average, for which the result is corrected.
    """
    groups = [~is_second, is_second]
    projections = [np.outer(group, group) / group.sum() for group in groups]
    centering = np.eye(len(distances)) - sum(projections)
    gram = -0.5 * centering @ distances**2 @ centering
    squares = np.add.outer(gram.diagonal(), gram.diagonal()) - 2 * gram
    # Squares may be negative for distances that are not Euclidean.
    shrinkage = 1 - sum(1 / group.sum() for group in groups) / 2
    between = np.sqrt(np.maximum(squares, 0.0) / shrinkage)
    return np.where(is_second[:, None] == is_second, distances, between)


def _subtract_medians(values: Array, is_second: Mask) -> Array:
    """Subtract the median of its group from each value (networks,)."""
    return values - np.where(is_second, np.median(values[is_second]), np.median(values[~is_second]))
