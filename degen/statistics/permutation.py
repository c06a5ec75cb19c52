"""Permutation of networks between conditions within each seed, and the slopes that a test compares."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from degen.errors import require_integer, require_number
from degen.statistics.bootstrap import Array

Indices = NDArray[np.intp]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PermutationTest:
    """Settings of permutation tests of trends.

    Args:
        n_permutations: number of permutations of networks between conditions.
        significance: p below which a trend is significant.

    Raises:
        BadInputError: fewer than 19 permutations, or a significance outside of (0, 1].
    """

    n_permutations: int
    significance: float

    def __post_init__(self) -> None:
        require_integer("permutation_test.n_permutations", self.n_permutations, 19)
        require_number("permutation_test.significance", self.significance, above=0.0, maximum=1.0)


def fitted_slope(values: Array) -> Array:
    """Compute the least-squares slope through conditions that are evenly spaced over one unit.

    Args:
        values: (conditions, ...).

    Returns:
        (...), the change from the first to the last condition.

    Examples:
        >>> float(fitted_slope(np.array([1.0, 2.0, 3.0])))
        2.0
    """
    positions = _positions(len(values))
    return np.tensordot(positions, values, axes=(0, 0)) / (positions**2).sum()


def permuted_slopes(
    groups: Sequence[Array],
    seeds: Sequence[Sequence[int]],
    generator: np.random.Generator,
    n_permutations: int,
    *,
    of_deviations: bool,
) -> tuple[float, Array]:
    """Compute the standardized slope over conditions, for the data and for each permutation of the data.

    Networks are permuted between conditions within each seed. The slope of means is divided by its
    cluster-robust standard error. The slope of log standard deviations is divided by its standard deviation
    over permutations. All slopes are zero if permutations do not change the data, for example because each
    seed occurs in one condition only.

    Args:
        groups: for each condition one value per network, (networks,).
        seeds: for each condition the seeds of its networks.
        generator: source of the permutations.
        n_permutations: number of permutations.
        of_deviations: True for the slope of log standard deviations, False for the slope of means.

    Returns:
        The slope of the data, and the slopes of the permutations (n_permutations,).
    """
    values, conditions, seed_indices = _stack(groups, seeds)
    slopes = _log_deviation_slopes if of_deviations else _studentized_slopes
    rows = np.repeat(values, n_permutations, axis=0)
    for seed in range(seed_indices.max() + 1):
        rows[:, seed_indices == seed] = generator.permuted(rows[:, seed_indices == seed], axis=1)
    observed = float(slopes(values, conditions, seed_indices)[0])
    permuted = slopes(rows, conditions, seed_indices)
    if (rows == rows[0]).all():
        return 0.0, np.zeros(n_permutations)
    scale = permuted.std() if of_deviations else 1.0
    return observed / scale, permuted / scale


def _positions(n_conditions: int) -> Array:
    """Return evenly spaced positions over one unit, centered at zero."""
    return np.linspace(-0.5, 0.5, n_conditions)


def _stack(groups: Sequence[Array], seeds: Sequence[Sequence[int]]) -> tuple[Array, Indices, Indices]:
    """Return all values (1, networks), and the indices of each network's condition and seed."""
    conditions = np.repeat(np.arange(len(groups)), [len(values) for values in groups])
    seed_indices = np.unique(np.concatenate(list(map(np.asarray, seeds))), return_inverse=True)[1]
    return np.concatenate(groups)[None], conditions, seed_indices


def _log_deviation_slopes(values: Array, conditions: Indices, seeds: Indices) -> Array:
    """Compute the slope of the log standard deviations for each row of values (rows, networks)."""
    deviations = [values[:, conditions == index].std(axis=1) for index in range(conditions.max() + 1)]
    return fitted_slope(np.log(np.maximum(deviations, np.finfo(np.float64).tiny)))


def _studentized_slopes(values: Array, conditions: Indices, seeds: Indices) -> Array:
    """Compute the slope of the means over its standard error for each row of values (rows, networks).

    The standard error is cluster-robust: it sums over seeds, whose networks are not independent.
    """
    slope = np.zeros(len(values))
    influence = np.zeros((len(values), seeds.max() + 1))
    for condition, position in enumerate(_positions(conditions.max() + 1)):
        members = conditions == condition
        group = values[:, members]
        n, mean = group.shape[1], group.mean(axis=1, keepdims=True)
        slope += position * mean[:, 0]
        influence[:, seeds[members]] += position * (group - mean) / math.sqrt(n * (n - 1))
    return slope / np.sqrt(np.maximum((influence**2).sum(axis=1), np.finfo(np.float64).tiny))
