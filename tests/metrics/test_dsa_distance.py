"""DSA: alignment of operators and the distances that follow from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from degen.metrics import dsa
from tests.metrics.dsa_systems import KINDS, decaying_operators, random_operators, rotations


@KINDS
@pytest.mark.parametrize(("n", "count"), [(1, 3), (2, 10), (5, 30), (10, 30), (20, 20), (50, 8), (100, 2)])
def test_rotated_copy_has_distance_zero(kind, n, count):
    a, c = kind(count, n), rotations(count, n, seed=5)
    overlap = dsa.align(a, c @ a @ c.mT, seed=0).overlap
    cosine = overlap / torch.linalg.matrix_norm(a) ** 2
    assert torch.arccos(cosine.clamp(-1, 1)).max() < 1e-3


@KINDS
def test_distance_is_bitwise_independent_of_other_networks(kind):
    operators = kind(5, 12)
    distances = dsa.distance_matrix(operators, seed=0)
    order = [3, 0, 4]
    assert np.array_equal(distances, distances.T)
    assert not distances.diagonal().any()
    assert np.array_equal(dsa.distance_matrix(operators[order], seed=0), distances[np.ix_(order, order)])


@KINDS
def test_rotation_is_orthogonal_and_attains_the_overlap(kind):
    a, b = kind(6, 9), kind(6, 9, seed=20)
    for x, y in ((a, b), (b, a)):
        alignment = dsa.align(x, y, seed=0)
        c = alignment.rotation
        torch.testing.assert_close(c @ c.mT, torch.eye(9, dtype=torch.float64).expand(6, 9, 9))
        torch.testing.assert_close((x * (c @ y @ c.mT)).sum(dim=(1, 2)), alignment.overlap)
        assert (alignment.overlap_by_start.amax(dim=1) <= alignment.overlap + 1e-5).all()


def test_alignment_of_2x2_operators_equals_a_grid_search():
    a, b = random_operators(20, 2), random_operators(20, 2, seed=1)
    angles = torch.linspace(0, 2 * torch.pi, 20001, dtype=torch.float64)
    rotation = torch.stack([angles.cos(), -angles.sin(), angles.sin(), angles.cos()], dim=-1).view(-1, 2, 2)
    grid = torch.cat([rotation, rotation * torch.tensor([1.0, -1.0])])
    best = torch.stack([(x * (grid @ y @ grid.mT)).sum(dim=(1, 2)).max() for x, y in zip(a, b, strict=True)])
    reached = dsa.align(a, b, seed=0).overlap
    assert (reached >= best - 1e-12).all()
    torch.testing.assert_close(reached, best, atol=1e-6, rtol=0)


def test_symmetric_operators_are_aligned_by_sorted_eigenvalues():
    a, b = (m + m.mT for m in (random_operators(6, 15), random_operators(6, 15, seed=1)))
    optimum = (torch.linalg.eigvalsh(a) * torch.linalg.eigvalsh(b)).sum(dim=1)
    torch.testing.assert_close(dsa.align(a, b, seed=0).overlap, optimum, rtol=1e-6, atol=0)
    distance = dsa.distance_matrix([a[0], b[0]], score="frobenius", seed=0)[0, 1]
    expected = (a[0].square().sum() + b[0].square().sum() - 2 * optimum[0]).sqrt()
    assert distance == pytest.approx(float(expected), rel=1e-12)


def test_scores_are_functions_of_one_overlap():
    operators = random_operators(4, 6)
    norms = torch.linalg.matrix_norm(operators).numpy()
    cosine = np.cos(dsa.distance_matrix(operators, score="angular", seed=0))
    off_diagonal = ~np.eye(4, dtype=bool)
    frobenius = dsa.distance_matrix(operators, score="frobenius", seed=0)
    normalized = dsa.distance_matrix(operators, score="normalized", seed=0)
    squares = np.add.outer(norms**2, norms**2) - 2 * np.outer(norms, norms) * cosine
    np.testing.assert_allclose(frobenius[off_diagonal], np.sqrt(squares[off_diagonal]))
    np.testing.assert_allclose(normalized[off_diagonal], np.sqrt(2 - 2 * cosine[off_diagonal]))


def test_wasserstein_is_an_optimal_assignment_of_eigenvalues():
    operators = random_operators(2, 7)
    first, second = np.linalg.eigvals(operators.numpy())
    cost = np.abs(first[:, None] - second) ** 2
    expected = np.sqrt(cost[linear_sum_assignment(cost)].mean())
    distances = dsa.distance_matrix(operators, score="wasserstein", seed=0)
    assert distances[0, 1] == pytest.approx(expected)


@pytest.mark.parametrize("size", [1e-2, 1e-4])
def test_perturbation_changes_the_distance_by_at_most_its_norm(size):
    a, b = decaying_operators(2, 10)
    noise = size * random_operators(1, 10, seed=9)[0]
    before = dsa.distance_matrix([a, b], score="frobenius", seed=0)[0, 1]
    after = dsa.distance_matrix([a, b + noise], score="frobenius", seed=0)[0, 1]
    assert abs(after - before) <= torch.linalg.matrix_norm(noise) + 1e-9


def test_distances_are_not_above_those_of_dsa_metric():
    similarity = pytest.importorskip("DSA.simdist").SimilarityTransformDist
    operators = random_operators(3, 8)
    ours = dsa.distance_matrix(operators, seed=0)
    for i, j in ((0, 1), (2, 0)):
        torch.manual_seed(0)
        model = similarity(iters=300, lr=1e-2, score_method="angular")
        theirs = float(model.fit_score(operators[i].float().clone(), operators[j].float().clone()))
        assert ours[i, j] <= theirs + 1e-3
