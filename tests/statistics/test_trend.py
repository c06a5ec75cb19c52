"""Trends along a factor (docs/statistics.md), on simulated networks with a known trend."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from degen.errors import BadInputError
from degen.statistics import (
    FactorCurve,
    deviation_curve,
    distance_curve,
    fit_trend,
    mean_curve,
    pseudo_values,
)
from tests.statistics.simulated import BOOTSTRAP, CONDITIONS, NETWORKS, curve_of, distances


def test_pseudo_values_come_from_leaving_one_out():
    matrix = distances(np.random.default_rng(0))
    n = len(matrix)

    def mean(networks: np.ndarray) -> float:
        return float(matrix[np.ix_(networks, networks)].sum() / (len(networks) * (len(networks) - 1)))

    everyone = np.arange(n)
    expected = [n * mean(everyone) - (n - 1) * mean(np.delete(everyone, i)) for i in everyone]
    assert pseudo_values(matrix) == pytest.approx(expected)
    assert pseudo_values(matrix).mean() == pytest.approx(mean(everyone))


@pytest.mark.parametrize("build", [distance_curve, mean_curve])
def test_permuted_values_have_the_log_degeneracy_as_mean(build):
    generator = np.random.default_rng(1)
    points = generator.uniform(1, 2, (2, NETWORKS))
    data = list(points if build is mean_curve else np.abs(points[:, :, None] - points[:, None]))
    curve = curve_of(build, data)
    assert [values.mean() for values in curve.network_values] == pytest.approx(np.log(curve.values))


def test_permutations_of_a_task_do_not_depend_on_other_tasks():
    generator = np.random.default_rng(3)
    curves = [
        curve_of(distance_curve, [distances(generator) for _ in range(3)], f"task {i}") for i in range(2)
    ]
    weights = np.array([[-1.0, 0.0, 1.0]])
    single = [curve.permuted(weights, [0] * 3, 0, 19) for curve in curves]
    effects = np.mean([samples.effects for samples in single], axis=0)
    errors = np.sqrt(np.sum([samples.variances for samples in single], axis=0)) / 2
    trend = fit_trend(curves, BOOTSTRAP, 19)
    extreme = np.count_nonzero(np.abs(effects / errors) >= abs(trend.slope))
    assert trend.p >= (1 + extreme) / 20
    assert not np.allclose(single[0].effects, single[1].effects)
    with pytest.raises(BadInputError, match="tasks of curves must be different"):
        fit_trend([curves[0], curves[0]], BOOTSTRAP, 19)


def test_effect_and_error_are_those_computed_by_hand():
    """Seeds 1 to 5 have two networks, seeds 0 and 6 have one."""
    generator = np.random.default_rng(9)
    groups, seeds = [generator.uniform(1, 3, 6) for _ in range(2)], [range(6), range(1, 7)]
    trend = fit_trend([mean_curve(groups, seeds, BOOTSTRAP, "task")], BOOTSTRAP, 19)
    assert trend.effect == pytest.approx(math.log(groups[1].mean() / groups[0].mean()))
    influence = np.zeros(7)
    for group, these, sign in zip(groups, seeds, (-1, 1), strict=True):
        logs = np.array([math.log(np.delete(group, index).mean()) for index in range(6)])
        influence[list(these)] += sign * 5 * (logs.mean() - logs) / math.sqrt(30)
    assert trend.standard_error == pytest.approx(math.sqrt((influence**2).sum()))
    assert trend.slope == pytest.approx(trend.effect / trend.standard_error)


def test_a_value_that_is_not_finite_has_no_p():
    generator = np.random.default_rng(4)
    groups = [generator.standard_normal(NETWORKS) for _ in range(CONDITIONS)]
    groups[1][3] = np.nan
    result = fit_trend([curve_of(deviation_curve, groups)], BOOTSTRAP, 99)
    assert math.isnan(result.p)
    assert result.direction(0.05) == "-"
    assert result.problem == "task: condition 2 has a degeneracy of nan"


@pytest.mark.parametrize("other", [np.arange(6.0), np.zeros(6)])
def test_a_degeneracy_of_zero_is_named(other):
    """The standard deviation of equal networks has no finite logarithm."""
    result = fit_trend([curve_of(deviation_curve, [other, np.zeros(6)])], BOOTSTRAP, 99)
    assert np.isnan([result.low, result.high, result.p, result.p_error]).all()
    assert result.direction(1.0) == "-"
    assert "has a degeneracy of 0" in result.problem


def test_a_deviation_that_one_network_causes_is_named():
    result = fit_trend([curve_of(deviation_curve, [np.arange(6.0), np.eye(6)[0]])], BOOTSTRAP, 99)
    assert result.problem == "a condition has a degeneracy of zero without one of its networks"
    assert math.isnan(result.p)


def test_networks_that_differ_by_a_factor_have_an_exact_trend():
    losses = np.arange(1.0, 9.0)
    result = fit_trend([curve_of(mean_curve, [losses, 2 * losses])], BOOTSTRAP, 399)
    assert (result.low, result.effect, result.high) == pytest.approx([math.log(2)] * 3)
    assert result.direction(0.05) == "\u2191"
    unchanged = fit_trend([curve_of(mean_curve, [losses, losses])], BOOTSTRAP, 399)
    assert unchanged.p == 1


@pytest.mark.parametrize(("n", "least"), [(5, 2 / 2**5), (6, 2 / 2**6)])
def test_five_shared_seeds_of_two_conditions_are_too_few(n, least):
    """A hundredfold change of every seed."""
    generator = np.random.default_rng(2)
    groups = [scale * generator.uniform(1, 1.01, n) for scale in (1, 100)]
    result = fit_trend([curve_of(mean_curve, groups)], BOOTSTRAP, 999)
    assert result.smallest_p == pytest.approx(least)
    assert result.p >= least
    assert (result.direction(0.05) == "\u2191") == (n == 6)
    assert math.isinf(result.detectable_change) == (n == 5)


def test_networks_without_shared_seeds_are_exchanged_freely():
    generator = np.random.default_rng(6)
    groups = [generator.uniform(1, scale, 9) for scale in (2, 9)]
    result = fit_trend([mean_curve(groups, [range(9), range(9, 18)], BOOTSTRAP, "task")], BOOTSTRAP, 999)
    assert result.smallest_p == pytest.approx(1 / 1000)
    assert result.direction(0.05) == "\u2191"


def test_p_has_the_stated_monte_carlo_error():
    generator = np.random.default_rng(12)
    groups = [generator.normal(10 + 0.6 * i, 1, 12) for i in range(3)]
    result = []
    for seed in range(60):
        bootstrap = dataclasses.replace(BOOTSTRAP, seed=seed)
        curve = mean_curve(groups, [range(12)] * 3, bootstrap, "task")
        result.append(fit_trend([curve], bootstrap, 400))
    assert 0.02 < result[0].p < 0.3
    # The standard deviation of 60 values has a relative error of 9 %.
    assert np.std([trend.p for trend in result]) == pytest.approx(result[0].p_error, rel=0.35)


def test_a_significant_p_implies_an_interval_without_zero():
    generator = np.random.default_rng(13)
    trends = [
        fit_trend([curve_of(distance_curve, [distances(generator, s, 10) for s in (1, 3)])], BOOTSTRAP, 99)
        for _ in range(80)
    ]
    significant = [trend for trend in trends if trend.p < 0.049]
    assert 5 < len(significant) < 75
    assert all(trend.excludes_zero for trend in significant)
    assert all(trend.slope * trend.effect > 0 for trend in trends)


def test_a_simulated_trend_is_found_with_its_size_and_sign():
    generator = np.random.default_rng(4)
    covered = 0
    for _ in range(100):
        result = fit_trend(
            [curve_of(distance_curve, [distances(generator, scale, 30) for scale in (1, 2, 4)])],
            BOOTSTRAP,
            99,
        )
        assert result.p < 0.05
        assert result.spearman == pytest.approx(1)
        covered += result.low <= math.log(4) <= result.high
    # 95 % up to four standard errors.
    assert covered / 100 >= 0.87
    assert result.change == pytest.approx(3, abs=1.5)
    falling = fit_trend([curve_of(deviation_curve, [np.arange(5.0), 1 + np.arange(5.0) / 50])], BOOTSTRAP, 99)
    assert falling.effect < 0


def test_pooling_tasks_increases_power():
    generator = np.random.default_rng(5)
    curves = [
        curve_of(distance_curve, [distances(generator, scale, 12) for scale in (1.0, 1.3)], f"task {i}")
        for i in range(6)
    ]
    single = [fit_trend([curve], BOOTSTRAP, 999) for curve in curves]
    together = fit_trend(curves, BOOTSTRAP, 999)
    assert together.effect == pytest.approx(np.mean([trend.effect for trend in single]))
    errors = np.array([trend.standard_error for trend in single])
    assert together.standard_error == pytest.approx(math.sqrt((errors**2).sum()) / 6)
    assert together.p < np.median([trend.p for trend in single])
    assert together.high - together.low < min(trend.high - trend.low for trend in single)
    assert together.networks == 6 * 2 * 12


def test_opposite_trends_of_two_tasks_cancel():
    generator = np.random.default_rng(6)
    rising = [distances(generator, scale, 20) for scale in (1, 3)]
    curves = [curve_of(distance_curve, rising, "one"), curve_of(distance_curve, rising[::-1], "other")]
    both = fit_trend(curves, BOOTSTRAP, 199)
    assert both.effect == pytest.approx(0)
    assert both.p > 0.5


def test_a_precise_task_does_not_outweigh_another():
    """A task rises strongly, another falls precisely. Effect, interval and p weight both equally."""
    generator = np.random.default_rng(8)
    rising = [np.exp(generator.normal(mean, 0.25, 15)) for mean in (0, 0.7)]
    falling = [10 * np.exp(generator.normal(mean, 0.02, 15)) for mean in (0, -0.2)]
    curves = [curve_of(mean_curve, rising, "one"), curve_of(mean_curve, falling, "other")]
    rise, fall, both = (fit_trend(some, BOOTSTRAP, 999) for some in (curves[:1], curves[1:], curves))
    assert (rise.direction(0.05), fall.direction(0.05)) == ("\u2191", "\u2193")
    assert both.effect == pytest.approx((rise.effect + fall.effect) / 2)
    assert both.direction(0.05) == "\u2191"


def test_tasks_with_equal_seeds_are_independent():
    """With shared samples, a second task would not narrow the interval."""
    groups = [10 + np.random.default_rng(index).normal(0, 1, 15) for index in (9, 10)]
    curves = [curve_of(mean_curve, groups, task) for task in ("flip_flop", "sine_wave")]
    single, both = fit_trend(curves[:1], BOOTSTRAP, 1), fit_trend(curves, BOOTSTRAP, 1)
    assert both.effect == pytest.approx(single.effect)
    assert (both.high - both.low) / (single.high - single.low) == pytest.approx(0.5**0.5, rel=0.15)


def test_equal_values_have_no_rank_correlation():
    curves: list[FactorCurve] = [curve_of(deviation_curve, [np.arange(5.0)] * 3)]
    assert np.isnan(fit_trend(curves, BOOTSTRAP, 99).spearman)
