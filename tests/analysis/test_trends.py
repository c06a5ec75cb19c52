"""Trends along a factor (SPEC, section 7), on simulated networks whose truth is known."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from degen.errors import BadInputError
from degen.statistics.bootstrap import Bootstrap
from degen.statistics.factor_curve import (
    Axis,
    deviation_axis,
    distance_axis,
    distance_pseudo_values,
    mean_axis,
    ratio_axis,
)
from degen.statistics.trend import trend

BOOTSTRAP = Bootstrap(n_samples=400, level=0.9, seed=0)
NETWORKS, CONDITIONS, EXPERIMENTS = 15, 3, 250


def distances(generator: np.random.Generator, scale: float = 1.0, networks: int = NETWORKS) -> np.ndarray:
    """Between points on a line, normally scattered: 2 scale / sqrt(pi) apart on average."""
    points = scale * generator.standard_normal(networks)
    return np.abs(points[:, None] - points[None, :])


Make = Callable[[Sequence[np.ndarray], Sequence[Sequence[int]], Bootstrap, str], Axis]


def axis_of(make: Make, groups: Sequence[np.ndarray], task: str = "task") -> Axis:
    """The axis of networks of seeds 0, 1, ... in every condition."""
    return make(groups, [range(len(group)) for group in groups], BOOTSTRAP, task)


def naive(matrices: Sequence[np.ndarray]) -> Axis:
    """Each network's mean distance to the others in place of its pseudo-value."""
    axis = axis_of(distance_axis, matrices)
    means = [matrix.sum(axis=1) / (len(matrix) - 1) for matrix in matrices]
    return Axis(axis.values, axis.draws, means, axis.seeds, axis.task)


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


def jackknifed(axis: Axis, groups: Sequence[np.ndarray]) -> Axis:
    """The axis of deviations with their pseudo-values in place of residuals."""
    n = NETWORKS
    without = [np.array([np.delete(values, i).std() for i in range(n)]) for values in groups]
    numbers = [n * values.std() - (n - 1) * rest for values, rest in zip(groups, without, strict=True)]
    return dataclasses.replace(axis, numbers=numbers, is_of_deviations=False)


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_deviations_of_skewed_losses_show_no_trends_that_are_not_there(shared):
    generator = np.random.default_rng(5)
    called = {"residuals": 0, "pseudo-values": 0}
    for _ in range(EXPERIMENTS):
        common, own = generator.standard_normal(NETWORKS), generator.standard_normal((4, NETWORKS))
        losses = list(np.exp(shared**0.5 * common + (1 - shared) ** 0.5 * own))
        axis = axis_of(deviation_axis, losses)
        called["residuals"] += trend([axis], BOOTSTRAP, 99).p <= 0.05
        called["pseudo-values"] += trend([jackknifed(axis, losses)], BOOTSTRAP, 99).p <= 0.05
    assert called["residuals"] / EXPERIMENTS <= 0.09
    assert called["pseudo-values"] / EXPERIMENTS > 0.14


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


def test_without_a_trend_five_percent_are_called_one_and_far_more_where_pairs_count_as_independent():
    generator = np.random.default_rng(2)
    called = {"pseudo-values": 0, "mean distances": 0}
    for _ in range(EXPERIMENTS):
        matrices = [distances(generator) for _ in range(CONDITIONS)]
        called["pseudo-values"] += trend([axis_of(distance_axis, matrices)], BOOTSTRAP, 99).p <= 0.05
        called["mean distances"] += trend([naive(matrices)], BOOTSTRAP, 99).p <= 0.05
    assert 0.02 <= called["pseudo-values"] / EXPERIMENTS <= 0.09
    assert called["mean distances"] / EXPERIMENTS > 0.2


def test_without_a_trend_conditions_of_unequal_scatter_and_size_are_no_trend():
    generator = np.random.default_rng(3)
    called = 0
    for _ in range(EXPERIMENTS):
        groups = [generator.normal(0, scale, networks) for scale, networks in ((1, 25), (2, 12), (4, 12))]
        called += trend([axis_of(mean_axis, [10 + group for group in groups])], BOOTSTRAP, 99).p <= 0.05
    assert called / EXPERIMENTS <= 0.09


def test_a_planted_trend_is_found_with_its_size_and_its_sign():
    generator = np.random.default_rng(4)
    held = 0
    for _ in range(100):
        found = trend(
            [axis_of(distance_axis, [distances(generator, scale, 30) for scale in (1, 2, 4)])],
            BOOTSTRAP,
            99,
        )
        assert found.p <= 0.05
        assert found.spearman == 1
        held += found.low <= math.log(4) <= found.high
    # 90 % but for chance and for what percentile intervals of 30 lack.
    assert 0.78 <= held / 100 <= 0.97
    assert found.change == pytest.approx(3, abs=1.5)
    falling = trend(
        [axis_of(deviation_axis, [np.array([0.0, 4, 1, 3]), np.array([1.0, 1.1, 1, 1.2])])], BOOTSTRAP, 99
    )
    assert falling.effect < 0


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


def alike(
    generator: np.random.Generator, missing: int = 0, step: float = 0.0
) -> tuple[list[np.ndarray], list[list[int]]]:
    """Values and seeds of networks that are alike in all conditions where they are of one seed.

    Args:
        missing: seeds, of 15, that the second condition lacks.
        step: by which the mean rises from a condition to the next.
    """
    of_seed = generator.normal(0, 1, NETWORKS)
    seeds = [sorted(generator.permutation(NETWORKS)[missing * (i == 1) :]) for i in range(CONDITIONS)]
    groups = [
        10 + step * i + of_seed[one] + generator.normal(0, 0.5, len(one)) for i, one in enumerate(seeds)
    ]
    return groups, seeds


@pytest.mark.parametrize("missing", [0, 5])
def test_seeds_that_start_alike_are_drawn_together_and_the_interval_is_as_wide_as_it_says(missing):
    generator = np.random.default_rng(8)
    held, widths = {"by seed": 0, "apart": 0}, {"by seed": 0.0, "apart": 0.0}
    for _ in range(EXPERIMENTS):
        groups, seeds = alike(generator, missing)
        strangers = [[100 * i + seed for seed in one] for i, one in enumerate(seeds)]
        for name, those in (("by seed", seeds), ("apart", strangers)):
            found = trend([mean_axis(groups, those, BOOTSTRAP, "")], BOOTSTRAP, 1)
            held[name] += found.low <= 0 <= found.high
            widths[name] += found.high - found.low
    # 90 % but for chance and for what percentile intervals of 15 lack.
    assert 0.82 <= held["by seed"] / EXPERIMENTS <= 0.95
    assert held["apart"] / EXPERIMENTS > 0.97
    assert widths["by seed"] < 0.7 * widths["apart"]


@pytest.mark.parametrize("missing", [0, 5])
def test_seeds_that_start_alike_are_permuted_among_themselves_which_holds_the_level_and_finds_more(missing):
    generator = np.random.default_rng(11)
    called = {0.0: 0, 0.3: 0}
    for step in called:
        for _ in range(EXPERIMENTS):
            axis = mean_axis(*alike(generator, missing, step), BOOTSTRAP, "")
            called[step] += trend([axis], BOOTSTRAP, 99).p <= 0.05
    assert 0.02 <= called[0.0] / EXPERIMENTS <= 0.09
    # The trend is 0.6, its standard error 0.18; were seeds of no account, 0.41, and a third would be found.
    assert called[0.3] / EXPERIMENTS > 0.7


@pytest.mark.parametrize("make", [mean_axis, distance_axis])
@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_neighbours_that_are_more_alike_than_the_ends_are_no_trend(make, correlation):
    """Four conditions, of which two that are k apart correlate by the k-th power."""
    generator, called = np.random.default_rng(12), 0
    root = np.linalg.cholesky(correlation ** np.abs(np.subtract.outer(range(4), range(4))))
    for _ in range(EXPERIMENTS):
        points = root @ generator.standard_normal((4, NETWORKS))
        matrices = np.abs(points[:, :, None] - points[:, None])
        found = trend([axis_of(make, list(10 + points if make is mean_axis else matrices))], BOOTSTRAP, 99)
        called += found.p <= 0.05
    assert 0.01 <= called / EXPERIMENTS <= 0.09


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
