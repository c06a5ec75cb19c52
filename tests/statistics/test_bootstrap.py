"""Bootstrap-t intervals over networks, and their simulated coverage (docs/statistics.md)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from degen.statistics import Bootstrap, Estimate, networks_for_precision
from degen.statistics.coverage import WORST_COVERAGE, true_coverage
from tests.statistics.check import KINDS, coverage, interval
from tests.statistics.simulated import POPULATIONS, distances, values

BOOTSTRAP = Bootstrap(n_samples=500, level=0.95, seed=0)
RUNS = range(10_000, 10_200)


@pytest.mark.parametrize("kind", KINDS)
def test_the_stated_coverage_is_that_of_a_simulation(kind):
    """The stated number is the worst of five populations, from other runs."""
    simulated = {population: coverage(kind, population, 8, RUNS) for population in POPULATIONS}
    stated = true_coverage(kind, 8)
    error = math.sqrt(stated * (1 - stated) / len(RUNS))
    assert min(simulated.values()) == pytest.approx(stated, abs=3 * error)
    assert simulated["normal"] >= 0.9 - 3 * error


def test_a_smaller_simulated_number_of_networks_is_used():
    assert [true_coverage("mean", n) for n in (8, 15, 16, 400)] == [
        WORST_COVERAGE["mean"][index] for index in (1, 1, 2, 4)
    ]
    assert math.isnan(true_coverage("mean", 4))


def test_an_interval_over_pairs_is_too_narrow():
    covered = 0
    for run in RUNS:
        matrix = distances(np.random.default_rng(run), networks=20)
        pairs = matrix[np.triu_indices(20, 1)]
        half = 1.96 * pairs.std(ddof=1) / math.sqrt(len(pairs))
        covered += abs(pairs.mean() - 2 / math.sqrt(math.pi)) <= half
    assert covered / len(RUNS) < 0.75


def test_the_interval_of_a_deviation_is_the_one_computed_by_hand():
    sample = values("log-normal 0.5", np.random.default_rng(3), 9)
    studentized = []

    def log_deviation_and_error(drawn: np.ndarray) -> tuple[float, float]:
        without = [np.log(np.delete(drawn, index).std()) for index in range(9)]
        return math.log(drawn.std()), math.sqrt(8 * np.var(without))

    center, error = log_deviation_and_error(sample)
    for counts in BOOTSTRAP.counts(9):
        drawn = np.repeat(sample, counts.astype(int))
        if min(np.delete(drawn, index).std() for index in range(9)) > 1e-9:
            log_deviation, own_error = log_deviation_and_error(drawn)
            studentized.append((log_deviation - center) / own_error)
    low, high = np.quantile(studentized, [0.025, 0.975])
    expected = sample.std(), math.exp(center - high * error), math.exp(center - low * error)
    assert BOOTSTRAP.deviation(sample) == pytest.approx(expected)


@pytest.mark.parametrize("n", [2, 4])
def test_fewer_than_five_networks_have_no_interval(n):
    sample = np.arange(1.0, n + 1)
    matrix = np.abs(sample[:, None] - sample)
    for estimate in (BOOTSTRAP.mean_distance(matrix), BOOTSTRAP.deviation(sample), BOOTSTRAP.mean(sample)):
        assert estimate.value > 0
        assert np.isnan(estimate[1:]).all()
        assert math.isnan(networks_for_precision(estimate, n))


def test_equal_networks_have_an_interval_of_width_zero():
    assert BOOTSTRAP.mean_distance(np.ones((5, 5)) - np.eye(5)) == (1, 1, 1)
    assert BOOTSTRAP.mean(np.full(6, 0.1)) == pytest.approx((0.1, 0.1, 0.1))


def test_a_deviation_of_zero_has_no_interval():
    value, low, high = BOOTSTRAP.deviation(np.full(6, 0.1))
    assert value == 0
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_intervals_depend_on_seed_and_level(kind):
    sample = values("normal", np.random.default_rng(1), 12)
    data = np.abs(sample[:, None] - sample) if kind == "distance" else sample

    def bounds(level: float, seed: int) -> Estimate:
        bootstrap = Bootstrap(n_samples=300, level=level, seed=seed)
        return getattr(bootstrap, "mean_distance" if kind == "distance" else kind)(data)

    assert bounds(0.95, 0) == bounds(0.95, 0)
    # The t interval of a mean distance has no random draws.
    assert (bounds(0.95, 0) == bounds(0.95, 1)) == (kind == "distance")
    (_, low, high), (_, lower, higher) = bounds(0.5, 0), bounds(0.95, 0)
    assert lower < low < high < higher


def test_intervals_of_positive_statistics_scale_with_their_unit():
    estimate, _ = interval("distance", "clusters", 10, run=0)
    assert 0 < estimate.low < estimate.value < estimate.high
    sample = values("clusters", np.random.default_rng(0), 10)
    assert BOOTSTRAP.deviation(1e-6 * sample) == pytest.approx(1e-6 * np.array(BOOTSTRAP.deviation(sample)))


def test_networks_of_one_seed_and_task_are_drawn_together():
    bootstrap = Bootstrap(n_samples=3000, level=0.95, seed=0)
    whole, some = bootstrap.counts_by_seed([[0, 1, 2, 3, 5], [5, 1, 2]], "flip_flop")
    assert (whole.sum(axis=1) == 5).all()
    assert (some == whole[:, [4, 1, 2]]).all()
    assert whole.mean(axis=0) == pytest.approx(np.ones(5), abs=0.06)
    (other,) = bootstrap.counts_by_seed([[0, 1, 2, 3, 5]], "sine_wave")
    correlations = np.corrcoef(whole.T, other.T)[:5, 5:]
    # Four standard errors for 3,000 independent samples.
    assert np.abs(correlations).max() < 4 / math.sqrt(3000)


def test_the_required_networks_give_the_requested_precision():
    generator = np.random.default_rng(7)
    needed = int(networks_for_precision(BOOTSTRAP.mean_distance(distances(generator, networks=60)), 60))
    assert needed > 60
    value, low, high = BOOTSTRAP.mean_distance(distances(generator, networks=needed))
    assert (high - low) / 2 / value == pytest.approx(0.1, rel=0.25)
    assert math.isnan(networks_for_precision(Estimate(0, 0, 0), 60))


def test_five_extreme_networks_have_an_upper_end_of_infinity():
    """Four of five networks are nearly equal."""
    estimate = BOOTSTRAP.deviation(np.array([0.0, 3e-6, 6e-6, 9e-6, 1.0]))
    assert 0 < estimate.low < estimate.value
    assert estimate.high == math.inf
    assert math.isnan(networks_for_precision(estimate, 5))
