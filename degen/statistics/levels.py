"""Distances between the networks of two levels of a factor, compared with distances within each level.

Networks of equal seed in two conditions may start from equal weights. Permutations therefore exchange the
networks of a seed, the jackknife leaves them out together, and means leave out the distance between the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student_t

from degen.errors import require
from degen.statistics.bootstrap import MIN_NETWORKS, Bootstrap, Estimate
from degen.statistics.energy import energy_statistic
from degen.statistics.jackknife import Array
from degen.statistics.permutation import exchangeable_blocks, log_number_of_permutations

_MAX_BATCH_ENTRIES = 1 << 22  # of permuted memberships


class LevelDifference(NamedTuple):
    """Distances of two levels.

    Attributes:
        within: mean distance within the first and within the second level.
        between: mean distance between networks of different levels and seeds.
        ratio: `between` divided by the mean of `within`. 1 if the levels do not differ.
        p: of the test that the labels of the levels are exchangeable.
        smallest_p: smallest p that the test can give for these networks.
    """

    within: tuple[float, float]
    between: Estimate
    ratio: Estimate
    p: float
    smallest_p: float


def compare_levels(
    distances: Array,
    seeds: tuple[Sequence[int], Sequence[int]],
    bootstrap: Bootstrap,
    n_permutations: int,
    name: str,
) -> LevelDifference:
    """Compare distances between two levels with distances within each of them.

    Intervals are t intervals of logarithms, with jackknife standard errors from leaving out each seed. The
    test compares the energy statistic with its values after exchanging networks of equal seed (restricted
    permutations, Anderson & ter Braak 2003, Journal of Statistical Computation and Simulation 73). Networks
    whose seed has no counterpart are exchanged among each other. A small p says that the levels differ in
    where their networks are, or in how far apart these are.

    Args:
        distances: symmetric, (networks, networks). The networks of the first level come first.
        seeds: seeds of the networks of each level.
        bootstrap: level of the intervals, and seed of the permutations.
        n_permutations: number of permutations.
        name: name of the comparison. It keys the permutations.

    Returns:
        The comparison. Intervals are NaN if a level has fewer than `MIN_NETWORKS` networks.

    Raises:
        BadInputError: a level has fewer than two networks, or the matrix belongs to other networks.

    Examples:
        >>> points = np.array([0.0, 0.1, 0.3, 0.4, 0.6, 2.0, 2.2, 2.3, 2.4, 2.7])
        >>> distances = abs(points[:, None] - points)
        >>> bootstrap = Bootstrap(n_samples=1, level=0.95, seed=0)
        >>> result = compare_levels(distances, (range(5), range(5)), bootstrap, 999, "example")
        >>> round(result.between.value, 2), round(result.ratio.value, 1), round(result.smallest_p, 4)
        (2.04, 6.6, 0.0625)
    """
    sizes = [len(level) for level in seeds]
    require(min(sizes) >= 2, "networks of a level", min(sizes), "at least 2")
    allowed = f"({sum(sizes)}, {sum(sizes)}) for {sizes[0]} and {sizes[1]} networks"
    require(distances.shape == (sum(sizes), sum(sizes)), "shape of distances", distances.shape, allowed)
    labels, is_second = np.array([*seeds[0], *seeds[1]]), np.arange(sum(sizes)) >= sizes[0]
    members = np.array([~is_second, is_second], dtype=np.float64)[:, None]
    # Networks of one seed differ by the level only, unlike those of any pair within a level.
    has_other_seed = (labels[:, None] != labels).astype(np.float64)
    without_seed = (labels != np.unique(labels)[:, None]).astype(np.float64)
    within, between, ratio = _means(distances, has_other_seed, members)
    _, *without = _means(distances, has_other_seed, members * without_seed)
    level = bootstrap.level if min(sizes) >= MIN_NETWORKS else math.nan
    smallest_p = _smallest_p(seeds, n_permutations)
    p = _permutation_p(distances, seeds, n_permutations, [bootstrap.seed, *name.encode()])
    return LevelDifference(
        within=(float(within[0, 0]), float(within[1, 0])),
        between=_log_interval(float(between[0]), without[0], level),
        ratio=_log_interval(float(ratio[0]), without[1], level),
        p=max(p, smallest_p),  # p is random if there are few different permutations
        smallest_p=smallest_p,
    )


def _means(distances: Array, weights: Array, members: Array) -> tuple[Array, Array, Array]:
    """Return mean distances within both levels (2, samples), between them (samples,), and their ratio.

    Args:
        weights: 1 for the pairs that count, otherwise 0, (networks, networks).
        members: 1 for the networks of each level, otherwise 0, (2, samples, networks).
    """
    first, second = members
    pairs = [(first, first), (second, second), (first, second)]
    totals, counts = (
        np.array([((rows @ matrix) * columns).sum(axis=1) for rows, columns in pairs])
        for matrix in (distances * weights, weights)
    )
    means = np.divide(totals, counts, out=np.full_like(totals, np.nan), where=counts > 0)
    mean_within = means[:2].mean(axis=0)
    ratio = np.divide(means[2], mean_within, out=np.full_like(mean_within, np.nan), where=mean_within > 0)
    return means[:2], means[2], ratio


def _log_interval(value: float, without: Array, level: float) -> Estimate:
    """Return a value with the t interval of its logarithm.

    Args:
        value: the value.
        without: the value without each seed, (seeds,).
        level: nominal level, NaN for no interval.
    """
    if math.isnan(level) or not value > 0 or not (without > 0).all():
        return Estimate(value, math.nan, math.nan)
    n = len(without)
    error = math.sqrt((n - 1) * float(np.var(np.log(without))))
    half = float(student_t.ppf((1 + level) / 2, n - 1)) * error
    return Estimate(value, value * math.exp(-half), value * math.exp(half))


def _permutation_p(
    distances: Array, seeds: Sequence[Sequence[int]], n_permutations: int, key: Sequence[int]
) -> float:
    """Return p of the energy statistic, with networks exchanged within the blocks of equal seeds."""
    members = np.repeat([[0.0, 1.0]], [len(level) for level in seeds], axis=1)
    # A permutation that leaves the levels as they are has the observed value up to rounding.
    threshold = float(energy_statistic(distances, members)[0]) - 1e-9 * float(distances.mean())
    generator, blocks = np.random.default_rng(key), exchangeable_blocks(seeds, [0, 0])
    n_extreme, batch_size = 0, max(1, _MAX_BATCH_ENTRIES // len(distances))
    for start in range(0, n_permutations, batch_size):
        permuted = np.repeat(members, min(batch_size, n_permutations - start), axis=0)
        for block in blocks:
            permuted[:, block] = generator.permuted(permuted[:, block], axis=1)
        n_extreme += int((energy_statistic(distances, permuted) >= threshold).sum())
    return (1 + n_extreme) / (1 + n_permutations)


def _smallest_p(seeds: Sequence[Sequence[int]], n_permutations: int) -> float:
    """Return the smallest p that the permutations of these networks can give."""
    # The statistic does not change if all networks of two equally large levels are exchanged.
    n_equal = 2 if len(seeds[0]) == len(seeds[1]) else 1
    by_number = n_equal * math.exp(-log_number_of_permutations(seeds, [0, 0]))
    return min(1.0, max(by_number, 1 / (1 + n_permutations)))
