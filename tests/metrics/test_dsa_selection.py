"""DSA: selection of components, lag and rank."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from degen.errors import BadInputError
from degen.metrics import dsa
from degen.metrics.dsa.embedding import Moments, windows
from tests.metrics.dsa_systems import linear_system


def test_selection_on_linear_data_has_no_error():
    hidden, _ = linear_system()
    selection = dsa.select_hyperparameters([hidden, hidden], lags=(1, 2), ranks=(2, 3), variance=1.0)
    assert selection.hyperparameters.rank == 3
    assert selection.curve["held_out_error"].min() < 1e-9
    assert set(selection.curve["lag"]) == {1, 2}


def random_walks(trials: int, time: int, units: int) -> torch.Tensor:
    """Nonlinear states (trials, time, units): tanh of random walks."""
    generator = torch.Generator().manual_seed(4)
    return torch.randn(trials, time, units, generator=generator, dtype=torch.float64).cumsum(1).tanh()


def test_rank_above_the_number_of_transitions_is_rejected():
    # Five trials of 6 steps contain 15 windows of 4 steps and 10 transitions between windows.
    with pytest.raises(BadInputError, match=r"at most 10, .* got 13"):
        dsa.operators(random_walks(5, 6, 12).expand(2, -1, -1, -1), dsa.Hyperparameters(12, 4, 13))
    assert (
        dsa.operators(random_walks(5, 6, 12).expand(2, -1, -1, -1), dsa.Hyperparameters(12, 4, 10))
        .isfinite()
        .all()
    )


@pytest.mark.parametrize(("trials", "time"), [(3, 8), (3, 12), (8, 10)])
def test_candidates_are_supported_by_half_of_the_trials(trials, time):
    hidden = random_walks(trials, time, 48).unflatten(-1, (3, 16)).movedim(2, 0)
    selection = dsa.select_hyperparameters(hidden, lags=(1, 2, 3, 4), ranks=(3, 5, 10, 12, 15, 20))
    n_transitions = (trials // 2) * (time - selection.curve["lag"])
    assert (selection.curve["rank"] <= n_transitions).all()
    # Test all candidates: the selected rank may be far below the bound.
    for lag, rank in selection.curve[["lag", "rank"]].to_numpy():
        candidate = dataclasses.replace(selection.hyperparameters, lag=int(lag), rank=int(rank))
        for half in (slice(None, None, 2), slice(1, None, 2)):
            assert dsa.operators(hidden[:, half], candidate).isfinite().all()


@pytest.mark.parametrize(
    ("trials", "time", "k", "lag"), [(5, 9, 3, 1), (4, 12, 2, 5), (3, 6, 4, 5), (1, 8, 1, 3)]
)
def test_moments_are_sums_over_windows_and_transitions(trials, time, k, lag):
    states = random_walks(trials, time, k)
    moments = Moments.from_states(states, lag)
    all_windows, current, cross, successor = (
        torch.zeros(k * lag, k * lag, dtype=torch.float64) for _ in range(4)
    )
    for trial in states:
        vectors = [torch.cat([trial[t - i] for i in range(lag)]) for t in range(lag - 1, time)]
        all_windows += sum(torch.outer(h, h) for h in vectors)
        for now, then in itertools.pairwise(vectors):
            current += torch.outer(now, now)
            cross += torch.outer(then, now)
            successor += torch.outer(then, then)
    expected = {"all_windows": all_windows, "current": current, "cross": cross, "successor": successor}
    for name, sums in expected.items():
        torch.testing.assert_close(getattr(moments, name), sums, rtol=1e-12, atol=1e-12)
    assert moments.n_transitions == trials * (time - lag)


def test_scores_of_candidates_agree_with_least_squares():
    states = random_walks(8, 30, 6)
    curve = dsa.select_hyperparameters([states, states], lags=(1, 2, 4), ranks=(3, 5), variance=1.0).curve
    centered = states - states.mean(dim=(0, 1))
    components = centered @ torch.linalg.svd(centered.flatten(0, 1), full_matrices=False)[2].mT
    # All lags predict one set of time steps.
    embedded = {lag: windows(components, lag)[:, 4 - lag :] for lag in (1, 2, 4)}
    for lag, rank, error, aic in curve[["lag", "rank", "held_out_error", "aic"]].to_numpy():
        lag, rank = int(lag), int(rank)
        train, test = embedded[lag][:6], embedded[lag][6:]
        _, scales, axes = torch.linalg.svd(train.flatten(0, 1), full_matrices=False)
        encode = axes[:rank].mT / scales[:rank]
        now, then = (part.flatten(0, 1) @ encode for part in (train[:, :-1], train[:, 1:]))
        operator = torch.linalg.lstsq(now, then).solution
        decode = (scales[:rank, None] * axes[:rank])[:, :6]
        fractions = []
        for part in (test, train):
            target = part[:, 1:, :6]
            residual = target - part[:, :-1] @ encode @ operator @ decode
            fractions.append(float(residual.square().sum() / target.square().sum()))
        assert error == pytest.approx(fractions[0], rel=1e-9)
        count = 6 * train[:, 1:].flatten(0, 1).shape[0]
        assert aic == pytest.approx(count * np.log(fractions[1]) + 2 * rank**2, rel=1e-9)


def test_components_are_limited_by_the_smallest_network():
    noise = torch.randn(2, 20, 40, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wide, narrow = noise[0], noise[1, ..., :4]
    assert dsa.select_hyperparameters([wide, wide], lags=(1,), ranks=(2,)).hyperparameters.n_components == 12
    assert dsa.select_hyperparameters([wide, narrow], lags=(1,), ranks=(2,)).hyperparameters.n_components == 4


def test_simplest_candidate_within_a_standard_error_is_selected():
    """Lag 1 is enough for random walks, but noise gives longer lags and higher ranks smaller errors."""
    hidden = random_walks(40, 20, 16).unflatten(-1, (4, 4)).movedim(2, 0)
    selection = dsa.select_hyperparameters(hidden, lags=(1, 2, 3), ranks=(1, 2, 3, 4, 8), variance=1.0)
    curve, best = selection.curve, selection.curve.loc[selection.curve["held_out_error"].idxmin()]
    limit = best["held_out_error"] + best["standard_error"]
    within = curve[curve["held_out_error"] <= limit].sort_values(["rank", "lag"])
    assert len(within) > 1
    selected = selection.hyperparameters
    assert (selected.rank, selected.lag) == tuple(within[["rank", "lag"]].iloc[0])


def test_standard_error_is_over_networks():
    hidden = random_walks(40, 20, 16).unflatten(-1, (4, 4)).movedim(2, 0)
    together = dsa.select_hyperparameters(hidden, lags=(1,), ranks=(2,), variance=1.0).curve.iloc[0]
    errors = [
        dsa.select_hyperparameters([states] * 2, lags=(1,), ranks=(2,), variance=1.0).curve["held_out_error"][
            0
        ]
        for states in hidden
    ]
    assert together["held_out_error"] == pytest.approx(np.mean(errors))
    assert together["standard_error"] == pytest.approx(np.std(errors, ddof=1) / 2)


def test_components_are_the_most_or_least_that_a_network_needs():
    scalar, spatial = random_walks(40, 20, 1) * torch.ones(4), random_walks(40, 20, 4)
    few, many = (
        dsa.select_hyperparameters(
            [scalar, spatial], lags=(1, 2), ranks=(1,), variance=1.0, components=components
        )
        for components in ("least", "most")
    )
    assert few.components_needed == many.components_needed == [1, 4]
    assert few.hyperparameters.n_components == 1
    assert many.hyperparameters.n_components == 4


def test_selections_at_the_edge_of_the_candidates_have_warnings():
    """The state is the sum of the last three inputs, so that only long windows predict it."""
    noise = torch.randn(2, 60, 43, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    hidden = noise.unfold(2, 4, 1)[..., :3].sum(-1)
    lag = dsa.select_hyperparameters(hidden, lags=(1, 2, 3), ranks=(5,)).warnings
    assert len(lag) == 1
    assert lag[0].startswith("the lag 3 is the longest candidate")
    walks = random_walks(40, 20, 12).unflatten(-1, (2, 6)).movedim(2, 0)
    (rank,) = dsa.select_hyperparameters(walks, lags=(1,), ranks=(2,), variance=1.0).warnings
    assert rank.startswith("the rank 2 is the largest candidate, below the full rank 6")
    assert dsa.select_hyperparameters(walks, lags=(1,), ranks=(6,), variance=1.0).warnings == []


def test_full_rank_selects_the_smallest_error_of_full_ranks():
    hidden = random_walks(40, 20, 16).unflatten(-1, (4, 4)).movedim(2, 0)
    selection = dsa.select_hyperparameters(
        hidden, lags=(1, 2, 3, 4), ranks=(13,), variance=1.0, full_rank=True
    )
    assert selection.curve[["lag", "rank"]].to_numpy().tolist() == [[1, 4], [2, 8], [3, 12]]
    best = selection.curve.loc[selection.curve["held_out_error"].idxmin()]
    assert selection.hyperparameters.lag == best["lag"]
    with pytest.raises(BadInputError, match=r"full rank of the shortest lag must be at most 3, .* got 4\."):
        dsa.select_hyperparameters(hidden, ranks=(3,), variance=1.0, full_rank=True)
