"""The paper's stop rule, taken literally, against convergence: tiny networks that are trained twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import degen
from analysis.replication.literal_stop_rule import literal_epoch
from degen.metrics import pif
from tests.in_process import rejection, run_in_process

MODULE = "analysis.replication.literal_stop_rule"
TASK = "task=flip_flop task.channels=1 task.n_steps=20 width=16 seeds=5"
TRAINING = "batch_size=32 steps_per_epoch=20 threshold=0.2 settle_epochs=0 optimizer.learning_rate=0.003 "
TRAINING += "validation_trials=128 confirmation_trials=512"
ARGUMENTS = (*TASK.split(), *(f"training.{text}" for text in TRAINING.split()), "training.max_epochs=30")
CONTINUED = ("training.patience=30", f"snapshots=[{','.join(map(str, range(1, 30)))}]")
HYPERPARAMETERS = """task,metric,hyperparameter,value
flip_flop,dsa,lag,1
flip_flop,dsa,n_components,3
flip_flop,dsa,rank,3
"""


def train(folder: Path, *options: str) -> str:
    """Train a condition, and return its run folder below `folder`."""
    before = set(folder.glob("runs/flip_flop/*"))
    ended = run_in_process(folder, "launch.train", *ARGUMENTS, *options)
    assert ended.code == 0, ended.stderr
    (path,) = set(folder.glob("runs/flip_flop/*")) - before
    return str(path.relative_to(folder))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stop_rule")


@pytest.fixture(scope="module")
def runs(folder: Path) -> tuple[str, str]:
    """Run folders of networks that converged, and of the same networks that were trained further."""
    (folder / "hyperparameters.csv").write_text(HYPERPARAMETERS)
    return train(folder), train(folder, *CONTINUED)


@pytest.fixture(scope="module")
def tables(folder: Path, runs: tuple[str, str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables networks.csv and changes.csv."""
    ended = run_in_process(folder, MODULE, *runs, "hyperparameters.csv", "tables")
    assert ended.code == 0, ended.stderr
    return pd.read_csv(folder / "tables" / "networks.csv"), pd.read_csv(folder / "tables" / "changes.csv")


def test_training_ends_three_epochs_after_the_loss_falls_below_the_threshold():
    assert literal_epoch([0.5, 0.1, 0.5, 0.5, 0.5, 0.1], threshold=0.2) == 5
    assert literal_epoch([0.5, 0.1, 0.5, 0.5], threshold=0.2) is None
    assert literal_epoch([0.5] * 9, threshold=0.2) is None
    assert literal_epoch([0.5, 0.2, 0.1, 0.0, 0.0, 0.0], threshold=0.2) == 6  # equal is not below


def test_networks_are_those_of_the_epochs_of_each_rule(folder, runs, tables):
    networks, _ = tables
    converged, continued = (degen.load(folder / path) for path in runs)
    history = continued.history.set_index(["seed", "epoch"])
    for row in networks.to_dict("records"):
        own = history.loc[row["seed"]]
        first = (own["loss"] < 0.2).idxmax()
        assert row["epoch_literal"] == first + 3
        confirmed = converged.history.query(f"seed == {row['seed']}").dropna(subset="confirmation_loss")
        assert row["epoch_converged"] == confirmed["epoch"].max()
    assert (networks["epoch_literal"] != networks["epoch_converged"]).any()
    assert (networks["test_loss_converged"] < 0.2).all()


def test_changes_are_those_of_degeneracy(folder, runs, tables):
    networks, changes = tables
    rows = changes.set_index("measure")
    assert list(rows.index) == ["dsa", "dsa_weighted", "pif", "sigma_ood"]
    converged, continued = (degen.load(folder / path) for path in runs)
    at_literal = torch.cat(
        [
            continued.model.recurrent(continued.with_weights_at(epoch).networks[position].weights)
            for position, epoch in enumerate(networks["epoch_literal"].tolist())
        ]
    )
    for rule, matrices in (
        ("converged", converged.model.recurrent(converged.weights)),
        ("literal", at_literal),
    ):
        distances = pif.distance_matrix(matrices)
        assert rows.loc["pif", rule] == pytest.approx(distances[np.triu_indices(5, k=1)].mean(), rel=1e-5)
        assert rows.loc["sigma_ood", rule] == pytest.approx(
            networks[f"ood_loss_{rule}"].std(ddof=0), rel=1e-4
        )
    np.testing.assert_allclose(1 + rows["change"], rows["literal"] / rows["converged"], rtol=1e-4)
    assert ((rows["low"] <= rows["change"]) & (rows["change"] <= rows["high"])).all()


def test_runs_of_other_trainings_are_rejected(folder, runs):
    files = ("hyperparameters.csv", "other")
    swapped = rejection(folder, MODULE, *reversed(runs), *files)
    assert "must be" in swapped
    other = train(folder, "training.batch_size=16", "training.max_epochs=1")
    assert "continued condition must be" in rejection(folder, MODULE, runs[0], other, *files)
    short = train(folder, "training.max_epochs=4")
    assert "must be equal to that of" in rejection(folder, MODULE, runs[0], short, *files)
    assert not (folder / "other").exists()


def test_arguments_are_described(folder):
    sentence = rejection(folder, MODULE, "runs")
    assert "must be two run folders, a table of hyperparameters and a folder for the tables" in sentence
