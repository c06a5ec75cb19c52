"""Of tiny networks of real experiments: every trend and what it says of the paper's arrow."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pandas as pd
import pytest

from analysis.measures import LEVELS, MEASURES
from analysis.results import Results
from analysis.statistics import Bootstrap
from analysis.verdict import Permutations
from analysis.verdict import verdict as verdicts
from tests.analysis.conftest import OVERRIDES, PAPER, SMALL, TINY, run
from tests.composed import experiment_of

FEW = {"n_permutations": 19, "significance": 0.05}


def test_a_row_for_every_task_level_and_measure_and_their_pool(verdict):
    measures = {(level, measure) for level, named in MEASURES.items() for measure in named}
    # What the analysis measured beside them, by its name.
    measures |= {
        ("weights", "pif_unaligned"),
        ("behaviour", "sigma_ood_noise"),
        ("behaviour", "sigma_ood_long"),
    }
    for name, tasks in (
        ("auxiliary_loss", {"delayed_discrimination", "pooled"}),
        ("network_size", {"flip_flop", "delayed_discrimination", "sine_wave", "path_integration", "pooled"}),
    ):
        rows = verdict[verdict["experiment"] == name]
        assert set(rows["task"]) == tasks
        for _, group in rows.groupby("task"):
            assert set(zip(group["level"], group["measure"], strict=True)) == measures
    assert np.isfinite(verdict[["effect", "low", "high", "p", "spearman"]]).all(axis=None)
    assert (verdict["low"] <= verdict["high"]).all()


def test_dynamics_say_how_far_above_their_floor_they_are(paper, verdict):
    table = pd.read_csv(paper / "results" / "network_size" / "degeneracy.csv")
    values = table.pivot(index=["task", "condition"], columns="measure", values="value")
    ratios = (values["dsa"] / values["dsa_null"]).groupby("task").min()
    rows = verdict[(verdict["experiment"] == "network_size") & (verdict["level"] == "dynamics")]
    found = rows.set_index("task")["over_floor"]
    assert found.drop("pooled").to_dict() == pytest.approx(ratios.to_dict())
    assert found["pooled"] == pytest.approx(ratios.min())
    assert verdict.loc[verdict["level"] != "dynamics", "over_floor"].isna().all()


def test_networks_that_did_not_converge_are_counted_and_left_out(verdict):
    rows = verdict[verdict["experiment"] == "network_size"].drop_duplicates("task").set_index("task")
    assert rows["networks"].to_dict() == {
        "flip_flop": 11,
        "delayed_discrimination": 12,
        "sine_wave": 12,
        "path_integration": 12,
        "pooled": 47,
    }
    assert rows["left_out"].to_dict() == {
        "flip_flop": 1,
        "delayed_discrimination": 0,
        "sine_wave": 0,
        "path_integration": 0,
        "pooled": 1,
    }


def test_converged_networks_of_a_condition_with_too_few_are_left_out_too(paper, tmp_path):
    results = Results(shutil.copytree(paper / "results" / "network_size", tmp_path / "network_size"))
    whole = experiment_of("network_size", TINY)
    table = pd.read_parquet(results.networks)
    few = next(c.signature for c in whole.conditions if c.task_name == "sine_wave")
    table.loc[(table["condition"] == few) & (table["seed"] < 2), "status"] = "unconverged"
    table.to_parquet(results.networks)
    found = verdicts(
        [whole], lambda name: results, Bootstrap(n_samples=50, level=0.95, seed=0), Permutations(**FEW)
    )
    rows = found.drop_duplicates("task").set_index("task")
    # Of the condition two did not converge, and two converged alone.
    assert rows.loc["sine_wave", ["conditions", "networks", "left_out"]].tolist() == [2, 8, 4]
    assert rows.loc["pooled", ["conditions", "networks", "left_out"]].tolist() == [11, 43, 5]


def test_normalizations_change_the_trend_by_what_they_divide_by(verdict):
    rows = verdict[(verdict["experiment"] == "network_size") & (verdict["task"] == "sine_wave")]
    effects = rows.set_index("measure")["effect"]
    # Along 6, 8 and 10 units, the fitted line of log n^2 rises by 2 log (10 / 6).
    assert 1 + effects["PIF / n^2"] == pytest.approx((1 + effects["PIF"]) * (6 / 10) ** 2)
    assert (verdict[verdict["measure"] == "PIF / n^2"]["is_paper_measure"]).equals(
        verdict[verdict["measure"] == "PIF / n^2"]["experiment"] == "network_size"
    )


def test_an_agreement_is_that_of_the_arrows_and_undecided_without_one(verdict):
    without = (verdict["level"] == "representation") | (verdict["measure"] == "mean OOD")
    assert verdict.loc[without, ["paper", "agreement"]].isna().all(axis=None)
    judged = verdict[~without]
    expected = np.where(
        judged["direction"] == "-",
        "undecided",
        np.where(judged["direction"] == judged["paper"], "yes", "no"),
    )
    assert judged["agreement"].tolist() == expected.tolist()
    judged = verdict[verdict["level"].isin(LEVELS)]
    undecided = (judged["p"] >= 0.05) | ((judged["low"] <= 0) & (judged["high"] >= 0))
    undecided |= judged["slope"] * judged["effect"] < 0
    assert (undecided == (judged["direction"] == "-")).all()


def test_networks_that_decide_are_counted_and_one_named_where_there_is_an_arrow_of_the_papers(verdict):
    tested = verdict["is_paper_measure"] & verdict["level"].isin(LEVELS)
    assert (verdict["deciding"].notna() == tested).all()
    rows = verdict[tested]
    assert (rows["deciding"] <= rows["networks"]).all()
    assert ((rows["deciding"] > 0) == rows["decided_by"].notna()).all()
    # Four networks a condition: some verdict hangs on one.
    decided = rows[rows["deciding"] > 0]
    assert len(decided)
    for row in decided.to_dict("records"):
        line = re.fullmatch(
            r"(\w+) (\S+-[0-9a-f]{12}) seed (\d)( and its condition)?: (agrees|disagrees|undecided), "
            r"[+-]\d+% \[[+-]\d+%, [+-]\d+%\](, p = [\d.e-]+)?",
            row["decided_by"],
        )
        assert line, row["decided_by"]
        task, name, seed, _, words, _ = line.groups()
        assert row["task"] in (task, "pooled")
        found = [c for c in experiment_of(row["experiment"], TINY).conditions if c.name == name]
        assert [c.task_name for c in found] == [task]
        assert int(seed) in range(4)
        assert {"yes": "agrees", "no": "disagrees"}.get(row["agreement"], "undecided") != words
    # An experiment of one task: the pool is that task.
    alone = rows[rows["experiment"] == "auxiliary_loss"].groupby("level")
    assert (alone["deciding"].nunique() == 1).all()


def test_measures_of_metrics_that_were_not_analysed_are_not_in_the_verdict(paper, verdict, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    arguments = ("experiment=network_size", OVERRIDES, *SMALL, "probe.seed=1", "metric=[dsa]")
    run(place, "analysis.__main__", *arguments)
    run(place, "analysis.paper", *PAPER, "figures=[7]")
    found = pd.read_csv(place / "results" / "verdict.csv")
    # Matrices of the former probe lie there still.
    assert list(place.glob("results/network_size/matrices/svcca/*"))
    levels = found.groupby("experiment")["level"].unique()
    assert set(levels["network_size"]) == {"dynamics", "behaviour"}
    assert set(levels["auxiliary_loss"]) == set(verdict["level"])
    assert "not measured" in (place / "results" / "table-1.md").read_text()
