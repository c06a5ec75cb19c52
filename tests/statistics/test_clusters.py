"""Clusters of networks: planted groups, invariances, the theorem behind the null, and error rates."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom

from degen.errors import BadInputError
from degen.statistics import find_clusters
from degen.statistics.bisection import bisect
from degen.statistics.clusters import principal_coordinates
from tests.statistics.planted_solutions import (
    ONE_CLUSTER,
    SEVERAL_CLUSTERS,
    dsa_distances,
    euclidean,
    pif_distances,
    split_rate,
)

Array = np.ndarray


def two_groups(sizes: tuple[int, int], gap: float, seed: int = 0) -> Array:
    generator = np.random.default_rng(seed)
    points = generator.standard_normal((sum(sizes), 5))
    points[: sizes[0], 0] += gap
    return points


def centered(points: Array) -> Array:
    return (points - points.mean(axis=0))[None]


def test_principal_coordinates_have_the_distances():
    points = np.random.default_rng(0).standard_normal((9, 3))
    coordinates = principal_coordinates(euclidean(points))
    assert coordinates.shape == (9, 3)
    np.testing.assert_allclose(euclidean(coordinates), euclidean(points))
    products = coordinates.T @ coordinates
    np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-9)


def test_bisection_is_the_best_of_all_divisions():
    points = two_groups((5, 4), gap=4.0)
    total = ((points - points.mean(axis=0)) ** 2).sum()
    explained = []
    for size in (3, 4):
        for first in itertools.combinations(range(9), size):
            is_first = np.isin(np.arange(9), first)
            groups = points[is_first], points[~is_first]
            within = sum(((group - group.mean(axis=0)) ** 2).sum() for group in groups)
            explained.append(1 - within / total)
    division = bisect(centered(points), min_size=3)
    assert division.explained[0] == pytest.approx(max(explained))


def test_clusters_have_the_smallest_size():
    points = np.zeros((8, 1))
    points[0] = 100.0
    points[:, 0] += np.arange(8)
    for size in (1, 2, 3):
        is_first = bisect(centered(points), min_size=size).is_first[0]
        assert min(is_first.sum(), (~is_first).sum()) == size


def test_the_uniform_distribution_has_the_largest_halves():
    # Khinchine: a symmetric distribution with one mode is a uniform number times an independent scale.
    generator = np.random.default_rng(0)
    scales = [np.ones(1), np.arange(1.0, 5.0), np.exp(generator.standard_normal(99)), np.array([0.1, 9.0])]
    uniform = np.linspace(-1, 1, 2001)
    fractions = [
        np.abs(values).mean() ** 2 / (values**2).mean()
        for values in (np.outer(uniform, scale).ravel() for scale in scales)
    ]
    assert fractions[0] == pytest.approx(3 / 4, abs=1e-3)
    assert max(fractions) == fractions[0]


def test_two_groups_are_two_clusters():
    clusters = find_clusters(euclidean(two_groups((7, 9), gap=8.0)))
    assert clusters.labels.tolist() == [2] * 7 + [1] * 9
    assert (clusters.n_clusters, clusters.sizes, clusters.p) == (2, [9, 7], 0.001)
    assert clusters.stability > 0.95


def test_three_groups_are_three_clusters():
    points = np.random.default_rng(0).standard_normal((24, 5))
    points += 10 * np.eye(5)[np.repeat([0, 1, 2], 8)]
    clusters = find_clusters(euclidean(points))
    assert clusters.labels.tolist() == [1] * 8 + [2] * 8 + [3] * 8
    assert clusters.stability > 0.9


def test_one_group_is_one_cluster_without_stability():
    clusters = find_clusters(euclidean(two_groups((8, 8), gap=0.0)))
    assert clusters.labels.tolist() == [1] * 16
    assert clusters.p > 0.05
    assert math.isnan(clusters.stability)


@pytest.mark.parametrize("n_far", [1, 2])
def test_far_networks_are_no_cluster(n_far):
    points = two_groups((n_far, 16 - n_far), gap=30.0)
    assert find_clusters(euclidean(points)).n_clusters == 1


def test_result_depends_on_neither_unit_nor_order():
    distances = euclidean(two_groups((6, 10), gap=7.0))
    order = np.random.default_rng(1).permutation(16)
    first, other = find_clusters(distances), find_clusters(1e6 * distances[np.ix_(order, order)])
    assert other.labels.tolist() == first.labels[order].tolist()
    assert find_clusters(distances).p == first.p
    assert find_clusters(1e-6 * distances).p == first.p


@pytest.mark.parametrize("n", [1, 2, 5])
def test_too_few_networks_are_one_cluster(n):
    clusters = find_clusters(euclidean(two_groups((1, n - 1), gap=9.0)))
    assert clusters.labels.tolist() == [1] * n
    assert math.isnan(clusters.p)


def test_equal_networks_are_one_cluster():
    clusters = find_clusters(np.zeros((8, 8)))
    assert clusters.n_clusters == 1
    assert math.isnan(clusters.p)


def test_two_groups_of_equal_networks_are_two_clusters():
    points = np.repeat([[0.0, 0.0], [1.0, 0.0]], 8, axis=0)
    assert find_clusters(euclidean(points)).sizes == [8, 8]


@pytest.mark.parametrize(
    ("distances", "sentence"),
    [
        (np.zeros((2, 3)), r"distances shape must be square, got \(2, 3\)"),
        (np.full((6, 6), np.nan), "distances must be finite"),
        (np.eye(6), "distances must be zero from a network to itself, got 1.0"),
        (np.triu(np.ones((6, 6)), 1), "distances must be symmetric"),
        (np.eye(6) - np.ones((6, 6)), "distances must be at least 0, got -1.0"),
    ],
)
def test_other_matrices_are_rejected(distances, sentence):
    with pytest.raises(BadInputError, match=sentence):
        find_clusters(distances)


@pytest.mark.parametrize(
    "option", [{"significance": 0.0}, {"min_size": 1}, {"n_samples": 0}, {"seed": -1}], ids=str
)
def test_options_out_of_range_are_rejected(option):
    with pytest.raises(BadInputError, match=f"{next(iter(option))} must be"):
        find_clusters(np.zeros((8, 8)), **option)


RUNS = range(20_000, 20_060)


def largest_likely(rate: float) -> float:
    """Return the 99.9 % quantile of a rate over `RUNS`."""
    return float(binom.ppf(0.999, len(RUNS), rate)) / len(RUNS)


@pytest.mark.parametrize("population", ["12 dimensions", "line", "log-normal 1", "skewed 1"])
def test_one_cluster_is_rarely_split(population):
    assert split_rate(ONE_CLUSTER[population], 16, RUNS) <= largest_likely(0.05)


@pytest.mark.parametrize("population", ["gap 8, 12 dimensions", "gap 8, unequal sizes", "unequal spread"])
def test_two_clusters_are_found(population):
    assert split_rate(SEVERAL_CLUSTERS[population], 16, RUNS) >= 1 - largest_likely(0.03)


@pytest.mark.parametrize("draw", [dsa_distances, pif_distances])
def test_networks_of_two_kinds_are_two_clusters(draw):
    mixed = find_clusters(draw(np.random.default_rng(0), 10, 6))
    assert mixed.labels.tolist() == [1] * 6 + [2] * 4


def test_networks_of_one_kind_are_one_cluster():
    assert find_clusters(pif_distances(np.random.default_rng(0), 12, 12)).n_clusters == 1
