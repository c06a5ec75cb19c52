"""Main effects and interaction of two crossed factors (docs/statistics.md)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Sequence
from numbers import Real

import numpy as np

from degen.errors import require
from degen.statistics.bootstrap import Bootstrap
from degen.statistics.contrast import pair_weights, trend_weights
from degen.statistics.factor_curve import FactorCurve
from degen.statistics.jackknife import Array
from degen.statistics.joint_test import JointTest, compare_conditions, require_conditions

Cell = tuple[Hashable, Hashable]
"""Levels of two crossed factors."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossedTests:
    """Main effects and interaction of two crossed factors.

    A factor whose levels are numbers has one effect: the change from its lowest to its highest level. A
    factor whose levels are names has an effect for each level but the first, compared with the first.

    Attributes:
        first: effect of the first factor, the mean over levels of the second factor.
        second: effect of the second factor, the mean over levels of the first factor.
        interaction: how much each effect of the second factor changes by each effect of the first factor.
    """

    first: JointTest
    second: JointTest
    interaction: JointTest


def fit_crossed(
    curves: Sequence[FactorCurve], cells: Sequence[Cell], bootstrap: Bootstrap, n_permutations: int
) -> CrossedTests:
    """Compute main effects and interaction of two crossed factors, with equal weights of their levels.

    Levels that are numbers are sorted and evenly spaced. Other levels are names, in the order of their first
    cell. The test of a main effect permutes networks between the levels of its factor, within seed and level
    of the other factor. The test of the interaction subtracts both main effects from the log degeneracy, and
    then permutes networks between all cells within their seed (Freedman & Lane 1983).

    Args:
        curves: one curve per task, whose conditions are the cells.
        cells: for each condition the levels of both factors. Every combination occurs once.
        bootstrap: level of the intervals, and the seed of the permutations.
        n_permutations: number of permutations.

    Raises:
        BadInputError: a combination of levels is missing or repeated, a factor has a single level, or the
            curves differ in their number of conditions.

    Examples:
        >>> from degen.statistics import mean_curve
        >>> generator = np.random.default_rng(0)
        >>> cells = [(width, cell) for width in (64, 128) for cell in ("tanh", "gru")]
        >>> groups = [generator.normal(mean, 1, 9) for mean in (10, 20, 10, 20)]
        >>> bootstrap = Bootstrap(n_samples=999, level=0.95, seed=0)
        >>> curve = mean_curve(groups, [range(9)] * 4, bootstrap, "flip_flop")
        >>> tests = fit_crossed([curve], cells, bootstrap, 999)
        >>> tests.first.p < 0.05, tests.second.p < 0.05, tests.interaction.p < 0.05
        (False, True, False)
    """
    require_conditions(curves, len(cells))
    levels = [_levels([cell[factor] for cell in cells]) for factor in (0, 1)]
    positions = [[levels[factor].index(cell[factor]) for cell in cells] for factor in (0, 1)]
    order = np.ravel_multi_index(positions, (len(levels[0]), len(levels[1])))
    is_crossed = sorted(order.tolist()) == list(range(len(levels[0]) * len(levels[1])))
    require(is_crossed, "cells", list(cells), "all combinations of the levels of two factors, once each")
    (first, n_first), (second, n_second) = (_factor_weights(of_factor) for of_factor in levels)
    averages = [np.full((1, len(of_factor)), 1 / len(of_factor)) for of_factor in levels]
    settings = bootstrap, n_permutations

    def compare(weights: Array, n_effects: int, strata: Sequence[int], fit: Array | None = None) -> JointTest:
        n_equivalent = math.factorial(1 + n_effects)
        return compare_conditions(
            curves, weights[:, order], n_effects, strata, n_equivalent, *settings, null_fit=fit
        )

    return CrossedTests(
        first=compare(np.kron(first, averages[1]), n_first, positions[1]),
        second=compare(np.kron(averages[0], second), n_second, positions[0]),
        interaction=compare(
            _interaction_weights(first, n_first, second, n_second),
            n_first * n_second,
            [0] * len(cells),
            _main_effects([len(of_factor) for of_factor in levels])[np.ix_(order, order)],
        ),
    )


def _levels(values: Sequence[Hashable]) -> list[Hashable]:
    """Return the different levels of a factor: numbers sorted, names in order."""
    levels = list(dict.fromkeys(values))
    require(len(levels) >= 2, "levels of a factor", levels, "at least two")
    return sorted(levels) if _is_numeric(levels) else levels  # type: ignore[type-var]


def _is_numeric(levels: Sequence[Hashable]) -> bool:
    return all(isinstance(level, Real) and not isinstance(level, bool) for level in levels)


def _factor_weights(levels: Sequence[Hashable]) -> tuple[Array, int]:
    """Return the contrasts between the levels of a factor, and the number of reported ones."""
    if _is_numeric(levels):
        return trend_weights(len(levels)), 1
    return pair_weights(len(levels)), len(levels) - 1


def _interaction_weights(first: Array, n_first: int, second: Array, n_second: int) -> Array:
    """Return products of contrasts. Products of reported contrasts come first."""
    products = [(i, j) for i in range(len(first)) for j in range(len(second))]
    products.sort(key=lambda pair: pair[0] >= n_first or pair[1] >= n_second)
    return np.array([np.kron(first[i], second[j]) for i, j in products])


def _main_effects(sizes: Sequence[int]) -> Array:
    """Return the projection of cells onto both main effects, without the grand mean."""
    averages = [np.full((size, size), 1 / size) for size in sizes]
    identities = [np.eye(size) for size in sizes]
    grand_mean = np.kron(*averages)
    return np.kron(identities[0], averages[1]) + np.kron(averages[0], identities[1]) - 2 * grand_mean
