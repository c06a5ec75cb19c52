"""Two groups of networks: ratios of degeneracy, separation, and simulated error rates of their tests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import t as student_t

from degen.statistics import GroupDifference
from degen.statistics.group_difference import _join_centroids

Array = np.ndarray
FAST = GroupDifference(n_permutations=99)


def distances(points: Array) -> Array:
    return np.linalg.norm(points[:, None] - points, axis=-1)


def second_group(first: int, second: int) -> Array:
    return np.arange(first + second) >= first


def normal_groups(
    random: np.random.Generator, sizes: tuple[int, int], shift: float = 0.0, scale: float = 1.0, d: int = 5
) -> tuple[Array, Array]:
    """Points of two groups, the second shifted and scaled, and which of them are in the second group."""
    points = random.standard_normal((sum(sizes), d))
    points[sizes[0] :] = scale * points[sizes[0] :] + shift
    return points, second_group(*sizes)


def test_ratio_is_the_quotient_of_the_mean_distances():
    points, is_second = normal_groups(np.random.default_rng(0), (6, 9))
    first, second = (
        distances(points[group])[np.triu_indices(n, 1)].mean()
        for group, n in ((~is_second, 6), (is_second, 9))
    )
    assert GroupDifference().distance_ratio(distances(points), is_second).value == pytest.approx(
        second / first
    )
    losses = points[:, 0]
    assert GroupDifference().deviation_ratio(losses, is_second).value == pytest.approx(
        losses[is_second].std() / losses[~is_second].std()
    )


def test_swapping_the_groups_inverts_the_ratio():
    points, is_second = normal_groups(np.random.default_rng(1), (6, 9), scale=1.5)
    for ratio, data in ((FAST.distance_ratio, distances(points)), (FAST.deviation_ratio, points[:, 0])):
        forward, backward = ratio(data, is_second), ratio(data, ~is_second)
        np.testing.assert_allclose(
            [backward.value, backward.low, backward.high],
            1 / np.array([forward.value, forward.high, forward.low]),
        )


def test_jackknife_error_equals_leaving_out_each_network():
    points, is_second = normal_groups(np.random.default_rng(2), (7, 7))
    matrix = distances(points)

    def log_mean(members: list[int]) -> float:
        return math.log(np.mean([matrix[i, j] for i, j in itertools.combinations(members, 2)]))

    ratio, variances = FAST.distance_ratio(matrix, is_second), []
    for members in (list(range(7)), list(range(7, 14))):
        without = [log_mean([i for i in members if i != left_out]) for left_out in members]
        variances.append(6 * np.var(without))
    freedom = sum(variances) ** 2 / sum(variance**2 / 6 for variance in variances)
    half_width = student_t.ppf(0.975, freedom) * math.sqrt(sum(variances))
    assert math.log(ratio.high / ratio.value) == pytest.approx(half_width)
    assert math.log(ratio.value / ratio.low) == pytest.approx(half_width)


def test_joined_centroids_equal_subtracting_the_means():
    points, is_second = normal_groups(np.random.default_rng(3), (5, 8), shift=7.0)
    joined = _join_centroids(distances(points), is_second)
    centered = np.concatenate([points[:5] - points[:5].mean(0), points[5:] - points[5:].mean(0)])
    is_within = is_second[:, None] == is_second
    factor = np.where(is_within, 1.0, 1 - (1 / 5 + 1 / 8) / 2)
    np.testing.assert_allclose(joined * np.sqrt(factor), distances(centered), atol=1e-12)


def test_separation_of_few_networks_has_the_exact_p():
    points = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    matrix = abs(points[:, None] - points)
    # Two of the 20 ways to choose the second group separate the points.
    _, p = GroupDifference().separation(matrix, second_group(3, 3))
    assert p == pytest.approx(0.1, abs=0.01)


def test_one_network_is_compared_with_a_group():
    points = np.append(np.random.default_rng(0).standard_normal((39, 3)), [[9.0] * 3], axis=0)
    ratio, (between, p) = (
        method(distances(points), second_group(39, 1))
        for method in (FAST.distance_ratio, GroupDifference().separation)
    )
    assert p == pytest.approx(1 / 40, abs=0.005)
    assert between > 10
    assert np.isnan(ratio).all()


def test_two_networks_have_a_ratio_without_interval():
    points, is_second = normal_groups(np.random.default_rng(0), (2, 5))
    ratio = FAST.distance_ratio(distances(points), is_second)
    assert math.isfinite(ratio.value)
    assert np.isnan(ratio[1:]).all()


@pytest.mark.parametrize("n_equal", [3, 4])
def test_equal_networks_have_no_ratio(n_equal):
    points, is_second = normal_groups(np.random.default_rng(0), (n_equal, 4))
    points[:n_equal] = 0
    assert np.isnan(FAST.distance_ratio(distances(points), is_second)).all()
    assert np.isnan(FAST.deviation_ratio(points[:, 0], is_second)).all()


def test_equal_networks_of_both_groups_are_not_separated():
    assert GroupDifference().separation(np.zeros((8, 8)), second_group(4, 4)) == (0.0, 1.0)


# Error rates. 400 simulations of a rate of 5 % have a standard error of 1.1 %.


def rejections(test: str, make: Callable[[np.random.Generator], tuple[Array, Array]], n: int = 400) -> float:
    random = np.random.default_rng(0)
    results = [getattr(FAST, test)(*make(random)) for _ in range(n)]
    return float(np.mean([result.p <= 0.05 for result in results]))


@pytest.mark.parametrize("sizes", [(4, 4), (8, 8), (5, 20)])
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_false_positives_of_the_distance_ratio(sizes, shift):
    def make(random: np.random.Generator) -> tuple[Array, Array]:
        points, is_second = normal_groups(random, sizes, shift)
        return distances(points), is_second

    assert rejections("distance_ratio", make) < 0.085


def test_distance_ratio_false_positives_with_unequal_scatter():
    # Two and thirty dimensions: equal mean distances, whose errors differ by a factor of about four.
    def make(random: np.random.Generator) -> tuple[Array, Array]:
        points, is_second = np.zeros((20, 32)), second_group(10, 10)
        points[:10, :2], points[10:, 2:] = (
            random.standard_normal((10, 2)) / 1.772,
            random.standard_normal((10, 30)) / 7.682,
        )
        return distances(points), is_second

    assert rejections("distance_ratio", make) < 0.085


@pytest.mark.parametrize("sizes", [(5, 5), (8, 30)])
def test_false_positives_of_the_deviation_ratio(sizes):
    def make(random: np.random.Generator) -> tuple[Array, Array]:
        return np.exp(0.5 * random.standard_normal(sum(sizes))), second_group(*sizes)

    assert rejections("deviation_ratio", make) < 0.1


def test_false_positives_of_the_separation():
    def make(random: np.random.Generator) -> tuple[Array, Array]:
        points, is_second = normal_groups(random, (4, 12))
        return distances(points), is_second

    assert rejections("separation", make) < 0.085


def test_power():
    def scaled(random: np.random.Generator) -> tuple[Array, Array]:
        points, is_second = normal_groups(random, (10, 10), shift=3.0, scale=1.8)
        return distances(points), is_second

    def shifted(random: np.random.Generator) -> tuple[Array, Array]:
        points, is_second = normal_groups(random, (10, 10), shift=1.2)
        return distances(points), is_second

    assert rejections("distance_ratio", scaled, n=100) > 0.8
    assert rejections("separation", shifted, n=100) > 0.8


def test_coverage_of_the_interval_of_the_ratio():
    random, covered = np.random.default_rng(0), []
    for _ in range(400):
        points, is_second = normal_groups(random, (8, 8), shift=2.0, scale=2.0)
        ratio = GroupDifference(n_permutations=19).distance_ratio(distances(points), is_second)
        covered.append(ratio.low <= 2.0 <= ratio.high)
    assert 0.92 < np.mean(covered) < 0.99
