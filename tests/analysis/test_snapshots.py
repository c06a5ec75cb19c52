"""Distances along training: planted histories, and an analysis of tiny networks with snapshots."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

import degen
from analysis.manifest import read_manifest
from analysis.metrics import PIF, Hyperparameters, States
from analysis.results import ResultsFolder
from analysis.snapshot_samples import Sample, first_at_or_below, samples
from analysis.steps.snapshots import compute_snapshots
from analysis.trials import TrialSet
from degen.errors import require
from degen.metrics import pif
from tests.analysis.conftest import SMALL, YAML, lines, make_once
from tests.analysis.drawing import draw_loss_curves, draw_nothing, draw_snapshots
from tests.analysis.planted import BOOTSTRAP, planted_experiment
from tests.conftest import Launched
from tests.in_process import rejection

MODULE = "analysis.__main__"
GIVEN = ("--config-dir", "settings", "experiment=slow")
METRICS = "metric=[dsa,pif,pif_initial]"
SNAPSHOTS = "snapshots=[0,4,20,end]"

CHANGES = {
    "seeds: 9": "seeds: 5",
    "batch_size: 8": "batch_size: 32",
    "steps_per_epoch: 4": "steps_per_epoch: 10",
    "max_epochs: 6": "max_epochs: 60",
    "threshold: 10  # solved from the start": "threshold: 0.15",
    "settle_epochs: 1": "settle_epochs: 0",
    "validation_trials: 8": "validation_trials: 32",
    "confirmation_trials: 16": "confirmation_trials: 64",
}
"""What makes the networks of the tiny experiment converge around epoch 20."""

LOSSES = {
    "1": {0: 0.9, 1: 0.8, 2: 0.7},
    "2": {0: 0.5, 1: 0.6},
    "5": {0: 0.2, 1: 0.55},
    "end": {0: 0.1, 1: 0.3, 2: 0.7},
}
"""Validation losses of three networks by epoch and seed. The last one ends in epoch 1."""


def planted_samples() -> list[Sample]:
    """Return the samples of these networks, which are named by seed and epoch."""
    losses: dict[str, dict[int, float]] = {"0": dict.fromkeys(range(3), np.nan)} | LOSSES
    networks: Any = {
        epoch: {seed: f"{seed}@{epoch}" for seed in by_seed} for epoch, by_seed in losses.items()
    }
    return list(samples(networks, LOSSES))


def test_networks_enter_a_loss_with_their_first_snapshot():
    by_level = {sample.loss_level: sample.networks for sample in planted_samples() if sample.kind == "loss"}
    # Medians of epochs 1, 2 and 5. The last network never reaches the lower two.
    assert list(by_level) == pytest.approx([0.8, 0.55, 0.375])
    assert list(by_level.values()) == [["0@2", "1@1", "2@1"], ["0@2", "1@5"], ["0@5", "1@end"]]


def test_a_network_that_falls_below_and_rises_enters_once():
    losses = {"1": {7: 0.4, 3: 0.9}, "2": {7: 0.8, 3: 0.4}, "end": {7: 0.1, 3: 0.1}}
    assert first_at_or_below(losses, 0.4) == {3: "2", 7: "1"}
    assert list(first_at_or_below(losses, 0.4)) == [3, 7]
    assert first_at_or_below(losses, 0.05) == {}


def test_networks_that_ended_before_an_epoch_are_left_out():
    counts = {sample.epoch: len(sample.networks) for sample in planted_samples() if sample.kind == "epoch"}
    assert counts == {"0": 3, "1": 3, "2": 2, "5": 2, "end": 3}


@pytest.fixture(scope="session")
def along(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an analysis along training. Read only."""
    return make_once(tmp_path_factory, _along)


def _along(folder: Path) -> None:
    text = YAML
    for before, after in CHANGES.items():
        assert before in text
        text = text.replace(before, after)
    (folder / "settings" / "experiment").mkdir(parents=True)
    experiment_file = folder / "settings" / "experiment" / "slow.yaml"
    experiment_file.write_text(text + "  optimizer:\n    learning_rate: 0.005\n")
    analysis = (MODULE, (*GIVEN, *SMALL, METRICS), draw_snapshots)
    for module, arguments, before in (("launch.train", GIVEN, None), analysis):
        launched = Launched((*arguments, SNAPSHOTS), folder, before=before, module=module)
        assert launched.wait() == 0, launched.stderr


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "results" / "slow" / f"{name}.csv")


def test_the_end_equals_the_degeneracy(along):
    table, degeneracy = read(along, "snapshots"), read(along, "degeneracy")
    keys, values = ["condition", "measure"], ["value", "low", "high", "networks"]
    ends = table[(table["kind"] == "epoch") & (table["epoch"] == "end")]
    merged = ends.merge(degeneracy, on=keys, suffixes=("", "_final"))
    assert len(ends) == len(merged) == 4
    for name in values:
        np.testing.assert_array_equal(merged[name], merged[f"{name}_final"])


def test_epoch_0_equals_the_degeneracy_at_initialization(along):
    table, degeneracy = read(along, "snapshots"), read(along, "degeneracy")
    initial = degeneracy[degeneracy["measure"] == "pif_initial"].set_index("condition")["value"]
    at_0 = table[(table["measure"] == "pif") & (table["kind"] == "epoch") & (table["epoch"] == "0")]
    pd.testing.assert_series_equal(at_0.set_index("condition")["value"], initial)


def test_the_distance_to_the_own_end(along):
    table = read(along, "snapshots")
    own_end = table[table["kind"] == "own_end"]
    assert (own_end.loc[own_end["epoch"] == "end", "value"].abs() < 1e-6).all()
    for path in along.glob("runs/flip_flop/*"):
        end = degen.load(path)
        now = end.with_weights_at(4)
        pairs = zip(now.networks, end.networks, strict=True)
        distances = [
            pif.distance_matrix(torch.cat([end.model.recurrent(network.weights) for network in pair]))[0, 1]
            for pair in pairs
        ]
        rows = own_end[(own_end["measure"] == "pif") & (own_end["epoch"] == "4")]
        (value,) = rows.loc[rows["condition"] == end.condition.signature, "value"]
        assert value == pytest.approx(np.mean(distances))
        assert value > 0.1


def test_networks_that_have_converged_are_counted(along):
    table = read(along, "snapshots")
    assert (table["networks"] + table["left_out"] == 5).all()
    assert (table["low"].isna() == (table["networks"] < 5)).all()
    for path in along.glob("runs/flip_flop/*"):
        run = degen.load(path)
        ends = np.array([len(network.history) for network in run.networks])
        rows = table[(table["condition"] == run.condition.signature) & (table["epoch"] == "20")]
        remaining = int((ends >= 20).sum())
        assert 2 <= remaining < 5
        assert len(rows) == 4
        assert (rows["networks"] == remaining).all()


def test_losses_are_medians_at_the_epochs(along):
    table = read(along, "snapshots")
    for path in along.glob("runs/flip_flop/*"):
        run = degen.load(path)
        losses = run.history.groupby("epoch")["validation_loss"].median()
        rows = table[(table["condition"] == run.condition.signature) & (table["kind"] == "loss")]
        for _, of_measure in rows.groupby("measure"):
            np.testing.assert_allclose(of_measure["loss_level"], losses.loc[[4, 20]])


def test_the_report_shows_the_figure(along):
    results = along / "results" / "slow"
    manifest = read_manifest(results)
    assert manifest is not None
    assert manifest.settings["snapshots"] == [0, 4, 20, "end"]
    assert {"snapshots.csv", "snapshots.parquet"} <= manifest.files.keys()
    assert {"snapshots.pdf", "snapshots.png", "snapshots.txt"} <= set(manifest.figures)
    assert "When do seeds part?" in (results / "report.html").read_text()


def test_stored_distances_are_used_again_and_removed_when_off(along, tmp_path):
    copied = shutil.copytree(along, tmp_path / "copied")
    distances = sorted(copied.glob("results/slow/snapshots/*/*"))
    times = [path.stat().st_mtime_ns for path in distances]
    assert len(distances) == 4

    def analyze(before: Callable[[], None], *arguments: str) -> str:
        launched = Launched((*GIVEN, *SMALL, METRICS, *arguments), copied, before=before, module=MODULE)
        assert launched.wait() == 0, launched.stderr
        return launched.stdout

    (line,) = lines(analyze(draw_nothing, SNAPSHOTS).splitlines(), "snapshots: ")
    assert line.endswith(" values, unchanged")
    assert [path.stat().st_mtime_ns for path in distances] == times
    assert "snapshots" not in analyze(draw_loss_curves)
    assert list(copied.glob("results/slow/**/snapshots.*")) == []
    assert "When do seeds part?" not in (copied / "results/slow/report.html").read_text()


class RejectingPIF(PIF):
    """PIF that cannot compare weights of an early epoch, as DSA of too few dimensions."""

    def matrix(self, states: States, hyperparameters: Hyperparameters) -> NDArray[np.float64]:
        is_initial = torch.equal(states["recurrent"][0], states["initial_recurrent"][0])
        require(not is_initial, "weights", "initial weights", "trained weights")
        return super().matrix(states, hyperparameters)


def test_epochs_that_a_metric_rejects_have_no_rows(along, tmp_path, caplog):
    paths = sorted(along.glob("runs/flip_flop/*"))
    conditions = [degen.load(path).condition for path in paths]
    experiment = dataclasses.replace(
        planted_experiment(), factor=["task.channels"], baseline=[], swept=conditions
    )
    networks = pd.read_parquet(along / "results" / "slow" / "networks.parquet")
    metric = RejectingPIF(weights="recurrent", aligned=True, signs=False, solver="faq", seed=0)
    config = {"_target_": "analysis.metrics.PIF"}
    sources = experiment, along / "runs", ResultsFolder(tmp_path), networks, {"pif": (config, metric)}
    with caplog.at_level("INFO"):
        table = compute_snapshots(*sources, TrialSet(n_trials=8, seed=0), "converged", [0, 4, 20], BOOTSTRAP)
    assert set(table["epoch"].dropna()) == {"4", "20", "end"}
    expected = read(along, "snapshots").astype({"epoch": object})
    expected = expected[(expected["measure"] == "pif") & (expected["epoch"] != "0")]
    np.testing.assert_allclose(table["value"], expected["value"])
    rejected = [record.getMessage() for record in caplog.records if "not measured" in record.getMessage()]
    assert len(rejected) == 4  # at an equal epoch and to the own end, of two conditions
    assert "epoch 0: weights must be trained weights, got 'initial weights'." in rejected[0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["snapshots=[0,2,3,end]", "metric=pif"],
            "epochs of which all converged networks have snapshots (degen train --config-dir "
            "settings experiment=slow 'snapshots=[0,2,3]'), got [2, 3]",
        ),
        (
            ["snapshots=[1,1]", "metric=pif"],
            "a list of different epochs of at least 0, as in [0,1,5,end], got [1, 1]",
        ),
        (["snapshots=[0]", "metric=[svcca]"], "[] unless metric contains dsa or pif, got [0]"),
    ],
    ids=["untrained", "repeated", "unmeasured"],
)
def test_bad_snapshots_are_rejected_before_any_work(along, arguments, sentence):
    rejected = rejection(along, MODULE, *GIVEN, *arguments, "results=fresh")
    assert rejected == f"snapshots must be {sentence}."
    assert not (along / "fresh").exists()
