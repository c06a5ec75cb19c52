"""Closed leave-one-out formulas, compared with statistics of the networks that remain."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from degen.statistics.jackknife import (
    deviation,
    jackknife,
    logarithm,
    mean,
    mean_distance,
    standard_error,
)
from tests.statistics.simulated import distances

COUNTS = np.array([[1.0, 1, 1, 1, 1, 1], [3, 0, 2, 0, 1, 0], [0, 1, 1, 2, 2, 0]])
VALUES = np.exp(np.random.default_rng(0).standard_normal(6))
MATRIX = distances(np.random.default_rng(1), networks=6)


def distance_of(drawn: np.ndarray) -> float:
    """Return the mean distance over pairs of different networks."""
    pairs = [MATRIX[i, j] for i in drawn for j in drawn if i != j]
    return float(np.mean(pairs))


STATISTICS = {
    "mean": (partial(mean, VALUES), lambda drawn: VALUES[drawn].mean()),
    "deviation": (partial(deviation, VALUES), lambda drawn: VALUES[drawn].std()),
    "distance": (partial(mean_distance, MATRIX), distance_of),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_each_copy_is_left_out_of_its_sample(name):
    statistic, expected = STATISTICS[name]
    result = statistic(COUNTS)
    for row, counts in enumerate(COUNTS):
        drawn = np.repeat(np.arange(6), counts.astype(int))
        assert result.value[row] == pytest.approx(expected(drawn))
        for network in set(drawn):
            rest = np.delete(drawn, np.flatnonzero(drawn == network)[0])
            assert result.without[row, network] == pytest.approx(expected(rest))


def test_the_jackknife_error_of_a_mean_is_the_usual_one():
    ones = np.ones((1, 6))
    result = standard_error(jackknife(mean(VALUES, ones), ones), ones)
    assert result[0] == pytest.approx(VALUES.std(ddof=1) / 6**0.5)


@pytest.mark.parametrize("name", STATISTICS)
def test_jackknife_errors_are_those_of_many_ensembles(name):
    generator, counts = np.random.default_rng(2), np.ones((1, 30))
    draw = {
        "mean": lambda: mean(5 + generator.standard_normal(30), counts),
        "deviation": lambda: deviation(generator.standard_normal(30), counts),
        "distance": lambda: mean_distance(distances(generator, networks=30), counts),
    }[name]
    logs = [logarithm(draw()) for _ in range(600)]
    errors = [standard_error(jackknife(sample, counts), counts)[0] for sample in logs]
    spread = np.std([sample.value[0] for sample in logs])
    # The spread of 600 ensembles has a standard error of 3 %.
    assert np.mean(errors) == pytest.approx(spread, rel=0.1)


def test_influences_have_a_mean_of_zero():
    result = jackknife(logarithm(deviation(VALUES, COUNTS)), COUNTS)
    finite = np.isfinite(result.influence).all(axis=1)
    assert finite[0]
    assert (COUNTS * result.influence)[finite].sum(axis=1) == pytest.approx(0, abs=1e-12)


def test_small_deviations_far_from_zero_keep_their_precision():
    values = 1e6 + np.array([0.0, 1.0, 2.0, 3.0]) * 1e-3
    assert deviation(values, np.ones((1, 4))).value[0] == pytest.approx(1e-3 * 1.25**0.5, rel=1e-4)


def test_a_sample_of_equal_networks_has_no_deviation():
    counts = np.array([[6.0, 0, 0, 0, 0, 0], [5, 1, 0, 0, 0, 0]])
    result = deviation(1e3 + VALUES, counts)
    assert result.value[0] == 0
    assert result.without[1, 1] == 0


def test_a_sample_without_two_networks_has_no_distance():
    assert np.isnan(mean_distance(MATRIX, np.array([[4.0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])).value).all()
