"""`analysis.paper` on tiny networks of real experiments: accepted and rejected input, and counts."""

from __future__ import annotations

import re
import shutil

import pandas as pd
import pytest

from analysis.results import ResultsFolder
from degen.files import read_metadata
from tests.analysis.conftest import OVERRIDES, PAPER, SMALL, TINY, run
from tests.analysis.drawing import draw_nothing
from tests.composed import experiment_of
from tests.conftest import Launched, refusal
from tests.in_process import compose_once, rejection

NO_FIGURE = ("figures=[3]",)
"""Of an experiment without results: nothing is drawn."""


@pytest.fixture(scope="module", autouse=True)
def composed_once():
    """Compose the experiments once."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        compose_once(monkeypatch, "analysis.paper")
        yield


def test_untrained_experiments_of_a_list_are_left_out(paper, tmp_path):
    workspace = shutil.copytree(paper, tmp_path / "place")
    conf = workspace / "settings" / "experiment"
    conf.mkdir(parents=True)
    listed = "[auxiliary_loss, low_rank]"
    (conf / "both.yaml").write_text(f"# @package _global_\nexperiment:\n  experiments: {listed}\n")
    arguments = ("--config-dir", "settings", "experiment=both", OVERRIDES, *SMALL)
    lines = run(workspace, "analysis.__main__", *arguments).stdout.splitlines()
    assert lines[:2] == [
        "left out: low_rank, no condition has two finished networks",
        "networks: 12, 0 of them new",
    ]


@pytest.mark.parametrize(
    ("arguments", "field", "allowed"),
    [
        (["figures=[1]"], "figures", "all or a list of numbers among 2, 3, 4"),
        (["figures=some"], "figures", "all or a list of numbers"),
        (["results=nowhere"], "results", "a folder with the results of an experiment"),
        (["experiments=[nothing]"], "experiment", "task_complexity"),
        (
            ['overrides=["dtype=float64"]'],
            "overrides",
            "those that results/auxiliary_loss was analyzed with, [",
        ),
        (["overrides=[]"], "overrides", "those that results/auxiliary_loss was analyzed with, ["),
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


def test_results_of_a_killed_analysis_are_rejected(paper, tmp_path):
    workspace = shutil.copytree(paper, tmp_path / "place")
    before = (workspace / "results" / "table-1.csv").read_bytes()
    analysis = Launched(
        ("experiment=network_size", OVERRIDES, *SMALL, "ood.seed=1"), workspace, module="analysis.__main__"
    )
    analysis.wait_for("networks: ")
    analysis.kill()
    analysis.wait()
    sentence = rejection(workspace, "analysis.paper", *PAPER)
    assert sentence.startswith("results must be a folder whose analysis has finished")
    assert (workspace / "results" / "table-1.csv").read_bytes() == before


def test_matrices_of_two_analyses_are_rejected(paper, tmp_path):
    workspace = shutil.copytree(paper, tmp_path / "place")
    before = (workspace / "results" / "table-1.csv").read_bytes()
    settings = ("experiment=auxiliary_loss", OVERRIDES, *SMALL)
    # Networks and losses are unchanged. The first condition cannot be measured.
    results = ResultsFolder(workspace / "results" / "auxiliary_loss")
    signatures = [condition.signature for condition in experiment_of("auxiliary_loss", TINY).conditions]
    first = results.activations(signatures[0])
    content = first.read_bytes()
    first.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    arguments = (*settings, "metrics.dsa.score=frobenius")
    other = Launched(arguments, workspace, before=draw_nothing, module="analysis.__main__")
    assert other.wait() == 2, other.stderr
    measured = [signature for signature in signatures if results.matrix("dsa", signature).exists()]
    assert measured == signatures[1:]
    scores = {read_metadata(results.matrix("dsa", signature))["metric"]["score"] for signature in measured}
    assert scores == {"frobenius"}
    sentence = rejection(workspace, "analysis.paper", *PAPER)
    assert sentence.startswith("results must be a folder whose analysis has finished")
    first.unlink()
    run(workspace, "analysis.__main__", *settings)
    run(workspace, "analysis.paper", *PAPER, *NO_FIGURE)
    assert (workspace / "results" / "table-1.csv").read_bytes() == before


def test_a_changed_table_is_rejected(paper, tmp_path):
    workspace = shutil.copytree(paper, tmp_path / "place")
    path = workspace / "results" / "network_size" / "networks.parquet"
    pd.read_parquet(path).iloc[1:].to_parquet(path)
    sentence = rejection(workspace, "analysis.paper", *PAPER)
    assert sentence.startswith("results must be a folder whose analysis has finished")


def test_results_of_other_conditions_are_rejected(paper, tmp_path):
    workspace = shutil.copytree(paper, tmp_path / "place")
    path = workspace / "results" / "network_size" / "manifest.json"
    signature = experiment_of("network_size", TINY).conditions[0].signature
    path.write_text(path.read_text().replace(signature, "0123456789ab"))
    sentence = rejection(workspace, "analysis.paper", *PAPER)
    assert sentence.startswith("results must be of the experiment as it is now (rerun degen analyze ")


def test_a_condition_of_two_experiments_is_counted_once(paper, tmp_path):
    workspace = shutil.copytree(paper, tmp_path / "place")
    shutil.rmtree(workspace / "results" / "auxiliary_loss")
    more = (PAPER[0].replace("auxiliary_loss", "task_complexity,memory_demand"), *PAPER[1:], *NO_FIGURE)
    run(workspace, "analysis.__main__", "experiment=memory_demand", OVERRIDES, *SMALL, "metric=[dsa]")
    run(workspace, "analysis.paper", *more)
    counted = re.search(
        r"counted once: (\d+) converged, (\d+) unconverged, \d+ diverged, (\d+) missing",
        (workspace / "results" / "report.html").read_text(),
    )
    assert counted
    conditions = {
        c.signature
        for name in ("task_complexity", "memory_demand", "network_size")
        for c in experiment_of(name, TINY).conditions
    }
    # The base is of two of them, and was trained for the auxiliary loss.
    assert [int(number) for number in counted.groups()] == [71 + 6, 1, 6 * len(conditions) - 78]


def test_a_changed_matrix_is_rejected(paper, tmp_path):
    workspace = shutil.copytree(paper, tmp_path / "place")
    first, second, *_ = sorted(workspace.glob("results/network_size/matrices/pif/*.safetensors"))
    shutil.copy(first, second)
    sentence = rejection(workspace, "analysis.paper", *PAPER, *NO_FIGURE)
    assert sentence.startswith("results must be a folder whose analysis has finished")
    assert f"matrices/pif/{second.name}" in sentence


def test_results_without_a_manifest_are_rejected(paper, tmp_path):
    workspace = shutil.copytree(paper, tmp_path / "place")
    (workspace / "results" / "network_size" / "manifest.json").unlink()
    sentence = rejection(workspace, "analysis.paper", *PAPER, *NO_FIGURE)
    allowed = "a folder whose analysis has finished (rerun degen analyze experiment=network_size)"
    assert sentence == f"results must be {allowed}, got 'results/network_size'."


def test_trajectories_contain_fixed_and_slow_points(paper):
    table = pd.read_parquet(paper / "results" / "auxiliary_loss" / "trajectories.parquet")
    for _, rows in table.groupby("condition"):
        trials = rows[rows["kind"] == "trial"]
        assert len(trials) == 8 * 60
        assert set(trials["value"].round(6)) <= {-1.0, 1.0}
        # A network with small weights rests somewhere without input.
        for kind, fastest in (("slow", 1e-4), ("fixed", 1e-10)):
            assert len(rows[rows["kind"] == kind]) >= 1
            assert (rows.loc[rows["kind"] == kind, "q"] <= fastest).all()


def test_line_measures_have_a_row_per_network_and_period(paper):
    table = pd.read_csv(paper / "results" / "auxiliary_loss" / "line_attractors.csv")
    assert table.groupby(["factor_value", "period"])["seed"].apply(list).tolist() == [[0, 1, 2, 3, 4, 5]] * 4
    # Hardly trained, they forget.
    assert not table["is_line"].any()


def test_the_manipulation_check_has_a_row_for_every_condition(paper):
    table = pd.read_csv(paper / "results" / "manipulation_check.csv")
    assert table["experiment"].value_counts().to_dict() == {"network_size": 12, "auxiliary_loss": 2}
    assert (table[["converged", "unconverged", "diverged", "missing"]].sum(axis=1) == 6).all()
    assert table["unconverged"].sum() == 1
    assert (table["epochs_to_threshold"] == 1).all()
