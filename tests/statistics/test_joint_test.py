"""Unordered conditions and crossed factors (docs/statistics.md), on simulated networks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from degen.errors import BadInputError
from degen.statistics import (
    Bootstrap,
    FactorCurve,
    deviation_curve,
    distance_curve,
    fit_contrast,
    fit_crossed,
    fit_trend,
    mean_curve,
)
from tests.statistics.simulated import BOOTSTRAP, curve_of, distances, relative_distances

RUNS = range(120)


def curve_of_groups(generator: np.random.Generator, scales: list[float], networks: int) -> FactorCurve:
    """Return the mean distances of independent groups of networks."""
    matrices = [scale * relative_distances("log-normal 0.5", generator, networks) for scale in scales]
    seeds = [range(i * networks, (i + 1) * networks) for i in range(len(scales))]
    return distance_curve(matrices, seeds, BOOTSTRAP, "task")


def crossed(
    generator: np.random.Generator, logs: list[float], *, is_deviation: bool = False, networks: int = 10
) -> FactorCurve:
    """Return conditions with the given log degeneracies."""
    if is_deviation:
        return curve_of(deviation_curve, [np.exp(x) * generator.standard_normal(networks) for x in logs])
    matrices = [np.exp(x) * relative_distances("normal", generator, networks) for x in logs]
    return curve_of(distance_curve, matrices)


CELLS = [(width, cell) for width in (32, 64, 128) for cell in ("tanh", "gru")]


def test_two_conditions_equal_a_trend():
    generator = np.random.default_rng(0)
    curve = curve_of(distance_curve, [distances(generator, scale) for scale in (1, 1.5)])
    trend, result = fit_trend([curve], BOOTSTRAP, 99), fit_contrast([curve], BOOTSTRAP, 99)
    assert result.effects == [(trend.effect, trend.low, trend.high)]
    assert (result.p, result.p_error, result.smallest_p) == (trend.p, trend.p_error, trend.smallest_p)
    assert result.detectable_change == trend.detectable_change


def test_the_order_of_conditions_does_not_matter():
    generator = np.random.default_rng(1)
    groups = [generator.normal(10 + mean, 1, 9) for mean in (0, 1, 0)]
    bootstrap = Bootstrap(n_samples=999, level=0.95, seed=0)
    forward, backward = (
        fit_contrast([mean_curve(these, [range(9)] * 3, bootstrap, "task")], bootstrap, 999)
        for these in (groups, groups[::-1])
    )
    assert forward.effects[1].value == pytest.approx(-backward.effects[1].value)
    assert forward.p == pytest.approx(backward.p, abs=4 * (forward.p_error + backward.p_error))


def test_independent_groups_are_compared_with_the_stated_error():
    result = [fit_contrast([curve_of_groups(np.random.default_rng(run), [1, 1, 1], 8)], BOOTSTRAP, 99).p
             for run in RUNS]  # fmt: skip
    assert np.mean(np.array(result) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(RUNS))


def test_a_group_that_differs_is_found():
    result = fit_contrast([curve_of_groups(np.random.default_rng(2), [1, 3, 1], 12)], BOOTSTRAP, 999)
    assert result.p < 0.05
    assert result.effects[0].low < math.log(3) < result.effects[0].high
    assert result.effects[1].low < 0 < result.effects[1].high
    assert result.networks == 36


@pytest.mark.parametrize("is_deviation", [False, True])
def test_main_effects_and_interaction_have_their_planted_sizes(is_deviation):
    """Degeneracy grows with the width, more so with gru."""
    logs = [0.0, 1.0, 0.5, 2.0, 1.0, 3.0]
    curve = crossed(np.random.default_rng(3), logs, is_deviation=is_deviation, networks=200)
    result = fit_crossed([curve], CELLS, BOOTSTRAP, 199)
    for comparison, planted in ((result.first, 1.5), (result.second, 1.5), (result.interaction, 1.0)):
        (effect,) = comparison.effects
        assert effect.low < planted < effect.high
        assert effect.value == pytest.approx(planted, abs=0.3)
        assert comparison.p < 0.05


def test_cells_may_be_in_any_order():
    curve = crossed(np.random.default_rng(4), [0.0, 1.0, 0.5, 2.0, 1.0, 3.0])
    order = [3, 0, 5, 1, 4, 2]
    shuffled = FactorCurve(
        [curve.statistics[i] for i in order],
        [curve.network_values[i] for i in order],
        [curve.seeds[i] for i in order],
        BOOTSTRAP,
        "task",
    )
    # The first name that occurs is the reference: gru is first in the shuffled order.
    ordered = fit_crossed([curve], CELLS, BOOTSTRAP, 19)
    reordered = fit_crossed([shuffled], [CELLS[i] for i in order], BOOTSTRAP, 19)
    assert ordered.first.effects[0] == pytest.approx(reordered.first.effects[0])
    assert ordered.second.effects[0].value == pytest.approx(-reordered.second.effects[0].value)
    assert ordered.interaction.effects[0].value == pytest.approx(-reordered.interaction.effects[0].value)


@pytest.mark.parametrize("is_deviation", [False, True])
def test_an_absent_effect_is_rarely_found_next_to_a_strong_one(is_deviation):
    """The second factor has a strong effect. The first has none, and there is no interaction."""
    called = {"first": 0, "interaction": 0, "second": 0}
    for run in RUNS:
        curve = crossed(np.random.default_rng(run), [0.0, 1.5] * 3, is_deviation=is_deviation)
        result = fit_crossed([curve], CELLS, BOOTSTRAP, 99)
        for name in called:
            called[name] += getattr(result, name).p <= 0.05
    limit = 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(RUNS))
    assert called["first"] / len(RUNS) <= limit
    assert called["interaction"] / len(RUNS) <= limit
    assert called["second"] / len(RUNS) > 0.9


def test_named_levels_have_an_effect_each():
    cells = [(name, other) for name in "abc" for other in ("x", "y", "z")]
    curve = crossed(np.random.default_rng(5), [0.0] * 9)
    result = fit_crossed([curve], cells, BOOTSTRAP, 19)
    assert [len(test.effects) for test in (result.first, result.second, result.interaction)] == [2, 2, 4]
    logs = np.log(curve.values).reshape(3, 3)
    assert [effect.value for effect in result.first.effects] == pytest.approx(
        [logs[i].mean() - logs[0].mean() for i in (1, 2)]
    )
    expected = [logs[i, j] - logs[i, 0] - logs[0, j] + logs[0, 0] for i in (1, 2) for j in (1, 2)]
    assert [effect.value for effect in result.interaction.effects] == pytest.approx(expected)


def test_a_degeneracy_of_zero_is_named_in_every_comparison():
    curve = curve_of(deviation_curve, [np.zeros(6), *np.random.default_rng(6).standard_normal((3, 6))])
    result = fit_crossed([curve], [("a", 1), ("a", 2), ("b", 1), ("b", 2)], BOOTSTRAP, 19)
    for comparison in (result.first, result.second, result.interaction):
        assert math.isnan(comparison.p)
        assert comparison.problem == "task: condition 1 has a degeneracy of 0"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([(1, "a"), (1, "b"), (2, "a"), (2, "a")], "all combinations of the levels of two factors"),
        ([(1, "a"), (1, "b"), (2, "a"), (3, "b")], "all combinations of the levels of two factors"),
        ([(1, "a"), (1, "b"), (1, "c"), (1, "d")], "levels of a factor must be at least two"),
        ([(1, "a"), (1, "b")], "number of conditions must be 2, as of all tasks, got 4"),
    ],
)
def test_cells_that_are_not_crossed_are_rejected(cells, message):
    curve = crossed(np.random.default_rng(7), [0.0] * 4)
    with pytest.raises(BadInputError, match=message):
        fit_crossed([curve], cells, BOOTSTRAP, 19)
