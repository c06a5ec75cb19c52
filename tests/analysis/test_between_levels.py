"""Distances between named levels of planted networks."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from analysis.metrics import Metric, build_metric
from analysis.results import ResultsFolder
from analysis.steps.activations import ARRAYS
from analysis.steps.between_levels import LevelComparison, compute_between_levels, format_between_levels
from degen.files import write_tensors
from degen.metrics import pif, representation
from launch.config import compose
from launch.experiment import Experiment
from tests.analysis.planted import BOOTSTRAP, TEST, sweep
from tests.metrics.dsa_systems import rotations

TRIALS, STEPS, UNITS = 10, 30, 6
CELLS = ("task=flip_flop", "parameterization=standard,relu")
THREE = ("task=flip_flop", "parameterization=standard,relu,softplus")
GATED = ("task=flip_flop", "parameterization=standard,gru")


@functools.cache
def metrics(*names: str) -> dict[str, tuple[dict[str, Any], Metric]]:
    nodes = compose("analyze", ["experiment=demo", f"metric=[{','.join(names)}]"])["metrics"]
    return {name: build_metric(name, nodes[name], []) for name in names}


def system(seed: int, angle: float, units: int = UNITS) -> Tensor:
    """Return states (trials, time, units) of a rotation by about `angle` per step, in random coordinates.

    Its noise is common to all systems.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(TRIALS, STEPS, 2, generator=generator, dtype=torch.float64)
    turn = angle + 0.1 * torch.randn(1, generator=torch.Generator().manual_seed(seed + 1)).item()
    step = 0.9 * torch.tensor([[0.0, -turn], [turn, 0.0]], dtype=torch.float64).matrix_exp()
    states = [noise[:, 0]]
    for t in range(1, STEPS):
        states.append(states[-1] @ step.mT + noise[:, t])
    return torch.stack(states, dim=1) @ rotations(1, units, seed)[0][:2]


def plant(
    folder: Path, experiment: Experiment, hidden: list[list[Tensor]], recurrent: list[Tensor] | None = None
) -> ResultsFolder:
    """Write networks with these states, for each condition, and losses that do not differ."""
    results, tables = ResultsFolder(folder), []
    inputs = torch.zeros(TRIALS, STEPS, 1, dtype=torch.float64)
    for i, (condition, states) in enumerate(zip(experiment.conditions, hidden, strict=True)):
        n = len(states)
        weights = torch.zeros(n, UNITS, UNITS) if recurrent is None else recurrent[i]
        arrays = dict(zip(ARRAYS, (torch.stack(states), weights, weights.clone(), inputs), strict=True))
        path = results.activations(condition.signature)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, arrays, {"seeds": list(range(n)), "fingerprint": ""})
        losses = 1 + np.random.default_rng(i).uniform(size=n)
        columns = {"seed": range(n), "status": "converged", "ood_loss": losses}
        tables.append(pd.DataFrame({"condition": condition.signature, **columns}))
    pd.concat(tables).to_parquet(results.networks)
    return results


def compare(results: ResultsFolder, experiment: Experiment, *names: str) -> pd.DataFrame:
    comparison = LevelComparison(results, metrics(*names), BOOTSTRAP, TEST)
    return compute_between_levels(experiment, pd.read_parquet(results.networks), comparison, 0.5)


def rows(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["measure"]: row for row in table.to_dict("records")}


def test_rotated_copies_are_as_far_apart_as_seeds(tmp_path):
    first = [system(seed, 0.4) for seed in range(6)]
    second = [states @ rotations(1, UNITS, 50 + seed)[0] for seed, states in enumerate(first)]
    results = plant(tmp_path, sweep(*CELLS), [first, second])
    table = rows(compare(results, sweep(*CELLS), "dsa_weighted", "svcca"))
    for measure in ("dsa_weighted", "svcca"):
        row = table[measure]
        assert row["between"] == pytest.approx(row["within_a"], rel=1e-3)
        assert row["ratio"] == pytest.approx(1, rel=1e-3)
        assert row["p"] > 0.9
        assert (row["networks_a"], row["networks_b"], row["left_out"]) == (6, 6, "")


def test_equal_dynamics_are_not_separated_and_others_are(tmp_path):
    hidden = [
        [system(10 * level + seed, angle) for seed in range(8)] for level, angle in enumerate((0.4, 0.4, 1.2))
    ]
    table = compare(plant(tmp_path, sweep(*THREE), hidden), sweep(*THREE), "dsa_weighted")
    dsa = table[table["measure"] == "dsa_weighted"].set_index(["level_a", "level_b"])
    assert list(dsa.index) == [("Standard", "ReLU"), ("Standard", "Softplus"), ("ReLU", "Softplus")]
    assert dsa.loc[("Standard", "ReLU"), "q"] > 0.1
    assert 0.7 < dsa.loc[("Standard", "ReLU"), "ratio"] < 1.4
    for pair in dsa.index[1:]:
        assert dsa.loc[pair, "ratio_low"] > 2
        assert dsa.loc[pair, "q"] < 0.05
    # Benjamini & Hochberg over three pairs.
    p = dsa["p"].to_numpy()
    assert dsa["q"].max() == pytest.approx(p.max())
    assert dsa["q"].min() == pytest.approx(1.5 * np.sort(p)[1])
    assert table["factor"].unique() == ["parameterization"]


def test_silent_units_of_wider_networks_change_nothing(tmp_path):
    first = [system(seed, 0.4) for seed in range(3)]
    narrow = [system(seed, 0.4, units=4) for seed in range(3)]
    results = plant(tmp_path, sweep(*CELLS), [first, narrow])
    row = rows(compare(results, sweep(*CELLS), "svcca"))["svcca"]
    matrix = representation.svcca([*first, *narrow], variance=0.99)
    assert row["between"] == pytest.approx(
        np.mean([matrix[i, 3 + j] for i in range(3) for j in range(3) if i != j])
    )
    assert np.isnan(row["low"])


def test_weights_are_compared_if_layouts_agree(tmp_path):
    states = [system(seed, 0.4) for seed in range(3)]
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(3, UNITS, UNITS, generator=generator, dtype=torch.float64) for _ in range(2)]
    results = plant(tmp_path / "a", sweep(*CELLS), [states, states], weights)
    row = rows(compare(results, sweep(*CELLS), "pif"))["pif"]
    matrix = pif.distance_matrix(torch.cat(weights))
    assert row["between"] == pytest.approx(
        np.mean([matrix[i, 3 + j] for i in range(3) for j in range(3) if i != j])
    )
    weights[1] = torch.randn(3, 3 * UNITS, UNITS, generator=generator, dtype=torch.float64)
    results = plant(tmp_path / "b", sweep(*GATED), [states, states], weights)
    table = compare(results, sweep(*GATED), "pif", "svcca")
    by_measure = rows(table)
    allowed = "of one layout to be compared, which Standard and GRU networks do not have"
    assert by_measure["pif"]["left_out"] == f"recurrent matrices must be {allowed}, got [(6, 6), (18, 6)]."
    assert np.isnan(by_measure["pif"]["between"])
    assert by_measure["svcca"]["left_out"] == ""
    text = format_between_levels(table)
    assert f"  not measured: pif: recurrent matrices must be {allowed}" in text
    assert "N-bit flip-flop, Standard vs. GRU, representation (svcca): " in text


def test_networks_with_other_inputs_are_not_compared(tmp_path):
    experiment, states = sweep(*CELLS), [system(seed, 0.4) for seed in range(3)]
    results = plant(tmp_path, experiment, [states, states])
    path = results.activations(experiment.conditions[1].signature)
    weights = [torch.zeros(3, UNITS, UNITS) for _ in range(2)]
    arrays = dict(zip(ARRAYS, (torch.stack(states), *weights, torch.ones(1)), strict=True))
    write_tensors(path, arrays, {"seeds": [0, 1, 2], "fingerprint": ""})
    reason = rows(compare(results, experiment, "svcca"))["svcca"]["left_out"]
    assert reason.startswith("inputs of the two levels must be equal")


def test_numbers_tasks_and_crossed_levels(tmp_path):
    def names(*overrides: str) -> list[str]:
        experiment = sweep(*overrides)
        states = [system(seed, 0.4) for seed in range(2)]
        results = plant(tmp_path, experiment, [states] * len(experiment.conditions))
        table = compare(results, experiment, "svcca")
        table = table[table["measure"] == "svcca"]
        return [f"{row['at']}: {row['level_a']}, {row['level_b']}" for row in table.to_dict("records")]

    assert names("task=flip_flop", "gamma=1,2") == []
    assert names("task=flip_flop,sine_wave") == []
    crossed = names("task=flip_flop", "gamma=1,2", "parameterization=standard,relu")
    assert crossed == ["gamma 1: Standard, ReLU", "gamma 2: Standard, ReLU"]
    assert len(names("task=flip_flop", "gamma=1,2", "width=8,16", "parameterization=standard,relu")) == 0
