"""An analysis of two tiny cells: distances between them, and PIF of a gated cell."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.experiment_results import ExperimentResults
from analysis.figures.between_levels import plot_between_levels
from analysis.replication.small_tables import write_small_tables
from analysis.reporting.report_tables import between_levels_table
from analysis.results import ResultsFolder
from degen.files import read_tensors
from degen.metrics import pif
from tests.analysis.conftest import SMALL, make_once
from tests.analysis.drawing import draw_nothing
from tests.analysis.test_between_levels import sweep
from tests.conftest import Launched
from tests.in_process import rejection

ARGUMENTS = ("-m", "parameterization=standard,gru", "task=flip_flop", "task.n_steps=20", "width=8", "seeds=6")
TRAINING = (
    "batch_size=8",
    "steps_per_epoch=4",
    "max_epochs=6",
    "threshold=10",
    "patience=1",
    "settle_epochs=1",
)
TRAINING = (*TRAINING, "validation_trials=8", "confirmation_trials=16")
ARGUMENTS = (*ARGUMENTS, *(f"training.{text}" for text in TRAINING))
ANALYSIS = (*ARGUMENTS, *SMALL, "metric=[dsa,svcca,pif]")


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an analysis of two cells. Read only."""
    return make_once(tmp_path_factory, _cells)


def _cells(workspace: Path) -> None:
    for module, arguments in (("launch.train", ARGUMENTS), ("analysis.__main__", ANALYSIS)):
        launched = Launched(arguments, workspace, module=module, before=draw_nothing)
        assert launched.wait() == 0, launched.stderr
        (workspace / "printed").write_text(launched.stdout)


def analyzed(cells: Path) -> ExperimentResults:
    (path,) = cells.glob("results/*/networks.parquet")
    return ExperimentResults(sweep(*ARGUMENTS[1:]), ResultsFolder(path.parent))


def test_cells_are_compared_by_default(cells):
    results = analyzed(cells)
    table = pd.read_csv(results.results.between.with_suffix(".csv"))
    assert list(table["measure"]) == ["dsa", "svcca", "pif", "ood_loss", "log_ood_loss"]
    assert table["left_out"].fillna("")[2].startswith("recurrent matrices must be of one layout")
    table = table.drop(2).reset_index()
    assert set(table["networks_a"]) == set(table["networks_b"]) == {6}
    assert table[["between", "low", "ratio", "ratio_low", "p", "q"]].notna().all(axis=None)
    assert "between levels (mean distance over the mean within both levels" in (cells / "printed").read_text()
    # Hyperparameters and distances within levels are those of the matrices of each condition.
    within = dict(zip(["within_a", "within_b"], results.experiment.conditions, strict=True))
    for measure in ("dsa", "svcca"):
        row = table[table["measure"] == measure].iloc[0]
        for column, condition in within.items():
            stored = results.degeneracy[results.degeneracy["measure"] == measure].set_index("condition")
            assert row[column] == pytest.approx(stored.loc[condition.signature, "value"], rel=1e-6)
    selected = results.hyperparameters["settings"].iloc[0]
    assert sorted(table["settings"][0].split(", ")) == sorted(selected.split(", "))


def test_pif_aligns_the_gates_of_a_cell(cells):
    results = analyzed(cells)
    gru = results.experiment.conditions[1]
    recurrent = read_tensors(results.results.activations(gru.signature))[0]["recurrent"]
    assert recurrent.shape == (6, 24, 8)
    expected = pif.distance_matrix(recurrent.unflatten(1, (3, 8)), seed=0)
    assert np.array_equal(results.matrix("pif", gru), expected)
    per_weight = {row.measure: row for row in results.trends}
    assert {"PIF", "PIF / n^2", "PIF / norms"} <= set(per_weight)


def test_cells_are_drawn_and_reported(cells):
    results = analyzed(cells)
    figure = plot_between_levels(results)
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    row = results.between[results.between["measure"] == "dsa"].iloc[0]
    assert f"{row['within_a']:.2g}" in texts
    points = sum(len(collection.get_offsets()) for axis in figure.axes for collection in axis.collections)
    assert points == 2 * 12
    ((title, _, table),) = between_levels_table(results)
    assert title in results.results.report.read_text()
    assert list(table["measure"]) == list(results.between["measure"])


def test_the_comparison_can_be_switched_off(cells, tmp_path):
    workspace = shutil.copytree(cells, tmp_path / "cells")
    before = analyzed(workspace).manifest
    assert before is not None
    assert {"between.parquet", "between.csv"} <= set(before.files)
    arguments = (*ANALYSIS, "between_levels=false")
    launched = Launched(arguments, workspace, module="analysis.__main__", before=draw_nothing)
    assert launched.wait() == 0, launched.stderr
    after = analyzed(workspace)
    assert after.between.empty
    assert between_levels_table(after) == []
    assert after.manifest is not None
    assert not any("between" in name for name in after.manifest.files)


def test_the_switch_is_checked(cells):
    arguments = (*ANALYSIS, "between_levels=some")
    assert (
        rejection(cells, "analysis.__main__", *arguments)
        == "between_levels must be true or false, got 'some'."
    )


def test_small_tables_contain_the_distances_between_levels(cells, tmp_path):
    results = analyzed(cells)
    write_small_tables(results.results, tmp_path)
    stored, table = pd.read_csv(tmp_path / "between.csv"), results.between
    assert stored["measure"].tolist() == table["measure"].tolist()
    np.testing.assert_allclose(stored["between"], table["between"], rtol=1e-5)


def test_numbers_of_many_levels_do_not_overlap(cells):
    results = analyzed(cells)
    pair = results.between[results.between["measure"] == "dsa"]
    names = [f"cell {index}" for index in range(8)]
    rows = [pair.assign(level_a=a, level_b=b) for a, b in itertools.combinations(names, 2)]
    results.__dict__["between"] = pd.concat(rows, ignore_index=True)
    figure = plot_between_levels(results)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 64
    for first, second in itertools.combinations(boxes, 2):
        assert not first.overlaps(second)
