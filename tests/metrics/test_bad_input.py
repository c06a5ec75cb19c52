"""Invalid input of pairwise metrics: errors name the argument or network, and the allowed values."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch

from degen.errors import BadInputError
from degen.metrics import dsa, pif, representation

HYPERPARAMETERS = dsa.Hyperparameters(n_components=3, lag=2, rank=4)
STATES = torch.randn(3, 4, 12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SQUARES = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

ACTIVATION_METRICS = {
    "operators": lambda states: dsa.operators(states, HYPERPARAMETERS),
    "controlled_operators": lambda states: dsa.controlled_operators(
        states, STATES[0, ..., :2], HYPERPARAMETERS
    ),
    "weighted_operators": lambda states: dsa.weighted_operators(states),
    "select_hyperparameters": lambda states: dsa.select_hyperparameters(states, lags=(1, 2), ranks=(2, 4)),
    "svcca": lambda states: representation.svcca(states.flatten(1, 2)),
    "cka": lambda states: representation.cka(states.flatten(1, 2)),
    "procrustes": lambda states: representation.procrustes(states.flatten(1, 2)),
}
MATRIX_METRICS = {
    "dsa": ("operators", lambda matrices: dsa.distance_matrix(matrices, seed=0)),
    "wasserstein": (
        "operators",
        lambda matrices: dsa.distance_matrix(matrices, seed=0, score="wasserstein"),
    ),
    "pif": ("weights", lambda matrices: pif.distance_matrix(matrices, seed=0)),
    "signed pif": ("weights", lambda matrices: pif.distance_matrix(matrices, seed=0, signs=True)),
    "unaligned": ("weights", lambda matrices: pif.unaligned_distance_matrix(matrices)),
    "lower bound": ("weights", lambda matrices: pif.lower_bound_matrix(matrices)),
}


def assert_rejected(function: Callable[[], object], message: str) -> None:
    """Assert that `function` raises `BadInputError` with one line that starts with `message`."""
    with pytest.raises(BadInputError, match="^" + re.escape(message)) as error:
        function()
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ACTIVATION_METRICS)
def test_activations_must_be_finite(name, bad):
    states = STATES.clone()
    states[1, 2, 3, 4] = bad
    assert_rejected(lambda: ACTIVATION_METRICS[name](states), "activations of network 1 must be finite, got")


@pytest.mark.parametrize("name", ACTIVATION_METRICS)
def test_single_network_is_rejected(name):
    assert_rejected(
        lambda: ACTIVATION_METRICS[name](STATES[:1]), "networks in activations must be at least 2"
    )


@pytest.mark.parametrize("name", ["operators", "select_hyperparameters"])
def test_single_time_step_is_rejected(name):
    assert_rejected(
        lambda: ACTIVATION_METRICS[name](STATES[:, :, :1]), "lag must be below the 1 time steps of a trial"
    )


@pytest.mark.parametrize("name", ["operators", "select_hyperparameters"])
def test_lag_of_the_trial_length_is_rejected(name):
    assert_rejected(
        lambda: ACTIVATION_METRICS[name](STATES[:, :, :2]), "lag must be below the 2 time steps of a trial"
    )


@pytest.mark.parametrize("name", ["operators", "controlled_operators"])
def test_rank_above_that_of_the_windows_is_rejected(name):
    states = STATES.clone()
    # Constant activity with an offset in every second step has rank 1.
    states[2] = states[2, :1, :1]
    states[2, :, ::2] += 1.0
    assert_rejected(
        lambda: ACTIVATION_METRICS[name](states),
        "rank must be at most 1, the rank of the delay windows of network 2 that have a successor, got 4",
    )


def test_rank_above_components_times_lag_is_rejected():
    assert_rejected(
        lambda: dsa.Hyperparameters(n_components=3, lag=2, rank=7),
        "rank must be at most n_components * lag = 6, got 7",
    )


def test_more_components_than_units_are_rejected():
    hyperparameters = dsa.Hyperparameters(n_components=6, lag=1, rank=1)
    assert_rejected(
        lambda: dsa.operators(STATES, hyperparameters), "n_components must be at most the 5 units, got 6"
    )


def test_inputs_with_other_trials_are_rejected():
    assert_rejected(
        lambda: dsa.controlled_operators(STATES, STATES[0, :2], HYPERPARAMETERS),
        "inputs shape must be (trials, time) of network 0, (4, 12), got (2, 12)",
    )


@pytest.mark.parametrize("name", MATRIX_METRICS)
def test_matrices_must_be_finite_square_and_equal_in_size(name):
    field, metric = MATRIX_METRICS[name]
    assert_rejected(lambda: metric(SQUARES[:, :3]), f"{field} sizes must be square")
    different = [SQUARES[0], SQUARES[1, :3, :3]]
    assert_rejected(
        lambda: metric(different), f"{field} must all have the same size, got sizes [(3, 3), (4, 4)]"
    )
    assert_rejected(lambda: metric(SQUARES[:1]), f"networks in {field} must be at least 2")
    for bad in (torch.nan, torch.inf):
        broken = SQUARES.clone()
        broken[2, 0, 1] = bad
        assert_rejected(lambda broken=broken: metric(broken), f"{field} of network 2 must be finite")


def test_wasserstein_score_with_inputs_is_rejected():
    options = {"score": "wasserstein", "seed": 0}
    maps = SQUARES[..., :2]
    message = "score must be angular, frobenius or normalized if input maps are given"
    for function in (
        lambda: dsa.distance_matrix(SQUARES, input_maps=maps, **options),
        lambda: dsa.half_distances(SQUARES, SQUARES, input_maps=(maps, maps), **options),
    ):
        assert_rejected(function, message)


def test_halves_of_different_networks_are_rejected():
    assert_rejected(
        lambda: dsa.half_distances(SQUARES, SQUARES[:2], seed=0),
        "networks of the second half must be 3, as in the first half, got 2",
    )


def test_unknown_scores_are_rejected():
    for function in (
        lambda: dsa.distance_matrix(SQUARES, score="cosine", seed=0),
        lambda: dsa.half_distances(SQUARES, SQUARES, score="cosine", seed=0),
    ):
        assert_rejected(
            function, "score must be one of angular, frobenius, normalized, wasserstein, got 'cosine'"
        )


@pytest.mark.parametrize("name", ACTIVATION_METRICS)
@pytest.mark.parametrize("constant", [0.1, 0.0, 1e3])
def test_constant_activations_are_rejected(name, constant):
    states = STATES.clone()
    states[1] = constant
    with pytest.raises(BadInputError, match=r"must be varying over .*, got 'a constant'"):
        ACTIVATION_METRICS[name](states)


def test_complex_activations_are_rejected():
    assert_rejected(
        lambda: representation.svcca(STATES.flatten(1, 2) * (1 + 1j)),
        "activations of network 0 entries must be real numbers, got 'torch.complex128'",
    )
