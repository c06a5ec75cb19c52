"""Distances between levels: planted levels, exact p, and simulated error rates."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import t as student_t

from degen.errors import BadInputError
from degen.statistics import compare_levels
from degen.statistics.energy import energy_statistic
from tests.statistics.level_rates import BOOTSTRAP, compare, distances, levels


def test_copies_of_the_same_networks_do_not_differ():
    points = np.random.default_rng(0).standard_normal((8, 3))
    result = compare(distances(np.concatenate([points, points])))
    assert result.within[0] == pytest.approx(result.within[1])
    assert result.between.value == pytest.approx(result.within[0])
    assert result.ratio.value == pytest.approx(1)
    assert result.ratio.low == pytest.approx(1)
    assert result.p == 1


def test_means_are_over_pairs_of_different_seeds():
    matrix = levels(np.random.default_rng(0), 6, shift=1.0)
    result = compare(matrix)
    between = np.mean([matrix[i, 6 + j] for i in range(6) for j in range(6) if i != j])
    within = [matrix[part, part][np.triu_indices(6, 1)].mean() for part in (slice(6), slice(6, 12))]
    assert result.within == pytest.approx(tuple(within))
    assert result.between.value == pytest.approx(between)
    assert result.ratio.value == pytest.approx(between / np.mean(within))


def test_intervals_equal_leaving_out_each_seed():
    n, matrix = 7, levels(np.random.default_rng(1), 7, shift=1.0)
    result, without = compare(matrix), []
    for seed in range(n):
        remaining = [i for i in range(2 * n) if i % n != seed]
        without.append(math.log(compare(matrix[np.ix_(remaining, remaining)]).ratio.value))
    half = student_t.ppf(0.975, n - 1) * math.sqrt((n - 1) * np.var(without))
    assert math.log(result.ratio.high / result.ratio.value) == pytest.approx(half)
    assert math.log(result.ratio.value / result.ratio.low) == pytest.approx(half)


@pytest.mark.parametrize("shares_seeds", [True, False])
def test_p_equals_enumeration(shares_seeds):
    n, matrix = 4, levels(np.random.default_rng(2), 4, shift=1.0)
    if shares_seeds:
        swaps = np.array(list(itertools.product([0.0, 1.0], repeat=n)))
        members = np.concatenate([swaps, 1 - swaps], axis=1)
    else:
        combinations = itertools.combinations(range(2 * n), n)
        members = np.array([np.isin(np.arange(2 * n), second) for second in combinations], dtype=float)
    observed = energy_statistic(matrix, np.repeat([[0.0, 1.0]], n, axis=1))
    exact = (energy_statistic(matrix, members) >= observed - 1e-9).mean()
    result = compare(matrix, shares_seeds=shares_seeds, n_permutations=9999)
    assert result.p == pytest.approx(exact, abs=0.02)
    assert result.smallest_p == pytest.approx(2 / len(members))


def test_few_networks_have_no_interval():
    matrix = levels(np.random.default_rng(3), 4)
    assert np.isnan([*compare(matrix).between[1:], *compare(matrix).ratio[1:]]).all()
    large = levels(np.random.default_rng(3), 9)
    assert compare(large) == compare(large)
    assert len({compare(large, name=name).p for name in "abcd"}) > 1
    with pytest.raises(BadInputError, match="networks of a level must be at least 2, got 1"):
        compare_levels(matrix[:3, :3], (range(1), range(2)), BOOTSTRAP, 99, "test")
    with pytest.raises(BadInputError, match=r"shape of distances must be \(5, 5\) for 3 and 2 networks"):
        compare_levels(matrix, (range(3), range(2)), BOOTSTRAP, 99, "test")


# Error rates. 600 simulations of a rate of 5 % have a standard error of 0.9 %.


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_equal_levels_have_uniform_p_and_covered_ratios(shared):
    random = np.random.default_rng(0)
    results = [compare(levels(random, 8, shared=shared), name=str(run)) for run in range(600)]
    p = np.array([result.p for result in results])
    assert 0.03 <= (p <= 0.05).mean() <= 0.07
    assert np.quantile(p, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.08)
    assert np.mean([result.ratio.low <= 1 <= result.ratio.high for result in results]) >= 0.93


@pytest.mark.parametrize(("shift", "scale"), [(2.0, 1.0), (0.0, 5.0)])
def test_levels_that_differ_are_detected(shift, scale):
    random = np.random.default_rng(0)
    results = [compare(levels(random, 8, shift=shift, scale=scale), name=str(run)) for run in range(60)]
    assert np.mean([result.p <= 0.05 for result in results]) >= 0.8
    if shift:
        assert np.mean([result.ratio.low > 1 for result in results]) >= 0.8


def test_intervals_of_distances_between_levels_cover():
    random = np.random.default_rng(0)
    true = np.linalg.norm(random.standard_normal((2_000_000, 3)) * 2**0.5 + 1.0, axis=1).mean()
    covered = []
    for shares_seeds in (True, False):
        samples = [levels(random, 8, shift=1.0) for _ in range(300)]
        results = [compare(matrix, shares_seeds=shares_seeds, n_permutations=1) for matrix in samples]
        covered.append(np.mean([result.between.low <= true <= result.between.high for result in results]))
    assert min(covered) >= 0.92
