"""Trends along a factor (SPEC, section 7), on simulated networks whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.axes import deviation_axis, distance_axis, distance_pseudo_values, mean_axis, ratio_axis
from analysis.statistics import Bootstrap
from analysis.trends import trend
from degen.errors import BadInputError
from tests.analysis.simulated import BOOTSTRAP, NETWORKS, axis_of, distances

CONDITIONS = 3


def test_pseudo_values_average_to_the_mean_over_pairs_and_come_from_leaving_one_out():
    matrix = distances(np.random.default_rng(0))
    n = len(matrix)

    def mean(kept: np.ndarray) -> float:
        return float(matrix[np.ix_(kept, kept)].sum() / (len(kept) * (len(kept) - 1)))

    everyone = np.arange(n)
    expected = [n * mean(everyone) - (n - 1) * mean(np.delete(everyone, i)) for i in everyone]
    assert distance_pseudo_values(matrix) == pytest.approx(expected)
    assert distance_pseudo_values(matrix).mean() == pytest.approx(mean(everyone))


def test_pseudo_values_scatter_like_the_degeneracy_itself():
    generator = np.random.default_rng(1)
    drawn = [distances(generator, networks=40) for _ in range(400)]
    of_the_mean = np.std([matrix.sum() / (40 * 39) for matrix in drawn])
    of_pseudo_values = np.mean([distance_pseudo_values(matrix).std(ddof=1) for matrix in drawn]) / 40**0.5
    assert of_pseudo_values == pytest.approx(of_the_mean, rel=0.1)


def test_an_axis_is_permuted_alike_alone_and_in_company_and_no_two_of_one_task():
    generator = np.random.default_rng(3)
    axes = [axis_of(distance_axis, [distances(generator) for _ in range(3)], f"task {i}") for i in range(2)]
    alone = [axis.slopes(0, 19) for axis in axes]
    together = np.abs(alone[0][1] + alone[1][1]) >= abs(alone[0][0] + alone[1][0]) - 1e-12
    assert trend(axes, BOOTSTRAP, 19).p == (1 + together.sum()) / 20
    assert not np.allclose(alone[0][1], alone[1][1])
    with pytest.raises(BadInputError, match="tasks of axes must be different"):
        trend([axes[0], axes[0]], BOOTSTRAP, 19)


def test_a_value_that_is_not_finite_makes_no_p():
    generator = np.random.default_rng(4)
    groups = [generator.standard_normal(NETWORKS) for _ in range(CONDITIONS)]
    groups[1][3] = np.nan
    found = trend([axis_of(deviation_axis, groups)], BOOTSTRAP, 99)
    assert np.isnan([found.p, found.effect]).all()
    assert found.direction(0.05) == "-"


@pytest.mark.parametrize("make", [deviation_axis, mean_axis])
def test_a_task_whose_conditions_share_no_seed_says_nothing_alone_or_beside_others(make):
    generator = np.random.default_rng(6)
    groups = [generator.uniform(1, scale, 9) for scale in (2, 9)]
    strange = make(groups, [range(9), range(9, 18)], BOOTSTRAP, "strange")
    other = axis_of(make, [generator.uniform(1, 2, 9) for _ in range(2)], "other")
    alone = trend([strange], BOOTSTRAP, 99)
    assert (alone.p, alone.slope, alone.direction(1.0)) == (1, 0, "-")
    assert alone.effect > 0
    both, without = trend([strange, other], BOOTSTRAP, 99), trend([other], BOOTSTRAP, 99)
    assert (both.p, both.slope) == (without.p, without.slope)


def test_several_tasks_together_show_what_one_alone_does_not():
    generator = np.random.default_rng(5)
    axes = [
        axis_of(distance_axis, [distances(generator, scale, 12) for scale in (1.0, 1.3)], f"task {i}")
        for i in range(6)
    ]
    alone = [trend([axis], BOOTSTRAP, 999) for axis in axes]
    together = trend(axes, BOOTSTRAP, 999)
    assert together.effect == pytest.approx(np.mean([one.effect for one in alone]))
    assert together.p < np.median([one.p for one in alone])
    assert together.high - together.low < min(one.high - one.low for one in alone)
    assert together.networks == 6 * 2 * 12


def test_opposite_trends_of_two_tasks_cancel():
    generator = np.random.default_rng(6)
    rising = [distances(generator, scale, 20) for scale in (1, 3)]
    axes = [axis_of(distance_axis, rising, "one"), axis_of(distance_axis, rising[::-1], "other")]
    both = trend(axes, BOOTSTRAP, 199)
    assert both.effect == pytest.approx(0)
    assert both.p > 0.5


def test_a_p_that_speaks_for_the_other_direction_makes_no_arrow():
    """The effect weighs tasks alike, the test by how certain they are: one rises, the other surely falls."""
    generator = np.random.default_rng(8)
    rising = [np.exp(generator.normal(mean, 0.25, 15)) for mean in (0, 0.7)]
    falling = [10 * np.exp(generator.normal(mean, 0.02, 15)) for mean in (0, -0.2)]
    axes = [axis_of(mean_axis, rising, "one"), axis_of(mean_axis, falling, "other")]
    rise, fall, both = (trend(some, BOOTSTRAP, 999) for some in (axes[:1], axes[1:], axes))
    assert (rise.direction(0.05), fall.direction(0.05)) == ("\u2191", "\u2193")
    assert both.slope == pytest.approx(rise.slope + fall.slope)
    assert both.effect > 0 > both.slope
    assert both.excludes_zero
    assert both.p < 0.05
    assert both.direction(0.05) == "-"


def test_a_ratio_is_drawn_and_left_out_above_and_below_alike():
    generator = np.random.default_rng(9)
    matrices = [distances(generator, networks=n) for n in (8, 5)]
    groups = [generator.uniform(1, 3, n) for n in (8, 5)]
    found = ratio_axis(axis_of(distance_axis, matrices), axis_of(mean_axis, groups))

    def ratio(matrix: np.ndarray, values: np.ndarray) -> float:
        n = len(values)
        return float(matrix.sum() / (n * (n - 1)) / values.mean())

    for place, (matrix, values) in enumerate(zip(matrices, groups, strict=True)):
        n = len(values)
        assert found.values[place] == pytest.approx(ratio(matrix, values))
        kept = [np.delete(np.arange(n), i) for i in range(n)]
        without = np.array([ratio(matrix[np.ix_(rest, rest)], values[rest]) for rest in kept])
        assert found.numbers[place] == pytest.approx(n * found.values[place] - (n - 1) * without)
    found = ratio_axis(axis_of(deviation_axis, groups), axis_of(mean_axis, groups))
    for values, numbers, value in zip(groups, found.numbers, found.values, strict=True):
        assert numbers.std() == pytest.approx(value) == values.std() / values.mean()
    counts = BOOTSTRAP.counts_by_seed([range(8), range(5)], "task")
    for place, sample in ((0, 3), (1, 7)):
        drawn = np.repeat(groups[place], counts[place][sample].astype(int))
        assert found.draws[place, sample] == pytest.approx(drawn.std() / drawn.mean())


def test_two_tasks_are_independent_whatever_their_seeds():
    """Were their samples shared, twice the same networks would say no more than once."""
    groups = [10 + np.random.default_rng(place).normal(0, 1, 15) for place in (9, 10)]
    axes = [axis_of(mean_axis, groups, task) for task in ("flip_flop", "sine_wave")]
    alone, both = trend(axes[:1], BOOTSTRAP, 1), trend(axes, BOOTSTRAP, 1)
    assert both.effect == pytest.approx(alone.effect)
    assert (both.high - both.low) / (alone.high - alone.low) == pytest.approx(0.5**0.5, rel=0.15)


def test_the_networks_needed_for_ten_percent_give_an_interval_of_ten_percent():
    generator = np.random.default_rng(7)
    bootstrap = Bootstrap(n_samples=2000, level=0.95, seed=0)
    needed = bootstrap.networks_for(*bootstrap.mean_distance(distances(generator, networks=60)), 60)
    assert needed > 60
    assert math.isnan(bootstrap.networks_for(0, 0, 0, 60))
    value, low, high = bootstrap.mean_distance(distances(generator, networks=needed))
    assert (high - low) / 2 / value == pytest.approx(0.1, rel=0.25)


@pytest.mark.parametrize(("make", "shape"), [(distance_axis, (2, 2)), (deviation_axis, (2,))])
def test_two_networks_are_too_few_for_a_trend(make, shape):
    with pytest.raises(BadInputError, match="networks of a condition must be an integer of at least 3"):
        axis_of(make, [np.zeros(shape)] * 2)


def test_a_degeneracy_of_zero_has_no_interval_and_makes_no_arrow():
    """Networks that are all alike: the logarithm of their spread is no number."""
    alike, other = np.zeros(4), np.arange(4.0)
    axes = [axis_of(deviation_axis, [alike, other])]
    found = trend(axes, BOOTSTRAP, 99)
    assert np.isnan([found.low, found.high]).all()
    assert found.direction(1.0) == "-"


def test_equal_values_have_no_rank_correlation():
    axes = [axis_of(deviation_axis, [np.arange(4.0)] * 3)]
    found = trend(axes, BOOTSTRAP, 99)
    assert np.isnan(found.spearman)
