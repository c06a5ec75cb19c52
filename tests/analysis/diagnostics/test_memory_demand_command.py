"""The memory-demand command: table and figure of two tasks, and rejected input."""

from __future__ import annotations

import matplotlib.image
import pandas as pd
import pytest

from tests.conftest import Launched, refusal

SMALL = (
    'tasks=[["task=flip_flop","task.channels=2"],["task=sine_wave","task.n_steps=20"]]',
    "results=found",
    "longest_history=3",
    "trials.n_trials=20",
    "predictor.n_steps=20",
    "predictor.hidden=8",
    "predictor.seeds=2",
)


def test_a_row_per_task_history_and_initialization(tmp_path):
    launched = Launched(SMALL, tmp_path, module="analysis.diagnostics.memory_demand")
    assert launched.wait() == 0, launched.stderr
    table = pd.read_csv(tmp_path / "found" / "memory_demand.csv")
    assert len(table) == 2 * 3 * 2
    assert table["variant"].unique().tolist() == ["2bit", "1ch"]
    assert (table.groupby("task")["demand"].nunique() == 1).all()
    assert (table["error"] > 0).all()
    for task, demand in table.drop_duplicates("task")[["task", "demand"]].to_numpy():
        variant = {"flip_flop": "2bit", "sine_wave": "1ch"}[task]
        least = "at least " if demand == 3 else ""  # the longest that is tried
        assert f"{task} {variant}: h* = {least}{demand}\n" in launched.stdout
    figure = tmp_path / "found" / "figures" / "memory-demand"
    assert figure.with_suffix(".pdf").read_bytes().startswith(b"%PDF-")
    assert matplotlib.image.imread(figure.with_suffix(".png"))[..., :3].std() > 0.02


def test_tasks_that_share_a_variant_are_told_apart(tmp_path):
    tasks = 'tasks=[["task=sine_wave","task.n_steps=20"],["task=sine_wave","task.n_steps=30"]]'
    launched = Launched((*SMALL, tasks), tmp_path, module="analysis.diagnostics.memory_demand")
    assert launched.wait() == 0, launched.stderr
    table = pd.read_csv(tmp_path / "found" / "memory_demand.csv")
    assert table.groupby(["task", "variant", "condition"]).size().tolist() == [6, 6]
    figure = matplotlib.image.imread(tmp_path / "found" / "figures" / "memory-demand.png")
    assert figure.shape[1] > 1.5 * figure.shape[0]  # two panels


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("tasks=[]", 'tasks must be a list of lists of overrides, such as [["task=sine_wave"]], got [].'),
        (
            "tasks=[[1]]",
            'tasks must be a list of lists of overrides, such as [["task=sine_wave"]], got [[1]].',
        ),
        ('tasks=[["task=juggling"]]', "task must be one of "),
        ("longest_history=0", "longest_history must be an integer of at least 1, got 0."),
        ("longest_history=20", "longest_history must be below the 20 time steps of sine_wave, got 20."),
        ("predictor.tolerance=2", "predictor.tolerance must be a finite number above 0 and at most 1, got 2"),
        ("results=null", "results must be the path of a folder, got None."),
    ],
)
def test_a_bad_value_is_refused_before_any_work(tmp_path, argument, sentence):
    launched = Launched((*SMALL, argument), tmp_path, module="analysis.diagnostics.memory_demand")
    assert refusal(launched).startswith(sentence)
    assert not (tmp_path / "found" / "memory_demand.csv").exists()
