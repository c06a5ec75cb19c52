"""Curves of a measure along a factor."""

from __future__ import annotations

import math

import numpy as np
import pytest

from degen.errors import BadInputError
from degen.statistics import deviation_curve, distance_curve, mean_curve, ratio_curve
from tests.statistics.simulated import BOOTSTRAP, curve_of, distances


def test_a_ratio_resamples_numerator_and_denominator_together():
    generator = np.random.default_rng(5)
    losses = [generator.uniform(1, scale, 12) for scale in (2.0, 4.0)]
    seeds = [range(12)] * 2
    result = ratio_curve(
        deviation_curve(losses, seeds, BOOTSTRAP, "task"), mean_curve(losses, seeds, BOOTSTRAP, "task")
    )
    counts = BOOTSTRAP.counts_by_seed(seeds, "task")
    samples = result.bootstrapped(np.array([[-1.0, 1.0]])).effects
    for sample in (3, 7):
        drawn = [np.repeat(values, c[sample].astype(int)) for values, c in zip(losses, counts, strict=True)]
        logs = [math.log(repeated.std() / repeated.mean()) for repeated in drawn]
        assert samples[sample, 0] == pytest.approx(logs[1] - logs[0])


def test_the_ratio_of_a_curve_to_itself_is_one():
    curve = curve_of(distance_curve, [distances(np.random.default_rng(i)) for i in range(2)])
    ratio = ratio_curve(curve, curve)
    assert ratio.values == pytest.approx([1, 1])
    assert np.concatenate(ratio.network_values) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("build", "shape"), [(distance_curve, (4, 4)), (deviation_curve, (4,)), (mean_curve, (4,))]
)
def test_four_networks_are_too_few_for_a_trend(build, shape):
    with pytest.raises(BadInputError, match="networks of a condition must be an integer of at least 5"):
        curve_of(build, [np.ones(shape)] * 2)


def test_a_single_condition_has_no_trend():
    with pytest.raises(BadInputError, match="number of conditions along a factor must be at least 2"):
        curve_of(mean_curve, [np.ones(5)])
