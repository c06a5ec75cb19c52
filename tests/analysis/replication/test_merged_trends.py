"""Trends from small tables are those of the analysis that wrote the tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.replication.small_tables import write_small_tables
from analysis.results import ResultsFolder
from degen.errors import BadInputError
from tests.analysis.conftest import OWN, SMALL, run

NUMBERS = ["effect", "low", "high", "p", "q", "detectable_change", "baseline_ratio", "networks"]


@pytest.fixture
def tables(workspace):
    """The folder of the small tables of the tiny experiment, in a workspace without runs or results."""
    folder = workspace / "tables" / "tiny"
    write_small_tables(ResultsFolder(workspace / "results" / "tiny"), folder)
    for name in ("runs", "results"):
        (workspace / name).rename(workspace / f"other-{name}")
    return folder


def test_merged_trends_equal_the_trends_of_the_analysis(tables, workspace):
    expected = pd.read_csv(tables / "trends.csv")
    (tables / "trends.csv").unlink()
    run(workspace, "analysis.replication.merged_trends", *OWN, *SMALL, "results=tables")
    merged = pd.read_csv(tables / "trends.csv")
    rows = ["task", "term", "measure", "outcome", "outcome_detail", "variant_of"]
    pd.testing.assert_frame_equal(merged[rows], expected[rows])
    np.testing.assert_allclose(merged[NUMBERS], expected[NUMBERS], rtol=2e-3, atol=1e-4)
    assert {path.name for path in tables.glob("*.png")} == {"main-measures.png", "specification-dsa.png"}


def test_tables_of_one_task_leave_those_of_others(tables, workspace):
    """The other task has the same networks under another name."""
    results = ResultsFolder(workspace / "other-results" / "tiny")
    names = ("networks", "distances", "degeneracy", "hyperparameters")
    before = {name: pd.read_csv(tables / f"{name}.csv") for name in names}
    for name, table in before.items():
        renamed = table.replace({"task": {"flip_flop": "other"}})
        if "condition" in renamed:
            renamed["condition"] = "other-" + renamed["condition"]
        renamed.to_csv(tables / f"{name}.csv", index=False)
    for _ in range(2):  # the second time, the rows of the task are replaced
        write_small_tables(results, tables, ["flip_flop"])
        for name, table in before.items():
            merged = pd.read_csv(tables / f"{name}.csv")
            assert len(merged) == 2 * len(table)
            pd.testing.assert_frame_equal(merged[len(table) :].reset_index(drop=True), table)
    assert not (tables / "trends.csv").exists()


def test_conditions_that_are_gone_do_not_stay(tables, workspace):
    results = ResultsFolder(workspace / "other-results" / "tiny")
    before = {}
    for name in ("networks", "distances", "degeneracy"):
        before[name] = pd.read_csv(tables / f"{name}.csv")
        gone = before[name].assign(condition="gone-" + before[name]["condition"])
        pd.concat([gone, before[name]]).to_csv(tables / f"{name}.csv", index=False)
    write_small_tables(results, tables, ["flip_flop"])
    for name, table in before.items():
        pd.testing.assert_frame_equal(pd.read_csv(tables / f"{name}.csv"), table)


def test_a_task_without_results_is_rejected(tables, workspace):
    results = ResultsFolder(workspace / "other-results" / "tiny")
    with pytest.raises(BadInputError, match="task must be one of flip_flop, got 'sine_wave'"):
        write_small_tables(results, tables, ["sine_wave"])
