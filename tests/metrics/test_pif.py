"""PIF: invariances, planted permutations, comparison with enumeration and public solvers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import quadratic_assignment

from degen.errors import BadInputError
from degen.metrics import pif


def matrices(count: int, n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, n, n, generator=generator, dtype=torch.float64) / n**0.5


def permuted(weights: torch.Tensor, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weights with randomly reordered units, and the order."""
    generator = torch.Generator().manual_seed(seed)
    n = weights.shape[-1]
    order = torch.stack([torch.randperm(n, generator=generator) for _ in weights])
    row = torch.arange(len(weights))[:, None, None]
    return weights[row, order[:, :, None], order[:, None, :]], order


@pytest.mark.parametrize("n", [3, 5, 8])
def test_distance_equals_the_optimum_by_enumeration(n):
    a, b = matrices(6, n), matrices(6, n, seed=1)
    orders = torch.tensor(list(itertools.permutations(range(n))))
    for x, y, distance in zip(a, b, pif.align(a, b, seed=0).distance, strict=True):
        distances = torch.linalg.matrix_norm(x - y[orders[:, :, None], orders[:, None, :]])
        assert distance.item() == pytest.approx(distances.min().item(), abs=1e-9)


@pytest.mark.parametrize(("n", "pairs"), [(32, 100), (128, 10)])
def test_planted_permutation_is_recovered_under_noise(n, pairs):
    a = matrices(pairs, n)
    b, order = permuted(a + 0.3 * matrices(pairs, n, seed=1))
    permutation = pif.align(a, b, seed=0).permutation
    recovered = (order.gather(1, permutation) == torch.arange(n)).all(dim=1)
    assert recovered.float().mean() >= 0.99


def test_distances_are_not_above_identity_or_scipy_faq():
    weights = matrices(9, 40)
    distances = pif.distance_matrix(weights, seed=0)
    assert np.all(distances <= pif.unaligned_distance_matrix(weights) + 1e-12)
    for i, j in itertools.combinations(range(9), 2):
        a, b = weights[i].numpy(), weights[j].numpy()
        p = quadratic_assignment(a, b, options={"maximize": True}).col_ind
        assert distances[i, j] <= np.linalg.norm(a - b[p][:, p]) + 1e-9


def test_distances_are_not_above_those_of_procrustes():
    pytest.importorskip("procrustes")
    weights = matrices(6, 30)
    assert np.all(
        pif.distance_matrix(weights, seed=0)
        <= pif.distance_matrix(weights, seed=0, solver="procrustes") + 1e-9
    )


def test_distance_ignores_unit_order_and_exceeds_lower_bound():
    weights = matrices(4, 20)
    shuffled, _ = permuted(weights)
    both = torch.cat([weights, shuffled])
    distances = pif.distance_matrix(both, seed=0)
    assert distances.diagonal(4).max() < 1e-6
    assert np.array_equal(distances, distances.T)
    assert np.all(pif.lower_bound_matrix(both) <= distances + 1e-6)


def test_value_of_a_pair_ignores_the_other_networks():
    weights = matrices(6, 16)
    distances = pif.distance_matrix(weights, seed=0)
    order = [4, 1, 5]
    assert np.array_equal(pif.distance_matrix(weights[order], seed=0), distances[np.ix_(order, order)])


def test_permutation_attains_its_distance_in_both_directions():
    a, b = matrices(5, 12), matrices(5, 12, seed=1)
    forward, backward = pif.align(a, b, seed=0), pif.align(b, a, seed=0)
    assert torch.equal(forward.permutation.argsort(dim=1), backward.permutation)
    for x, y, p, d in zip(a, b, forward.permutation, forward.distance, strict=True):
        assert torch.linalg.matrix_norm(x - y[p][:, p]).item() == pytest.approx(d.item())


def test_normalizations_divide_the_frobenius_distance():
    weights = matrices(3, 10)
    plain = pif.distance_matrix(weights, seed=0)
    np.testing.assert_allclose(pif.distance_matrix(weights, seed=0, normalization="parameters"), plain / 100)
    norms = np.linalg.norm(weights.numpy(), axis=(1, 2)) ** 2
    np.testing.assert_allclose(
        pif.distance_matrix(weights, seed=0, normalization="relative"),
        plain / np.sqrt(norms[:, None] + norms),
    )


def test_input_and_output_weights_determine_the_permutation():
    n = 12
    recurrent = torch.eye(n, dtype=torch.float64).expand(2, n, n)
    inputs = matrices(1, n)[:, :, :3]
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    both, outputs = torch.cat([inputs, inputs[:, order]]), torch.cat([inputs, inputs[:, order]]).mT
    distances = pif.distance_matrix(recurrent, seed=0, input_weights=both, output_weights=outputs)
    assert distances[0, 1] < 1e-12
    assert pif.unaligned_distance_matrix(recurrent, input_weights=both)[0, 1] > 0.1


def test_errors_name_invalid_arguments():
    weights = matrices(2, 4)
    with pytest.raises(BadInputError, match="networks in weights must be at least 2"):
        pif.distance_matrix(weights[:1], seed=0)
    with pytest.raises(BadInputError, match="square"):
        pif.distance_matrix(weights[:, :3], seed=0)
    with pytest.raises(BadInputError, match="weights must all have the same size, got sizes"):
        pif.distance_matrix([weights[0], weights[1, :3, :3]], seed=0)
    with pytest.raises(BadInputError, match="solver must be one of faq, procrustes"):
        pif.distance_matrix(weights, seed=0, solver="nmf")
    weights[1, 0, 0] = torch.inf
    with pytest.raises(BadInputError, match="weights of network 1 must be finite"):
        pif.distance_matrix(weights, seed=0)
