"""Error rates of trends in repeated simulations: false positives, coverage of intervals, and power."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from degen.statistics import (
    FactorCurve,
    deviation_curve,
    distance_curve,
    fit_trend,
    mean_curve,
)
from tests.statistics.simulated import BOOTSTRAP, CONDITIONS, EXPERIMENTS, NETWORKS, curve_of, distances


def jackknifed(curve: FactorCurve, groups: Sequence[np.ndarray]) -> FactorCurve:
    """Return the curve of deviations with pseudo-values in index of residuals."""
    n = NETWORKS
    without = [np.array([np.delete(values, i).std() for i in range(n)]) for values in groups]
    numbers = [n * values.std() - (n - 1) * rest for values, rest in zip(groups, without, strict=True)]
    return dataclasses.replace(curve, network_values=numbers, is_deviation=False)


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_deviations_of_skewed_losses_show_no_false_trends(shared):
    generator = np.random.default_rng(5)
    called = {"residuals": 0, "pseudo-values": 0}
    for _ in range(EXPERIMENTS):
        common, own = generator.standard_normal(NETWORKS), generator.standard_normal((4, NETWORKS))
        losses = list(np.exp(shared**0.5 * common + (1 - shared) ** 0.5 * own))
        curve = curve_of(deviation_curve, losses)
        called["residuals"] += fit_trend([curve], BOOTSTRAP, 99).p <= 0.05
        called["pseudo-values"] += fit_trend([jackknifed(curve, losses)], BOOTSTRAP, 99).p <= 0.05
    assert called["residuals"] / EXPERIMENTS <= 0.09
    assert called["pseudo-values"] / EXPERIMENTS > 0.14


def naive(matrices: Sequence[np.ndarray]) -> FactorCurve:
    """Use the mean distance of each network to the others in index of its pseudo-value."""
    curve = curve_of(distance_curve, matrices)
    means = [matrix.sum(axis=1) / (len(matrix) - 1) for matrix in matrices]
    return dataclasses.replace(curve, network_values=means)


def test_pseudo_values_keep_the_level_and_mean_distances_do_not():
    generator = np.random.default_rng(2)
    called = {"pseudo-values": 0, "mean distances": 0}
    for _ in range(EXPERIMENTS):
        matrices = [distances(generator) for _ in range(CONDITIONS)]
        called["pseudo-values"] += fit_trend([curve_of(distance_curve, matrices)], BOOTSTRAP, 99).p <= 0.05
        called["mean distances"] += fit_trend([naive(matrices)], BOOTSTRAP, 99).p <= 0.05
    assert 0.02 <= called["pseudo-values"] / EXPERIMENTS <= 0.09
    assert called["mean distances"] / EXPERIMENTS > 0.2


def test_unequal_variances_and_sizes_are_not_a_trend():
    generator = np.random.default_rng(3)
    called = 0
    for _ in range(EXPERIMENTS):
        groups = [generator.normal(0, scale, networks) for scale, networks in ((1, 25), (2, 12), (4, 12))]
        called += fit_trend([curve_of(mean_curve, [10 + group for group in groups])], BOOTSTRAP, 99).p <= 0.05
    assert called / EXPERIMENTS <= 0.09


def correlated_groups(
    generator: np.random.Generator, missing: int = 0, step: float = 0.0
) -> tuple[list[np.ndarray], list[list[int]]]:
    """Return values and seeds of networks whose values correlate within each seed.

    Args:
        missing: number of seeds, of 15, that the second condition lacks.
        step: increase of the mean from one condition to the next.
    """
    of_seed = generator.normal(0, 1, NETWORKS)
    seeds = [sorted(generator.permutation(NETWORKS)[missing * (i == 1) :]) for i in range(CONDITIONS)]
    groups = [
        10 + step * i + of_seed[one] + generator.normal(0, 0.5, len(one)) for i, one in enumerate(seeds)
    ]
    return groups, seeds


@pytest.mark.parametrize("missing", [0, 5])
def test_drawing_seeds_gives_the_nominal_coverage(missing):
    generator = np.random.default_rng(8)
    covered, widths = {"by seed": 0, "apart": 0}, {"by seed": 0.0, "apart": 0.0}
    for _ in range(EXPERIMENTS):
        groups, seeds = correlated_groups(generator, missing)
        strangers = [[100 * i + seed for seed in one] for i, one in enumerate(seeds)]
        for name, those in (("by seed", seeds), ("apart", strangers)):
            found = fit_trend([mean_curve(groups, those, BOOTSTRAP, "")], BOOTSTRAP, 1)
            covered[name] += found.low <= 0 <= found.high
            widths[name] += found.high - found.low
    # 90 % up to chance, and percentile intervals of 15 networks are too narrow.
    assert 0.82 <= covered["by seed"] / EXPERIMENTS <= 0.95
    assert covered["apart"] / EXPERIMENTS > 0.97
    assert widths["by seed"] < 0.7 * widths["apart"]


@pytest.mark.parametrize("missing", [0, 5])
def test_permuting_within_seeds_keeps_the_level_and_gains_power(missing):
    generator = np.random.default_rng(11)
    called = {0.0: 0, 0.3: 0}
    for step in called:
        for _ in range(EXPERIMENTS):
            curve = mean_curve(*correlated_groups(generator, missing, step), BOOTSTRAP, "")
            called[step] += fit_trend([curve], BOOTSTRAP, 99).p <= 0.05
    assert 0.02 <= called[0.0] / EXPERIMENTS <= 0.09
    # The trend is 0.6, its standard error 0.18. Ignoring seeds, the error would be 0.41, and power a third.
    assert called[0.3] / EXPERIMENTS > 0.7


@pytest.mark.parametrize("build", [mean_curve, distance_curve])
@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_correlated_adjacent_conditions_are_not_a_trend(build, correlation):
    """Four conditions, whose correlation decays as a power of their distance."""
    generator, called = np.random.default_rng(12), 0
    root = np.linalg.cholesky(correlation ** np.abs(np.subtract.outer(range(4), range(4))))
    for _ in range(EXPERIMENTS):
        points = root @ generator.standard_normal((4, NETWORKS))
        matrices = np.abs(points[:, :, None] - points[:, None])
        found = fit_trend(
            [curve_of(build, list(10 + points if build is mean_curve else matrices))], BOOTSTRAP, 99
        )
        called += found.p <= 0.05
    assert 0.01 <= called / EXPERIMENTS <= 0.09
