"""Error rates of trends in repeated simulations: false positives, coverage of intervals, and power.

`make check-statistics` has larger simulations.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from degen.statistics import Bootstrap, FactorCurve, fit_trend, mean_curve
from degen.statistics.joint_test import NO_DIRECTION
from tests.statistics.check import LEVELS, level_rate, rates, trend
from tests.statistics.nulls import NULLS
from tests.statistics.simulated import NETWORKS, curve_of, distances

RUNS = range(20_000, 20_150)

AIMS = {
    "distances: same distribution": 0.05,
    "distances: scatter grows, two conditions": 0.08,
    "distances: no shared seeds": 0.05,
    "means: adjacent conditions correlate": 0.05,
    "sigma: same distribution, log-normal 1": 0.05,
    "sigma: skewness grows, log-normal 0.25 to 0.75": 0.08,
    "sigma / mean: same ratio": 0.07,
}
"""Rates of docs/statistics.md for 8 networks, rounded up."""


POWER_OF_DISTANCES = {
    "three levels, one is twice as high (power)": 0.26,
    "3 x 2, first factor doubles degeneracy (power)": 0.59,
    "3 x 2, first factor doubles degeneracy at one level only (power)": 0.21,
}
"""Power of docs/statistics.md for 8 networks."""


@pytest.mark.parametrize("name", AIMS)
def test_false_positives_are_as_rare_as_stated(name):
    result, excluded = rates(name, 8, RUNS)
    assert result <= AIMS[name] + 3 * math.sqrt(AIMS[name] * (1 - AIMS[name]) / len(RUNS))
    assert result <= excluded


@pytest.mark.parametrize("kind", ["distances", "sigma"])
@pytest.mark.parametrize("name", LEVELS)
def test_levels_and_crossed_factors_have_the_stated_rates(name, kind):
    rate = level_rate(name, kind, 8, range(20_000, 20_080))
    stated = POWER_OF_DISTANCES.get(name, 0.05)
    tolerance = 3 * math.sqrt(stated * (1 - stated) / 80)
    if name not in POWER_OF_DISTANCES:
        assert rate <= stated + tolerance
    elif kind == "distances":
        assert abs(rate - stated) <= tolerance


@pytest.mark.parametrize("kind", ["distances", "sigma"])
def test_the_detectable_change_has_the_stated_power(kind):
    change = np.median([trend(kind, 0.0, 16, 0.0, run).detectable_change for run in range(30)])
    result = [trend(kind, 0.0, 16, change, run).direction(0.05) != NO_DIRECTION for run in range(50, 110)]
    # The stated power is 0.8 with a standard error of 0.05.
    assert 0.65 <= np.mean(result) <= 0.95


def naive(matrices: list[np.ndarray]) -> FactorCurve:
    """Use the mean distance of each network to the others in place of its pseudo-value."""
    means = [matrix.sum(axis=1) / (len(matrix) - 1) for matrix in matrices]
    return curve_of(mean_curve, means)


def test_mean_distances_of_networks_find_false_trends():
    generator, called = np.random.default_rng(2), 0
    for _ in RUNS:
        called += fit_trend([naive([distances(generator) for _ in range(3)])], BOOTSTRAP, 99).p < 0.05
    assert called / len(RUNS) > 0.15


BOOTSTRAP = Bootstrap(n_samples=400, level=0.95, seed=0)


def correlated_groups(
    generator: np.random.Generator, missing: int = 0, step: float = 0.0
) -> tuple[list[np.ndarray], list[list[int]]]:
    """Return values and seeds of networks whose values correlate within each seed.

    Args:
        missing: number of seeds, of 15, that the second condition lacks.
        step: increase of the mean from one condition to the next.
    """
    of_seed = generator.normal(0, 1, NETWORKS)
    seeds = [sorted(generator.permutation(NETWORKS)[missing * (i == 1) :]) for i in range(3)]
    groups = [
        10 + step * i + of_seed[group_seeds] + generator.normal(0, 0.5, len(group_seeds))
        for i, group_seeds in enumerate(seeds)
    ]
    return groups, seeds


@pytest.mark.parametrize("missing", [0, 5])
def test_drawing_seeds_gives_the_nominal_coverage(missing):
    generator = np.random.default_rng(8)
    covered, widths = {"by seed": 0, "apart": 0}, {"by seed": 0.0, "apart": 0.0}
    for _ in RUNS:
        groups, seeds = correlated_groups(generator, missing)
        strangers = [[100 * i + seed for seed in group_seeds] for i, group_seeds in enumerate(seeds)]
        for name, those in (("by seed", seeds), ("apart", strangers)):
            result = fit_trend([mean_curve(groups, those, BOOTSTRAP, "")], BOOTSTRAP, 1)
            covered[name] += result.low <= 0 <= result.high
            widths[name] += result.high - result.low
    assert 0.89 <= covered["by seed"] / len(RUNS) <= 0.99
    assert widths["by seed"] < 0.7 * widths["apart"]


@pytest.mark.parametrize("missing", [0, 5])
def test_permuting_within_seeds_gains_power(missing):
    generator, result = np.random.default_rng(11), 0
    for _ in RUNS:
        curve = mean_curve(*correlated_groups(generator, missing, step=0.3), BOOTSTRAP, "")
        result += fit_trend([curve], BOOTSTRAP, 99).p < 0.05
    # The trend is 0.6, its standard error 0.18. Ignoring seeds, the error would be 0.41, and power a third.
    assert result / len(RUNS) > 0.7


def test_every_null_hypothesis_has_equal_degeneracies():
    """With many networks, the degeneracies of all conditions are equal."""
    bootstrap = Bootstrap(n_samples=1, level=0.95, seed=0)
    for name, draw in NULLS.items():
        for curve in draw(np.random.default_rng(0), 800, bootstrap):
            tolerance = 0.35 if "sigma" in name else 0.12
            assert curve.values == pytest.approx(curve.values.mean(), rel=tolerance), name
