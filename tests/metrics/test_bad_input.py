"""Bad input of pairwise metrics: one sentence that names the field or the network, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch

from degen.errors import BadInputError
from degen.metrics import dsa, pif, representation

SETTINGS = dsa.Settings(n_components=3, lag=2, rank=4)
STATES = torch.randn(3, 4, 12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SQUARES = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

ON_ACTIVATIONS = {
    "operators": lambda states: dsa.operators(states, SETTINGS),
    "controlled_operators": lambda states: dsa.controlled_operators(states, STATES[0, ..., :2], SETTINGS),
    "null_distances": lambda states: dsa.null_distances(states, SETTINGS, seed=0),
    "choose": lambda states: dsa.choose(states, lags=(1, 2), ranks=(2, 4)),
    "svcca": lambda states: representation.svcca([one.flatten(0, 1) for one in states]),
    "cka": lambda states: representation.cka([one.flatten(0, 1) for one in states]),
    "procrustes": lambda states: representation.procrustes([one.flatten(0, 1) for one in states]),
}
ON_MATRICES = {
    "dsa": ("operators", lambda matrices: dsa.distance_matrix(matrices, seed=0)),
    "wasserstein": (
        "operators",
        lambda matrices: dsa.distance_matrix(matrices, seed=0, score="wasserstein"),
    ),
    "pif": ("weights", lambda matrices: pif.distance_matrix(matrices, seed=0)),
    "unaligned": ("weights", lambda matrices: pif.unaligned_distance_matrix(matrices)),
    "lower bound": ("weights", lambda matrices: pif.lower_bound_matrix(matrices)),
}


def refused(function: Callable[[], object], sentence: str) -> None:
    with pytest.raises(BadInputError, match="^" + re.escape(sentence)) as error:
        function()
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ON_ACTIVATIONS)
def test_activations_that_are_not_finite_name_the_network(name, bad):
    states = STATES.clone()
    states[1, 2, 3, 4] = bad
    refused(lambda: ON_ACTIVATIONS[name](states), "activations of network 1 must be finite, got")


@pytest.mark.parametrize("name", ON_ACTIVATIONS)
def test_one_network_makes_no_pair(name):
    refused(lambda: ON_ACTIVATIONS[name](STATES[:1]), "networks in activations must be at least 2")


@pytest.mark.parametrize("name", ["operators", "null_distances", "choose"])
def test_one_time_step_has_no_dynamics(name):
    refused(lambda: ON_ACTIVATIONS[name](STATES[:, :, :1]), "lag must be below the 1 time steps of a trial")


@pytest.mark.parametrize("name", ["operators", "null_distances", "choose"])
def test_a_lag_longer_than_the_trial_is_refused(name):
    refused(lambda: ON_ACTIVATIONS[name](STATES[:, :, :2]), "lag must be below the 2 time steps of a trial")


@pytest.mark.parametrize("name", ["operators", "controlled_operators", "null_distances"])
def test_a_rank_above_what_a_networks_windows_hold_names_it(name):
    states = STATES.clone()
    # Two steps and back: three windows that differ hold no rank of four.
    states[2] = states[2, :1, :1]
    states[2, :, ::2] += 1.0
    refused(
        lambda: ON_ACTIVATIONS[name](states),
        "rank must be at most 1, what the windows of network 2 hold, got 4",
    )


def test_a_rank_above_components_times_lag_is_refused():
    refused(
        lambda: dsa.Settings(n_components=3, lag=2, rank=7),
        "rank must be at most n_components * lag = 6, got 7",
    )


def test_more_components_than_units_are_refused():
    settings = dsa.Settings(n_components=6, lag=1, rank=1)
    refused(lambda: dsa.operators(STATES, settings), "n_components must be at most the 5 units, got 6")


def test_inputs_of_other_trials_are_refused():
    refused(
        lambda: dsa.controlled_operators(STATES, STATES[0, :2], SETTINGS),
        "inputs shape must be (trials, time) of network 0, (4, 12), got (2, 12)",
    )


@pytest.mark.parametrize("name", ON_MATRICES)
def test_matrices_must_be_square_of_one_size_finite_and_two(name):
    field, metric = ON_MATRICES[name]
    refused(lambda: metric(SQUARES[:, :3]), f"{field} sizes must be square")
    different = [SQUARES[0], SQUARES[1, :3, :3]]
    refused(lambda: metric(different), f"{field} have sizes [(3, 3), (4, 4)], but a distance needs")
    refused(lambda: metric(SQUARES[:1]), f"networks in {field} must be at least 2")
    for bad in (torch.nan, torch.inf):
        broken = SQUARES.clone()
        broken[2, 0, 1] = bad
        refused(lambda broken=broken: metric(broken), f"{field} of network 2 must be finite")


def test_a_score_without_alignment_takes_no_inputs():
    for function in (
        lambda: dsa.distance_matrix(SQUARES, score="wasserstein", seed=0, input_maps=SQUARES[..., :2]),
        lambda: dsa.null_distances(STATES, SETTINGS, score="wasserstein", seed=0, inputs=STATES[0, ..., :2]),
    ):
        refused(function, "score must be one with an alignment where inputs count, got 'wasserstein'")


def test_unknown_scores_are_refused():
    for function in (
        lambda: dsa.distance_matrix(SQUARES, score="cosine", seed=0),
        lambda: dsa.null_distances(STATES, SETTINGS, score="cosine", seed=0),
    ):
        refused(function, "score must be one of angular, frobenius, normalized, wasserstein, got 'cosine'")


@pytest.mark.parametrize("name", ON_ACTIVATIONS)
@pytest.mark.parametrize("constant", [0.1, 0.0, 1e3])
def test_constant_activations_are_refused_though_their_mean_is_rounded(name, constant):
    states = STATES.clone()
    states[1] = constant
    with pytest.raises(BadInputError, match=r"must be varying over .*, got 'a constant'"):
        ON_ACTIVATIONS[name](states)


def test_complex_activations_are_refused():
    refused(
        lambda: representation.svcca(STATES.flatten(1, 2) * (1 + 1j)),
        "activations of network 0 entries must be real numbers, got 'torch.complex128'",
    )
