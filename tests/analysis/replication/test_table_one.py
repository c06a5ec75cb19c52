"""Comparison with Table 1 of the paper, for tiny networks of real experiments."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pandas as pd
import pytest

from analysis.measures import LEVELS, MEASURES
from analysis.replication.outcomes import AGREES, DISAGREES, UNDECIDED, outcome_table
from analysis.replication.table_one import compare_with_paper
from analysis.results import ResultsFolder
from degen.statistics import Bootstrap, PermutationTest
from tests.analysis.conftest import OVERRIDES, PAPER, SMALL, TINY, run
from tests.composed import experiment_of

BOOTSTRAP, TEST = (
    Bootstrap(n_samples=50, level=0.95, seed=0),
    PermutationTest(n_permutations=19, significance=0.05),
)


def test_every_task_level_and_measure_has_a_row(outcomes):
    measures = {(level, measure) for level, named in MEASURES.items() for measure in named}
    # Further measures of the analysis, by their names.
    measures |= {
        ("weights", "pif_unaligned"),
        ("behavior", "sigma_ood_noise"),
        ("behavior", "sigma_ood_long"),
    }
    for name, tasks in (
        ("auxiliary_loss", {"delayed_discrimination", "pooled"}),
        ("network_size", {"flip_flop", "delayed_discrimination", "sine_wave", "path_integration", "pooled"}),
    ):
        rows = outcomes[outcomes["experiment"] == name]
        assert set(rows["task"]) == tasks
        for _, group in rows.groupby("task"):
            assert set(zip(group["level"], group["measure"], strict=True)) == measures
    assert np.isfinite(outcomes[["effect", "low", "high", "p", "spearman"]]).all(axis=None)
    assert (outcomes["low"] <= outcomes["high"]).all()


def test_dynamics_have_a_ratio_to_their_split_half_baseline(paper, outcomes):
    table = pd.read_csv(paper / "results" / "network_size" / "degeneracy.csv")
    values = table.pivot(index=["task", "condition"], columns="measure", values="value")
    ratios = (values["dsa"] / values["dsa_null"]).groupby("task").min()
    rows = outcomes[(outcomes["experiment"] == "network_size") & (outcomes["level"] == "dynamics")]
    found = rows.set_index("task")["baseline_ratio"]
    assert found.drop("pooled").to_dict() == pytest.approx(ratios.to_dict())
    assert found["pooled"] == pytest.approx(ratios.min())
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


def test_conditions_with_too_few_networks_are_left_out(paper, tmp_path):
    results = ResultsFolder(shutil.copytree(paper / "results" / "network_size", tmp_path / "network_size"))
    whole = experiment_of("network_size", TINY)
    table = pd.read_parquet(results.networks)
    few = next(c.signature for c in whole.conditions if c.task_name == "sine_wave")
    table.loc[(table["condition"] == few) & (table["seed"] < 2), "status"] = "unconverged"
    table.to_parquet(results.networks)
    found = outcome_table(compare_with_paper([whole], lambda name: results, BOOTSTRAP, TEST))
    rows = found.drop_duplicates("task").set_index("task")
    # Two networks of the condition did not converge, and the other four are too few.
    assert rows.loc["sine_wave", ["conditions", "networks", "left_out"]].tolist() == [2, 12, 6]
    assert rows.loc["pooled", ["conditions", "networks", "left_out"]].tolist() == [11, 65, 7]


def test_normalizations_change_the_trend_by_their_divisor(outcomes):
    rows = outcomes[(outcomes["experiment"] == "network_size") & (outcomes["task"] == "sine_wave")]
    effects = rows.set_index("measure")["effect"]
    # Along 6, 8 and 10 units, the fitted line of log n^2 rises by 2 log (10 / 6).
    assert 1 + effects["PIF / n^2"] == pytest.approx((1 + effects["PIF"]) * (6 / 10) ** 2)
    assert (outcomes[outcomes["measure"] == "PIF / n^2"]["is_paper_measure"]).equals(
        outcomes[outcomes["measure"] == "PIF / n^2"]["experiment"] == "network_size"
    )


def test_outcomes_compare_directions(outcomes):
    without = (outcomes["level"] == "representation") | (outcomes["measure"] == "mean OOD")
    assert outcomes.loc[without, ["paper_direction", "outcome"]].isna().all(axis=None)
    judged = outcomes[~without]
    expected = np.where(
        judged["direction"] == "-",
        UNDECIDED,
        np.where(judged["direction"] == judged["paper_direction"], AGREES, DISAGREES),
    )
    assert judged["outcome"].tolist() == expected.tolist()
    judged = outcomes[outcomes["level"].isin(LEVELS)]
    undecided = (judged["p"] >= 0.05) | ((judged["low"] <= 0) & (judged["high"] >= 0))
    undecided |= judged["slope"] * judged["effect"] < 0
    assert (undecided == (judged["direction"] == "-")).all()


def test_influential_networks_are_counted_and_named(outcomes):
    tested = outcomes["is_paper_measure"] & outcomes["level"].isin(LEVELS)
    assert (outcomes["influential_networks"].notna() == tested).all()
    rows = outcomes[tested]
    assert (rows["influential_networks"] <= rows["networks"]).all()
    assert ((rows["influential_networks"] > 0) == rows["most_influential"].notna()).all()
    # With six networks per condition, some outcome depends on one network.
    decided = rows[rows["influential_networks"] > 0]
    assert len(decided)
    for row in decided.to_dict("records"):
        line = re.fullmatch(
            r"(\w+) (\S+-[0-9a-f]{12}) seed (\d)( and its condition)?: (agrees|disagrees|undecided), "
            r"[+-]\d+% \[[+-]\d+%, [+-]\d+%\](, p = [\d.e-]+)?",
            row["most_influential"],
        )
        assert line, row["most_influential"]
        task, name, seed, _, words, _ = line.groups()
        assert row["task"] in (task, "pooled")
        found = [c for c in experiment_of(row["experiment"], TINY).conditions if c.name == name]
        assert [c.task_name for c in found] == [task]
        assert int(seed) in range(6)
        assert row["outcome"] != words
    # The experiment has one task, so its pooled row is equal.
    single = rows[rows["experiment"] == "auxiliary_loss"].groupby("level")
    assert (single["influential_networks"].nunique() == 1).all()


def test_metrics_of_an_earlier_analysis_are_ignored(paper, outcomes, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    arguments = ("experiment=network_size", OVERRIDES, *SMALL, "probe.seed=1", "metric=[dsa]")
    run(place, "analysis.__main__", *arguments)
    run(place, "analysis.paper", *PAPER, "figures=[7]")
    found = pd.read_csv(place / "results" / "table-1.csv")
    # Matrices of the former probe still exist.
    assert list(place.glob("results/network_size/matrices/svcca/*"))
    levels = found.groupby("experiment")["level"].unique()
    assert set(levels["network_size"]) == {"dynamics", "behavior"}
    assert set(levels["auxiliary_loss"]) == set(outcomes["level"])
    assert "not measured" in (place / "results" / "table-1.md").read_text()
