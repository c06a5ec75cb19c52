"""Comparison with Table 1 of the paper, for tiny networks of real experiments."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pandas as pd
import pytest

from analysis.experiment_results import ExperimentResults
from analysis.replication.table_one import FACTORS, table_one_rows
from analysis.results import ResultsFolder
from analysis.trends.measures import LEVELS, MEASURES
from analysis.trends.outcomes import AGREES, DECIDED, DISAGREES, OUTCOMES
from tests.analysis.conftest import EXPERIMENTS, OVERRIDES, PAPER, SMALL, TINY, run
from tests.composed import experiment_of


def test_table_one_is_the_trends_with_the_papers_directions(paper, outcomes):
    for name in EXPERIMENTS:
        trends = pd.read_csv(paper / "results" / name / "trends.csv")
        rows = outcomes[outcomes["experiment"] == name].reset_index(drop=True)
        # Outcomes are compared with the paper, and q is of another family.
        shared = [column for column in trends if column not in ("outcome", "outcome_below_threshold", "q")]
        pd.testing.assert_frame_equal(rows[shared], trends[shared], check_dtype=False)
        for column in ("outcome", "outcome_below_threshold"):
            has_arrow = rows["paper_direction"].notna() & trends[column].isin(DECIDED.values())
            arrows = rows["paper_direction"].map(DECIDED)
            compared = np.where(trends[column] == arrows, AGREES, DISAGREES)
            assert rows[column].tolist() == np.where(has_arrow, compared, trends[column]).tolist()


def test_the_family_is_the_cells_of_table_one(outcomes):
    family = outcomes[outcomes["q"].notna()]
    assert family[["experiment", "level"]].values.tolist() == [
        [name, level]
        for names, _ in FACTORS.values()
        for name in names
        if name in EXPERIMENTS
        for level in LEVELS
    ]
    assert family["is_headline"].all()
    assert (family["q"] >= family["p"]).all()
    assert family["q"].max() == pytest.approx(family["p"].max())


def test_every_task_level_and_measure_has_a_row(outcomes):
    measures = {(level, measure) for level, named in MEASURES.items() for measure in named}
    # Further measures of the analysis, by their names.
    measures |= {
        *(("dynamics", name) for name in ("dsa_weighted", "dsa_geometry", "dsa_lag_1")),
        ("weights", "pif_unaligned"),
        *(
            ("behavior", f"{sigma}_{name}")
            for sigma in ("sigma_ood", "sigma_log_ood")
            for name in ("noise", "long", "outside", "settled")
        ),
    }
    for name, tasks in (
        ("auxiliary_loss", {"delayed_discrimination"}),
        ("network_size", {"flip_flop", "delayed_discrimination", "sine_wave", "path_integration", "pooled"}),
    ):
        rows = outcomes[outcomes["experiment"] == name]
        assert set(rows["task"]) == tasks
        for _, group in rows.groupby("task"):
            assert set(zip(group["level"], group["measure"], strict=True)) == measures
    assert np.isfinite(outcomes[["effect", "low", "high", "p", "spearman", "smallest_p"]]).all(axis=None)
    assert (outcomes["low"] <= outcomes["high"]).all()


def test_dynamics_have_a_ratio_to_their_split_half_baseline(paper, outcomes):
    table = pd.read_csv(paper / "results" / "network_size" / "degeneracy.csv")
    ratios = table[table["measure"] == "dsa"].groupby("task")["baseline_ratio"].min()
    rows = outcomes[(outcomes["experiment"] == "network_size") & (outcomes["measure"] == "DSA")]
    result = rows.set_index("task")["baseline_ratio"]
    assert result.drop("pooled").to_dict() == pytest.approx(ratios.to_dict())
    assert result["pooled"] == pytest.approx(ratios.min())
    assert outcomes.loc[outcomes["level"] != "dynamics", "baseline_ratio"].isna().all()


def test_unconverged_networks_are_counted_and_left_out(outcomes):
    rows = outcomes[outcomes["experiment"] == "network_size"].drop_duplicates("task").set_index("task")
    assert rows["networks"].to_dict() == {
        "flip_flop": 17,
        "delayed_discrimination": 18,
        "sine_wave": 18,
        "path_integration": 18,
        "pooled": 71,
    }
    assert rows["left_out"].to_dict() == {
        "flip_flop": 1,
        "delayed_discrimination": 0,
        "sine_wave": 0,
        "path_integration": 0,
        "pooled": 1,
    }


def test_normalizations_change_the_trend_by_their_divisor(outcomes):
    rows = outcomes[(outcomes["experiment"] == "network_size") & (outcomes["task"] == "sine_wave")]
    effects = rows.set_index("measure")["effect"]
    # Along 6, 8 and 10 units, the fitted line of log n^2 rises by 2 log (10 / 6).
    assert 1 + effects["PIF / n^2"] == pytest.approx((1 + effects["PIF"]) * (6 / 10) ** 2)
    by_width = outcomes[outcomes["measure"] == "PIF / n^2"]
    assert by_width["is_main_measure"].equals(by_width["experiment"] == "network_size")


def test_directions_need_p_and_interval(outcomes):
    without = (outcomes["level"] == "representation") | (outcomes["measure"] == "mean OOD")
    assert outcomes["paper_direction"].isna().equals(without)
    undecided = (outcomes["p"] >= 0.05) | ((outcomes["low"] <= 0) & (outcomes["high"] >= 0))
    assert (undecided <= (outcomes["direction"] == "-")).all()
    decided = outcomes[outcomes["direction"] != "-"]
    assert len(decided)
    assert (decided["direction"].map({"\u2191": 1, "\u2193": -1}) * decided["effect"] > 0).all()
    assert set(outcomes["outcome"]) <= {*OUTCOMES, AGREES, DISAGREES}
    assert not outcomes.loc[~without, "outcome"].isin(DECIDED.values()).any()


def test_influential_networks_are_counted_and_named(outcomes):
    tested = outcomes["is_main_measure"] & (outcomes["outcome"] != "too few networks")
    assert (outcomes["influential_networks"].notna() == tested).all()
    rows = outcomes[tested]
    assert (rows["influential_networks"] <= rows["networks"]).all()
    assert ((rows["influential_networks"] > 0) == rows["most_influential"].notna()).all()
    assert (rows.loc[rows["outcome"] == "fragile", "influential_networks"] > 0).all()
    # With so few networks, some outcome depends on one network.
    decided = rows[rows["influential_networks"] > 0]
    assert len(decided)
    for row in decided.to_dict("records"):
        line = re.fullmatch(
            r"without (\w+) (\S+-[0-9a-f]{12}) seed (\d)( and its condition)?: (rises|falls|no effect seen), "
            r"[+-]\d+% \[[+-]\d+%, [+-]\d+%\](, p = [\d.e-]+)?",
            row["most_influential"],
        )
        assert line, row["most_influential"]
        task, name, seed, _, word, _ = line.groups()
        assert row["task"] in (task, "pooled")
        result = [c for c in experiment_of(row["experiment"], TINY).conditions if c.name == name]
        assert [c.task_name for c in result] == [task]
        assert int(seed) in experiment_of(row["experiment"], TINY).seeds
        assert word != DECIDED.get(row["direction"], "no effect seen")


def test_experiments_without_a_factor_have_no_row(paper):
    experiment = experiment_of("network_size", TINY)
    results = ExperimentResults(experiment, ResultsFolder(paper / "results" / "network_size"))
    assert table_one_rows({"another": results}) == []


def test_metrics_of_an_earlier_analysis_are_ignored(paper, outcomes, tmp_path):
    workspace = shutil.copytree(paper, tmp_path / "place")
    arguments = ("experiment=auxiliary_loss", OVERRIDES, *SMALL, "probe.seed=1", "metric=[dsa]")
    run(workspace, "analysis.__main__", *arguments)
    run(workspace, "analysis.paper", *PAPER, "figures=[4]")
    result = pd.read_csv(workspace / "results" / "table-1.csv")
    # Matrices of the former probe still exist.
    assert list(workspace.glob("results/auxiliary_loss/matrices/svcca/*"))
    levels = result.groupby("experiment")["level"].unique()
    assert set(levels["auxiliary_loss"]) == {"dynamics", "behavior"}
    assert set(levels["network_size"]) == set(outcomes["level"])
    assert "not measured" in (workspace / "results" / "table-1.md").read_text()
