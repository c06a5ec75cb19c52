"""Trends along a factor (docs/specification.md, section 7), on simulated networks with a known trend."""

from __future__ import annotations

import math

import numpy as np
import pytest

from degen.errors import BadInputError
from degen.statistics import (
    Bootstrap,
    Estimate,
    deviation_curve,
    distance_curve,
    fit_trend,
    mean_curve,
    networks_for_precision,
    pseudo_values,
    ratio_curve,
)
from tests.statistics.simulated import BOOTSTRAP, CONDITIONS, NETWORKS, curve_of, distances


def test_pseudo_values_come_from_leaving_one_out():
    matrix = distances(np.random.default_rng(0))
    n = len(matrix)

    def mean(kept: np.ndarray) -> float:
        return float(matrix[np.ix_(kept, kept)].sum() / (len(kept) * (len(kept) - 1)))

    everyone = np.arange(n)
    expected = [n * mean(everyone) - (n - 1) * mean(np.delete(everyone, i)) for i in everyone]
    assert pseudo_values(matrix) == pytest.approx(expected)
    assert pseudo_values(matrix).mean() == pytest.approx(mean(everyone))


def test_pseudo_values_have_the_variance_of_the_mean_distance():
    generator = np.random.default_rng(1)
    drawn = [distances(generator, networks=40) for _ in range(400)]
    of_the_mean = np.std([matrix.sum() / (40 * 39) for matrix in drawn])
    of_pseudo_values = np.mean([pseudo_values(matrix).std(ddof=1) for matrix in drawn]) / 40**0.5
    assert of_pseudo_values == pytest.approx(of_the_mean, rel=0.1)


def test_permutations_of_a_task_do_not_depend_on_other_tasks():
    generator = np.random.default_rng(3)
    curves = [
        curve_of(distance_curve, [distances(generator) for _ in range(3)], f"task {i}") for i in range(2)
    ]
    single = [curve.permutation_slopes(0, 19) for curve in curves]
    together = np.abs(single[0][1] + single[1][1]) >= abs(single[0][0] + single[1][0]) - 1e-12
    assert fit_trend(curves, BOOTSTRAP, 19).p == (1 + together.sum()) / 20
    assert not np.allclose(single[0][1], single[1][1])
    with pytest.raises(BadInputError, match="tasks of curves must be different"):
        fit_trend([curves[0], curves[0]], BOOTSTRAP, 19)


def test_a_value_that_is_not_finite_has_no_p():
    generator = np.random.default_rng(4)
    groups = [generator.standard_normal(NETWORKS) for _ in range(CONDITIONS)]
    groups[1][3] = np.nan
    found = fit_trend([curve_of(deviation_curve, groups)], BOOTSTRAP, 99)
    assert np.isnan([found.p, found.effect]).all()
    assert found.direction(0.05) == "-"


@pytest.mark.parametrize("build", [deviation_curve, mean_curve])
def test_a_task_whose_conditions_share_no_seed_is_not_tested(build):
    generator = np.random.default_rng(6)
    groups = [generator.uniform(1, scale, 9) for scale in (2, 9)]
    strange = build(groups, [range(9), range(9, 18)], BOOTSTRAP, "strange")
    other = curve_of(build, [generator.uniform(1, 2, 9) for _ in range(2)], "other")
    single = fit_trend([strange], BOOTSTRAP, 99)
    assert (single.p, single.slope, single.direction(1.0)) == (1, 0, "-")
    assert single.effect > 0
    both, without = fit_trend([strange, other], BOOTSTRAP, 99), fit_trend([other], BOOTSTRAP, 99)
    assert (both.p, both.slope) == (without.p, without.slope)


def test_a_simulated_trend_is_found_with_its_size_and_sign():
    generator = np.random.default_rng(4)
    covered = 0
    for _ in range(100):
        found = fit_trend(
            [curve_of(distance_curve, [distances(generator, scale, 30) for scale in (1, 2, 4)])],
            BOOTSTRAP,
            99,
        )
        assert found.p <= 0.05
        assert found.spearman == 1
        covered += found.low <= math.log(4) <= found.high
    # 90 % up to chance, and percentile intervals of 30 networks are too narrow.
    assert 0.78 <= covered / 100 <= 0.97
    assert found.change == pytest.approx(3, abs=1.5)
    falling = fit_trend(
        [curve_of(deviation_curve, [np.array([0.0, 4, 1, 3]), np.array([1.0, 1.1, 1, 1.2])])], BOOTSTRAP, 99
    )
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


def test_a_test_against_the_effect_gives_no_direction():
    """The effect weights tasks equally, the test by precision: one rises more, the other falls precisely."""
    generator = np.random.default_rng(8)
    rising = [np.exp(generator.normal(mean, 0.25, 15)) for mean in (0, 0.7)]
    falling = [10 * np.exp(generator.normal(mean, 0.02, 15)) for mean in (0, -0.2)]
    curves = [curve_of(mean_curve, rising, "one"), curve_of(mean_curve, falling, "other")]
    rise, fall, both = (fit_trend(some, BOOTSTRAP, 999) for some in (curves[:1], curves[1:], curves))
    assert (rise.direction(0.05), fall.direction(0.05)) == ("\u2191", "\u2193")
    assert both.slope == pytest.approx(rise.slope + fall.slope)
    assert both.effect > 0 > both.slope
    assert both.excludes_zero
    assert both.p < 0.05
    assert both.direction(0.05) == "-"


def test_a_ratio_resamples_numerator_and_denominator_together():
    generator = np.random.default_rng(9)
    matrices = [distances(generator, networks=n) for n in (8, 5)]
    groups = [generator.uniform(1, 3, n) for n in (8, 5)]
    found = ratio_curve(curve_of(distance_curve, matrices), curve_of(mean_curve, groups))

    def ratio(matrix: np.ndarray, values: np.ndarray) -> float:
        n = len(values)
        return float(matrix.sum() / (n * (n - 1)) / values.mean())

    for index, (matrix, values) in enumerate(zip(matrices, groups, strict=True)):
        n = len(values)
        assert found.values[index] == pytest.approx(ratio(matrix, values))
        kept = [np.delete(np.arange(n), i) for i in range(n)]
        without = np.array([ratio(matrix[np.ix_(rest, rest)], values[rest]) for rest in kept])
        assert found.network_values[index] == pytest.approx(n * found.values[index] - (n - 1) * without)
    found = ratio_curve(curve_of(deviation_curve, groups), curve_of(mean_curve, groups))
    for values, numbers, value in zip(groups, found.network_values, found.values, strict=True):
        assert numbers.std() == pytest.approx(value) == values.std() / values.mean()
    counts = BOOTSTRAP.counts_by_seed([range(8), range(5)], "task")
    for index, sample in ((0, 3), (1, 7)):
        drawn = np.repeat(groups[index], counts[index][sample].astype(int))
        assert found.bootstrap_values[index, sample] == pytest.approx(drawn.std() / drawn.mean())


def test_tasks_with_equal_seeds_are_independent():
    """With shared samples, a second task would not narrow the interval."""
    groups = [10 + np.random.default_rng(index).normal(0, 1, 15) for index in (9, 10)]
    curves = [curve_of(mean_curve, groups, task) for task in ("flip_flop", "sine_wave")]
    single, both = fit_trend(curves[:1], BOOTSTRAP, 1), fit_trend(curves, BOOTSTRAP, 1)
    assert both.effect == pytest.approx(single.effect)
    assert (both.high - both.low) / (single.high - single.low) == pytest.approx(0.5**0.5, rel=0.15)


def test_the_required_networks_give_the_requested_precision():
    generator = np.random.default_rng(7)
    bootstrap = Bootstrap(n_samples=2000, level=0.95, seed=0)
    needed = networks_for_precision(bootstrap.mean_distance(distances(generator, networks=60)), 60)
    assert needed > 60
    assert math.isnan(networks_for_precision(Estimate(0, 0, 0), 60))
    value, low, high = bootstrap.mean_distance(distances(generator, networks=needed))
    assert (high - low) / 2 / value == pytest.approx(0.1, rel=0.25)


@pytest.mark.parametrize(("build", "shape"), [(distance_curve, (2, 2)), (deviation_curve, (2,))])
def test_two_networks_are_too_few_for_a_trend(build, shape):
    with pytest.raises(BadInputError, match="networks of a condition must be an integer of at least 3"):
        curve_of(build, [np.zeros(shape)] * 2)


def test_a_degeneracy_of_zero_has_no_interval_or_direction():
    """The standard deviation of equal networks has no finite logarithm."""
    alike, other = np.zeros(4), np.arange(4.0)
    curves = [curve_of(deviation_curve, [alike, other])]
    found = fit_trend(curves, BOOTSTRAP, 99)
    assert np.isnan([found.low, found.high]).all()
    assert found.direction(1.0) == "-"


def test_equal_values_have_no_rank_correlation():
    curves = [curve_of(deviation_curve, [np.arange(4.0)] * 3)]
    found = fit_trend(curves, BOOTSTRAP, 99)
    assert np.isnan(found.spearman)
