"""Of tiny networks of real experiments: what `analysis.paper` takes, refuses and counts."""

from __future__ import annotations

import re
import shutil

import pandas as pd
import pytest

from analysis.results import Results
from degen.files import read_metadata
from tests.analysis.conftest import OVERRIDES, PAPER, SMALL, TINY, run
from tests.composed import experiment_of
from tests.conftest import Launched, refusal
from tests.in_process import compose_once, rejection, run_in_process

NO_FIGURE = ("figures=[3]",)
"""Of an experiment without results: nothing is drawn."""


@pytest.fixture(scope="module", autouse=True)
def composed_once():
    """Compose the experiments once."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        compose_once(monkeypatch, "analysis.paper")
        yield


def test_a_list_of_experiments_is_analysed_but_for_those_that_are_not_trained(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    conf = place / "settings" / "experiment"
    conf.mkdir(parents=True)
    listed = "[auxiliary_loss, low_rank]"
    (conf / "both.yaml").write_text(f"# @package _global_\nexperiment:\n  experiments: {listed}\n")
    arguments = ("--config-dir", "settings", "experiment=both", OVERRIDES, *SMALL)
    lines = run(place, "analysis.__main__", *arguments).stdout.splitlines()
    assert lines[:2] == [
        "left out: low_rank, no condition has two finished networks",
        "gather: 8 networks, 0 of them new",
    ]


@pytest.mark.parametrize(
    ("arguments", "field", "allowed"),
    [
        (["figures=[2]"], "figures", "all or a list of numbers among 3, 4"),
        (["figures=some"], "figures", "all or a list of numbers"),
        (["results=nowhere"], "results", "a folder with the results of an experiment"),
        (["permutations.n_permutations=3"], "permutations.n_permutations", "an integer of at least 19"),
        (["permutations.significance=5"], "permutations.significance", "finite number above 0"),
        (["experiments=[nothing]"], "experiment", "task_complexity"),
        (['overrides=["dtype=float64"]'], "overrides", "those that results/auxiliary_loss was made with, ["),
        (["overrides=[]"], "overrides", "those that results/auxiliary_loss was made with, ["),
    ],
)
def test_bad_input_is_rejected_in_one_sentence(paper, arguments, field, allowed):
    sentence = rejection(paper, "analysis.paper", *PAPER, *arguments)
    assert sentence.startswith(f"{field} must be ")
    assert allowed in sentence


def test_the_process_ends_with_code_2_and_one_sentence(paper):
    arguments = (*PAPER, "results=nowhere")
    before = sorted(paper.rglob("*"))
    sentence = refusal(Launched(arguments, paper, module="analysis.paper"))
    assert sentence == rejection(paper, "analysis.paper", *arguments)
    assert sorted(paper.rglob("*")) == before


def test_figures_and_table_are_of_a_finished_analysis_alone(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    before = (place / "results" / "verdict.csv").read_bytes()
    analysis = Launched(
        ("experiment=network_size", OVERRIDES, *SMALL, "ood.seed=1"), place, module="analysis.__main__"
    )
    analysis.wait_for("gather: ")
    analysis.kill()
    analysis.wait()
    sentence = rejection(place, "analysis.paper", *PAPER)
    assert sentence.startswith("results must be of an analysis that went to its end")
    assert (place / "results" / "verdict.csv").read_bytes() == before


def test_matrices_of_two_analyses_are_not_drawn_and_made_up_for(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    before = (place / "results" / "verdict.csv").read_bytes()
    settings = ("experiment=network_size", OVERRIDES, *SMALL)
    # Networks and losses stay the same; the analysis stops at the second condition.
    results = Results(place / "results" / "network_size")
    signatures = [condition.signature for condition in experiment_of("network_size", TINY).conditions]
    second = results.activations(signatures[1])
    content = second.read_bytes()
    second.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    other = Launched((*settings, "metrics.dsa.score=frobenius"), place, module="analysis.__main__")
    assert other.wait() == 2
    scores = [read_metadata(results.matrix("dsa", one))["metric"]["score"] for one in signatures]
    assert scores == ["frobenius"] + ["angular"] * (len(signatures) - 1)
    sentence = rejection(place, "analysis.paper", *PAPER)
    assert sentence.startswith("results must be of an analysis that went to its end")
    second.unlink()
    run(place, "analysis.__main__", *settings)
    run(place, "analysis.paper", *PAPER, *NO_FIGURE)
    assert (place / "results" / "verdict.csv").read_bytes() == before


def test_tables_of_other_numbers_of_networks_are_refused_whatever_they_say_they_are_of(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    path = place / "results" / "network_size" / "networks.parquet"
    pd.read_parquet(path).iloc[1:].to_parquet(path)
    sentence = rejection(place, "analysis.paper", *PAPER)
    assert sentence.startswith("results must be of an analysis that went to its end")


def test_results_of_an_experiment_that_was_changed_since_are_refused(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    path = place / "results" / "network_size" / "networks.parquet"
    table = pd.read_parquet(path)
    table.assign(condition=table["condition"].replace(table["condition"].iloc[0], "0123456789ab")).to_parquet(
        path
    )
    sentence = rejection(place, "analysis.paper", *PAPER)
    assert sentence.startswith("results must be of the experiment as it is now: python -m analysis again")


def test_a_condition_of_two_experiments_is_counted_where_it_was_gathered(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    shutil.rmtree(place / "results" / "auxiliary_loss")
    more = (PAPER[0].replace("auxiliary_loss", "task_complexity,memory_demand"), *PAPER[1:], *NO_FIGURE)
    run(place, "analysis.__main__", "experiment=memory_demand", OVERRIDES, *SMALL)
    run(place, "analysis.paper", *more)
    counted = re.search(
        r"counted once: (\d+) converged, (\d+) unconverged, \d+ diverged, (\d+) missing",
        (place / "results" / "report.html").read_text(),
    )
    assert counted
    conditions = {
        c.signature
        for name in ("task_complexity", "memory_demand", "network_size")
        for c in experiment_of(name, TINY).conditions
    }
    # The base is of two of them, and was trained for the auxiliary loss.
    assert [int(number) for number in counted.groups()] == [47 + 4, 1, 4 * len(conditions) - 52]


def test_a_matrix_that_is_not_of_the_networks_in_the_table_is_refused(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    next(place.glob("results/network_size/matrices/pif/*")).unlink()
    ended = run_in_process(place, "analysis.paper", *PAPER, *NO_FIGURE)
    assert ended.code == 2
    assert re.search(
        r"error: results/network_size/matrices/pif/\w+.safetensors must be of seeds", ended.stderr
    )


def test_trajectories_are_those_of_a_network_with_its_fixed_and_slow_points(paper):
    table = pd.read_parquet(paper / "results" / "auxiliary_loss" / "trajectories.parquet")
    for _, rows in table.groupby("condition"):
        trials = rows[rows["kind"] == "trial"]
        assert len(trials) == 8 * 60
        assert set(trials["value"].round(6)) <= {-1.0, 1.0}
        # A network with small weights rests somewhere without input.
        for kind, fastest in (("slow", 1e-4), ("fixed", 1e-10)):
            assert len(rows[rows["kind"] == kind]) >= 1
            assert (rows.loc[rows["kind"] == kind, "q"] <= fastest).all()


def test_every_converged_network_has_a_row_of_line_measures_for_both_periods(paper):
    table = pd.read_csv(paper / "results" / "auxiliary_loss" / "line_attractors.csv")
    assert table.groupby(["factor", "period"])["seed"].apply(list).tolist() == [[0, 1, 2, 3]] * 4
    # Hardly trained, they forget.
    assert not table["is_line"].any()


def test_the_pilot_has_a_row_for_every_condition_with_its_counts(paper):
    table = pd.read_csv(paper / "results" / "pilot.csv")
    assert table["experiment"].value_counts().to_dict() == {"network_size": 12, "auxiliary_loss": 2}
    assert (table[["converged", "unconverged", "diverged", "missing"]].sum(axis=1) == 4).all()
    assert table["unconverged"].sum() == 1
    assert (table["epochs_to_threshold"] == 1).all()
