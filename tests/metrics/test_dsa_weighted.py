"""Variance-weighted DSA: invariances, known solutions and blind spots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from degen.errors import BadInputError
from degen.files import read_tensors
from degen.metrics import dsa
from degen.streams import Stream
from tests.conftest import build
from tests.metrics.dsa_systems import decaying_operators, random_operators, rotations
from tests.metrics.planted_pairs import (
    FORMS,
    System,
    exchanged_rates,
    ratios,
    spiral_or_node,
)

EVERY_FORM = pytest.mark.parametrize("form", dsa.FORMS)


def states_of(seed: int, a: Tensor | None = None) -> Tensor:
    """States (trials, time, 12) of a system with four directions of unequal variance."""
    a = decaying_operators(1, 4, seed)[0] * 0.8 if a is None else a
    eye = torch.eye(4, dtype=torch.float64)
    return System(a, eye, torch.tensor([3.0, 2.0, 1.0, 0.5], dtype=torch.float64)).sample(seed)[0]


def distance(first: Tensor, second: Tensor, form: str = "map", variance: float = 1 - 1e-9) -> float:
    operators, _ = dsa.weighted_operators([first, second], form=form, variance=variance)
    return float(dsa.distance_matrix(operators, seed=0)[0, 1])


@EVERY_FORM
def test_rotations_reflections_and_scale_are_ignored(form):
    states = states_of(0)
    reflection = torch.diag(torch.tensor([-1.0] + [1.0] * 11, dtype=torch.float64))
    for copy in (states @ rotations(1, 12, seed=3)[0], states @ reflection, 7 * states + 1):
        assert distance(states, copy, form) < 1e-3


@EVERY_FORM
def test_units_without_variance_are_ignored(form):
    first, second = states_of(0), states_of(1)
    silent = torch.cat([second, torch.ones(*second.shape[:2], 5, dtype=torch.float64)], dim=2)
    assert distance(first, silent, form) == pytest.approx(distance(first, second, form), abs=1e-4)


def test_zero_padding_does_not_change_distances_of_other_pairs():
    operators, _ = dsa.weighted_operators([states_of(seed) for seed in range(3)], variance=0.99)
    padded = torch.nn.functional.pad(operators, (0, 3, 0, 3))
    distances = dsa.distance_matrix(operators, seed=0)
    assert np.array_equal(dsa.distance_matrix(padded, seed=0), distances)
    assert np.array_equal(dsa.distance_matrix(padded[:2], seed=0), distances[:2, :2])


def test_networks_of_one_component_are_compared_in_two():
    """The angle between two numbers would be zero."""
    stretch = torch.diag(torch.tensor([300.0] + [1.0] * 11, dtype=torch.float64))
    pair = [states_of(seed) @ stretch for seed in range(2)]
    assert max(dsa.n_components(states) for states in pair) == 1
    assert distance(*pair, variance=0.99) > 0


def test_smaller_network_is_compared_in_the_size_of_the_larger():
    small, large = random_operators(1, 2)[0], random_operators(1, 4, seed=1)[0]
    stacked = torch.stack([torch.nn.functional.pad(small, (0, 2, 0, 2)), large])
    overlap = float(dsa.align(stacked[:1], stacked[1:], seed=0).overlap)
    cosine = overlap / float(torch.linalg.matrix_norm(small) * torch.linalg.matrix_norm(large))
    assert dsa.distance_matrix(stacked, seed=0)[0, 1] == pytest.approx(np.arccos(cosine), abs=1e-6)


def test_operators_have_their_closed_forms():
    """The forms of a long sample approach those of the stationary covariance."""
    a = torch.tensor([[0.9, 0.2, 0, 0], [-0.2, 0.9, 0, 0], [0, 0, 0.6, 0], [0, 0, 0, 0.3]]).double()
    covariance = torch.diag(torch.tensor([4.0, 3.0, 1.0, 0.5], dtype=torch.float64))
    states, _ = System.of_covariance(a, covariance).sample(0)
    root = covariance.sqrt()
    expected = {"map": a @ root, "flow": (a - torch.eye(4)) @ root, "geometry": root}
    for form, operator in expected.items():
        estimate = dsa.weighted_operators([states] * 2, form=form, variance=1 - 1e-9)[0][0]
        np.testing.assert_allclose(
            torch.linalg.svdvals(estimate), torch.linalg.svdvals(operator), rtol=0.1, atol=0.03
        )


def test_geometry_distance_compares_sorted_standard_deviations():
    first, second = states_of(0), states_of(1)
    deviations = [
        torch.linalg.svdvals(states.sub(states.mean((0, 1)))[:, :-1].flatten(0, 1)).numpy()
        for states in (first, second)
    ]
    cosine = deviations[0] @ deviations[1] / np.prod([np.linalg.norm(values) for values in deviations])
    assert distance(first, second, "geometry") == pytest.approx(np.arccos(cosine), abs=1e-4)


def test_components_of_little_variance_hardly_count():
    """Unlike in DSA, whose operators give a component of 0.01 % of the variance the weight of the first."""
    pair = [states_of(0), states_of(0, decaying_operators(1, 4)[0] * 0.8)]
    noise = torch.randn(2, *pair[0].shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    noisy = [states + 0.01 * states.std() * extra for states, extra in zip(pair, noise, strict=True)]
    few, many = (distance(*noisy, variance=variance) for variance in (0.99, 0.9999))
    assert many == pytest.approx(few, rel=0.1, abs=0.01)
    plain = [
        float(dsa.distance_matrix(dsa.operators(noisy, dsa.Hyperparameters(k, 1, k)), seed=0)[0, 1])
        for k in (4, 12)
    ]
    assert plain[1] > 1.5 * plain[0]


def test_trained_networks_have_stable_distances_and_trends():
    """A trained network and weaker copies, at 99 and 99.99 % of the variance."""
    condition = build("task=flip_flop", "task.channels=3", "width=64")
    weights, _ = read_tensors(Path(__file__).with_name("flip_flop.safetensors"))
    trials = condition.task.generate(64, Stream.named([0], "probe"))
    states = [
        condition.model.unroll(weights | {"recurrent": scale * weights["recurrent"]}, trials)[0]
        for scale in (1.0, 0.9, 0.7)
    ]
    few, many = (
        [distance(states[0], other, variance=variance) for other in states[1:]] for variance in (0.99, 0.9999)
    )
    assert many == pytest.approx(few, rel=0.1)
    assert many[1] > 1.5 * many[0]


def test_input_maps_are_whitened_and_separate_the_inputs():
    a = decaying_operators(1, 4)[0] * 0.8
    b = random_operators(1, 4, seed=5)[0]
    states, inputs = System(a, b, torch.tensor([3.0, 2.0, 1.0, 0.5], dtype=torch.float64)).sample(0)
    maps, input_maps = dsa.weighted_operators([states] * 2, variance=1 - 1e-9, inputs=inputs)
    scaled = dsa.weighted_operators([states] * 2, variance=1 - 1e-9, inputs=inputs * 5 + 2)
    torch.testing.assert_close(scaled[0], maps)
    torch.testing.assert_close(scaled[1], input_maps)
    u = inputs[:, 1:].flatten(0, 1)
    root = torch.linalg.cholesky(u.sub(u.mean(0)).mT @ u.sub(u.mean(0)) / len(u))
    np.testing.assert_allclose(
        torch.linalg.svdvals(input_maps[0]), torch.linalg.svdvals(b @ root), rtol=0.05, atol=0.02
    )


def test_forms_separate_planted_pairs():
    for pair in (spiral_or_node, exchanged_rates):  # each with one covariance
        assert ratios(pair, FORMS["weighted"], [0]) > 2
        assert np.median(ratios(pair, FORMS["geometry"], range(9))) < 2


def test_slow_dynamics_are_compared_by_their_geometry():
    """With A near 1, A S^(1/2) is near S^(1/2). The flow is not."""
    slow, slower, wide, narrow = (
        torch.diag(torch.tensor(values, dtype=torch.float64))
        for values in ([0.99] * 4, [0.999, 0.99, 0.98, 0.97], [1.0] * 4, [4.0, 1.0, 1.0, 0.25])
    )
    first, second = System.of_covariance(slow, wide), System.of_covariance(slower, narrow)
    pair = [system.sample(0)[0] for system in (first, second)]
    in_map, in_flow, in_geometry = (distance(*pair, form) for form in ("map", "flow", "geometry"))
    assert in_map == pytest.approx(in_geometry, abs=0.02)
    assert abs(in_flow - in_geometry) > 0.1


def test_invertible_linear_maps_are_not_ignored():
    stretch = torch.diag(torch.tensor([10.0] + [1.0] * 11, dtype=torch.float64))
    states = states_of(0)
    assert distance(states, states @ stretch) > 0.1
    full_rank = dsa.Hyperparameters(n_components=4, lag=1, rank=4)
    plain = dsa.distance_matrix(dsa.operators([states, states @ stretch], full_rank), seed=0)
    assert plain[0, 1] < 1e-3


def test_geometry_with_inputs_is_rejected():
    states, inputs = states_of(0), torch.zeros(128, 60, 1)
    with pytest.raises(BadInputError, match=r"form must be map or flow if inputs are given, got 'geometry'"):
        dsa.weighted_operators([states] * 2, form="geometry", inputs=inputs)
