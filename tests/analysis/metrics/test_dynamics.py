"""Metrics of dynamics as the analysis uses them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.metrics import LiteralDSA
from analysis.results import ResultsFolder
from analysis.trends.condition_data import ConditionData
from degen.errors import BadInputError
from degen.files import write_tensors
from degen.metrics import dsa
from tests.composed import experiment_of

LITERAL = LiteralDSA(
    score="angular", lowest_lag=1, highest_lag=3, max_rank=6, variance=1.0, first_networks=2, seed=0
)
HIDDEN = torch.randn(3, 8, 30, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64).cumsum(2)


def test_literal_dsa_joins_the_trials_to_one_series():
    selected = {"n_components": 2, "lag": 2, "rank": 4}
    operators, _ = LITERAL.fit(HIDDEN, torch.zeros(8, 30, 1), selected)
    series = HIDDEN[0].flatten(0, 1).numpy()
    series = series - series.mean(axis=0)
    windows = np.concatenate([series[1:], series[:-1]], axis=1)  # also across the borders of trials
    fit = np.linalg.lstsq(windows[:-1], windows[1:], rcond=None)[0].T
    expected = np.sort_complex(np.linalg.eigvals(fit))
    result = np.sort_complex(torch.linalg.eigvals(operators[0]).numpy())
    np.testing.assert_allclose(result, expected, atol=1e-8)


def test_literal_dsa_selects_among_full_ranks_up_to_its_limit():
    curve = LITERAL.select(list(HIDDEN))
    assert curve[["lag", "rank"]].to_numpy().tolist() == [[1, 2], [2, 4], [3, 6]]
    assert curve["held_out_error"].idxmin() == curve.index[curve["selected"]]
    assert LITERAL.selected(curve)["n_components"] == 2
    with pytest.raises(BadInputError, match=r"full rank of the shortest lag must be at most 1, .* got 2\."):
        dataclasses.replace(LITERAL, max_rank=1).select(list(HIDDEN))


def test_baseline_of_sine_waves_compares_matched_stimuli():
    """Networks that differ by a rotation have a baseline ratio near 1, although trials differ widely."""
    frequencies = torch.linspace(0.1, 1.0, 16, dtype=torch.float64)
    order = torch.cat([torch.arange(0, 16, 2), torch.arange(1, 16, 2)])
    phase = frequencies[order, None] * torch.arange(40)
    states = torch.stack([phase.sin(), phase.cos(), (2 * phase).sin()], dim=2)
    inputs = frequencies[order, None, None].expand(-1, 40, 1)
    rotations = torch.linalg.qr(torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(0)).double())[0]
    distances = LITERAL.distances(
        {"hidden": states @ rotations.unsqueeze(1), "inputs": inputs},
        {"n_components": 3, "lag": 1, "rank": 3},
    )
    assert distances.halves is not None
    assert distances.halves.baseline_ratio == pytest.approx(1, rel=0.01)
    first, second = (torch.cat([order[half]]) for half in dsa.matched_halves(inputs))
    assert abs(float(first.double().mean() - second.double().mean())) <= 1


def test_data_of_a_limited_metric_cover_the_first_networks(tmp_path: Path):
    (condition, *_) = experiment_of("demo", ("seeds=4",)).conditions
    data = ConditionData(
        condition, pd.DataFrame({"seed": [0, 1, 2, 3]}), ResultsFolder(tmp_path), left_out=frozenset({1})
    )

    def store(seeds: list[int], max_networks: int | None) -> None:
        path = data.results.matrix("dsa_literal", condition.signature)
        path.parent.mkdir(parents=True, exist_ok=True)
        n = len(seeds)
        distances = torch.arange(n * n, dtype=torch.float64).view(n, n)
        write_tensors(path, {"distances": distances}, {"seeds": seeds, "max_networks": max_networks})

    store([0, 1, 2], 3)
    assert data.covered_by("dsa_literal").seeds == [0, 2]
    assert data.matrix("dsa_literal").tolist() == [[0, 2], [6, 8]]
    store([0, 1, 2], None)  # of an analysis before seed 3 was trained
    with pytest.raises(BadInputError, match=r"must be of seeds \[0, 1, 2, 3\]"):
        data.matrix("dsa_literal")
