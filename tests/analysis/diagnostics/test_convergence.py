"""The convergence table of networks that solved their task, did not, or diverged."""

from __future__ import annotations

import math
import re

import pandas as pd
import pytest

from analysis.diagnostics.convergence import format_total, summarize_convergence
from degen.storage import RunFolder
from degen.tasks import Task
from tests.analysis.conftest import OWN
from tests.conftest import Launched, refusal


@pytest.fixture
def converged(workspace) -> tuple[pd.DataFrame, str]:
    """The table of the tiny experiment and what was printed."""
    launched = Launched((*OWN, "ood.n_trials=8"), workspace, module="analysis.diagnostics.convergence")
    assert launched.wait() == 0, launched.stderr
    return pd.read_csv(workspace / "results" / "tiny" / "convergence.csv"), launched.stdout


def test_every_network_of_every_condition_is_counted(converged):
    result, printed = converged
    counts = result[["converged", "unconverged", "diverged", "missing"]]
    assert (counts == [6, 1, 1, 1]).all(axis=None)
    assert len(result) == 2
    assert all(label in printed for label in result["condition"])


def test_a_network_that_never_got_there_is_the_worst(converged, workspace):
    result, _ = converged
    networks = pd.read_parquet(workspace / "results" / "tiny" / "networks.parquet")
    for (_, row), (_, group) in zip(
        result.iterrows(), networks.groupby("condition", sort=False), strict=True
    ):
        assert row["epochs to threshold"] == "1 (never)"
        ratios = group["test_loss_ratio"]
        assert row["test loss / threshold"] == f"{ratios.median():.3g} ({ratios.max():.3g})"
        assert row["epochs to convergence"] == "1 (never)"
        assert math.isfinite(row["seconds per network"])
        assert math.isfinite(row["CPU seconds per network"])


def test_converged_networks_above_the_threshold_are_counted(workspace):
    networks = pd.DataFrame(
        {
            "status": ["converged"] * 3 + ["unconverged"],
            "epochs_to_threshold": [1.0, 2.0, 3.0, math.nan],
            "epochs_to_convergence": [3.0, 4.0, 5.0, math.nan],
            "test_loss_ratio": [0.9, 1.06, 1.6, 9.0],
            "ood_loss": [1.0] * 4,
        }
    )
    path = next(workspace.glob("runs/flip_flop/*"))
    condition = RunFolder.open(path).condition
    result = summarize_convergence(
        networks.assign(condition=condition.signature), [condition], 4, workspace / "runs"
    )
    assert result[["above 1.05", "above 1.5"]].to_numpy().tolist() == [[2, 1]]
    assert format_total(result) == (
        "3 of 4 networks converged; test loss over threshold: 2 above 1.05, 1 above 1.5 (66.7%)"
    )


def test_a_task_without_ood_trials_has_no_ood_loss(workspace, monkeypatch):
    path = next(workspace.glob("runs/flip_flop/*"))
    condition = RunFolder.open(path).condition
    monkeypatch.setattr(type(condition.task), "ood", Task.ood)
    columns = ["epochs_to_threshold", "epochs_to_convergence", "test_loss_ratio"]
    networks = pd.DataFrame(1.0, [0], columns).assign(status="converged", condition=condition.signature)
    (row,) = summarize_convergence(networks, [condition], 1, workspace / "runs").to_dict("records")
    assert "OOD loss" not in row
    assert row["test loss / threshold"] == "1 (1)"


def test_where_most_never_got_there_so_does_the_median(workspace):
    threshold = ("training.threshold=1e-9",)
    assert Launched((*OWN, *threshold, "seeds=3"), workspace).wait() == 0
    overrides = "overrides=['training.threshold=1e-9','seeds=3']"
    launched = Launched(
        (*OWN, "ood.n_trials=8", overrides), workspace, module="analysis.diagnostics.convergence"
    )
    assert launched.wait() == 0, launched.stderr
    result = pd.read_csv(workspace / "results" / "tiny" / "convergence.csv")
    assert (result["epochs to threshold"] == "never (never)").all()


def test_seconds_are_of_all_networks_that_the_time_was_spent_on(workspace):
    def seconds(*arguments: str) -> list[list[float]]:
        launched = Launched(
            (*OWN, "ood.n_trials=8", *arguments), workspace, module="analysis.diagnostics.convergence"
        )
        assert launched.wait() == 0, launched.stderr
        result = pd.read_csv(workspace / "results" / "tiny" / "convergence.csv")
        return result[["seconds per network", "CPU seconds per network"]].to_numpy().tolist()

    for manifest in workspace.glob("runs/flip_flop/*/manifest.json"):
        text = re.sub(r'"seconds": [\d.e-]+', '"seconds": 1600.0', manifest.read_text())
        manifest.write_text(re.sub(r'"cpu_seconds": [\d.e-]+', '"cpu_seconds": 800.0', text))
    assert seconds() == seconds("overrides=['seeds=2']") == [[200, 100]] * 2  # eight networks


def test_an_override_of_training_is_refused(workspace):
    launched = Launched((*OWN, "width=9"), workspace, module="analysis.diagnostics.convergence")
    assert launched.wait() == 2
    assert "width" in refusal(launched)
