"""Representation metrics: invariances, and agreement with independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from sklearn.cross_decomposition import CCA

from degen.errors import BadInputError
from degen.metrics import representation

METRICS = (representation.svcca, representation.cka, representation.procrustes)


def activations(seed: int, networks: int = 4, samples: int = 200, units: int = 6) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.standard_normal((networks, samples, units)) @ random.standard_normal(
        (networks, units, units)
    )


@pytest.mark.parametrize("metric", METRICS)
def test_distance_ignores_rotation_scale_and_offset(metric):
    x = activations(0, networks=1)[0]
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0]
    distances = metric([x, 3.0 * x @ rotation + 5.0])
    assert distances[0, 1] < 1e-6


def test_svcca_at_full_variance_ignores_invertible_maps():
    x = activations(0, networks=1)[0]
    mixing = np.random.default_rng(2).standard_normal((6, 6))
    assert representation.svcca([x, x @ mixing], variance=1.0)[0, 1] < 1e-9
    assert representation.cka([x, x @ mixing])[0, 1] > 1e-2


def test_svcca_agrees_with_scikit_learn():
    x, y = activations(3, networks=2, units=3)
    y[:, 0] += 5 * x[:, 1]
    model = CCA(n_components=3, max_iter=5000, tol=1e-12).fit(x, y)
    scores = zip(*(side.T for side in model.transform(x, y)), strict=True)
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in scores]
    assert representation.svcca([x, y], variance=1.0)[0, 1] == pytest.approx(
        1 - np.mean(correlations), abs=1e-6
    )


def test_cka_agrees_with_normalized_hsic_of_gram_matrices():
    x, y = activations(4, networks=2)
    centering = np.eye(200) - 1 / 200
    k, l = (centering @ z @ z.T @ centering for z in (x, y))  # noqa: E741
    expected = 1 - np.sum(k * l) / (np.linalg.norm(k) * np.linalg.norm(l))
    assert representation.cka([x, y])[0, 1] == pytest.approx(expected, abs=1e-12)


def test_procrustes_agrees_with_scipy():
    x, y = (z - z.mean(axis=0) for z in activations(5, networks=2))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    rotation, _ = orthogonal_procrustes(y, x)
    assert representation.procrustes([x, y])[0, 1] == pytest.approx(
        np.linalg.norm(x - y @ rotation), abs=1e-12
    )


def test_procrustes_satisfies_the_triangle_inequality():
    distances = representation.procrustes(activations(6, networks=8))
    detours = distances[:, None, :] + distances.T[None, :, :].transpose(0, 2, 1)
    assert np.all(distances[:, :, None] <= detours + 1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_widths_may_differ_between_networks(metric):
    networks = [activations(seed, networks=1, units=units)[0] for seed, units in enumerate((3, 5, 9))]
    distances = metric(networks)
    reversed_order = metric(networks[::-1])
    assert np.array_equal(distances, distances.T)
    assert not distances.diagonal().any()
    np.testing.assert_allclose(reversed_order[::-1, ::-1], distances, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_errors_name_invalid_arguments(metric):
    x = activations(0, networks=2)
    with pytest.raises(BadInputError, match="networks in activations must be at least 2"):
        metric(x[:1])
    x[1, 3, 2] = np.nan
    with pytest.raises(BadInputError, match="activations of network 1 must be finite"):
        metric(x)
    with pytest.raises(BadInputError, match="activations of network 0 must be varying"):
        metric(np.ones((2, 10, 3)))
    with pytest.raises(BadInputError, match="samples of the networks"):
        metric([np.eye(4), np.eye(5)])


@pytest.mark.parametrize("metric", METRICS)
def test_time_steps_of_all_trials_are_samples(metric):
    x = activations(0, samples=200)
    np.testing.assert_array_equal(metric(x.reshape(4, 10, 20, 6)), metric(x))
    with pytest.raises(BadInputError, match="samples of the networks"):
        metric([x[0].reshape(10, 20, 6), x[1].reshape(20, 10, 6)])
