"""The table of clusters, the column `solution`, and flow graphs of trained networks."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import degen
from analysis.cache import write_table
from analysis.results import ResultsFolder
from analysis.steps import solutions
from analysis.steps.flow_graphs import compute_flow_graphs
from analysis.steps.solutions import SolutionSettings, compute_solutions
from analysis.trials import TrialSet
from degen.errors import BadInputError
from tests.analysis.conftest import run_folders, signatures, table
from tests.analysis.planted import plant, planted_experiment
from tests.statistics.planted_solutions import euclidean

SETTINGS = SolutionSettings(significance=0.05, min_size=3, n_samples=199, seed=0, flow_graphs=False)
PROBE = TrialSet(n_trials=8, seed=0)
MIXED = [0] * 5 + [1] * 7
"""Planted cluster of each network."""


def planted(folder: Path) -> ResultsFolder:
    """Plant two clusters by DSA and by PIF in the first condition, and one in the second."""
    generator = np.random.default_rng(0)
    points = generator.standard_normal((12, 4))
    mixed = euclidean(points + 9 * np.array(MIXED)[:, None] * np.eye(4)[0])
    matrices = {
        "dsa": [(mixed, None), (euclidean(points), None)],
        "pif": [(mixed, None), None],
        "pif_initial": [(mixed, None), None],
    }
    results = plant(folder, [np.ones(12)] * 2, matrices, unconverged=[1])
    write_table(results.networks, pd.read_parquet(results.networks), "networks")
    return results


def compute(results: ResultsFolder, *metrics: str, settings: SolutionSettings = SETTINGS) -> pd.DataFrame:
    experiment = planted_experiment()
    experiment = dataclasses.replace(experiment, baseline=[], swept=experiment.conditions[:2])
    networks = pd.read_parquet(results.networks)
    sources = results.path, results, networks, metrics
    return compute_solutions(experiment, *sources, settings, PROBE, "converged")


def test_planted_clusters_are_in_the_table(tmp_path):
    result = compute(planted(tmp_path), "dsa", "pif", "pif_initial")
    first, second = (c.signature for c in planted_experiment().conditions[:2])
    keys = ["condition", "metric", "clusters", "sizes", "is_primary"]
    assert result[keys].to_numpy().tolist() == [
        [first, "dsa", 2, "7 5", True],
        [first, "pif", 2, "7 5", False],
        [second, "dsa", 1, "12", True],
    ]
    assert result["labels"].iloc[0] == " ".join(str(2 - kind) for kind in MIXED)
    assert (result["p"] <= 0.05).tolist() == [True, True, False]
    assert result["stability"].isna().tolist() == [False, False, True]
    assert result["attractor_agreement"].isna().all()
    assert pd.read_csv(tmp_path / "solutions.csv").shape == result.shape


def test_solution_is_a_column_of_the_networks(tmp_path):
    results = planted(tmp_path)
    compute(results, "dsa", "pif")
    networks = pd.read_parquet(results.networks)
    assert networks.attrs["fingerprint"] == "networks"
    expected = [2 - kind for kind in MIXED] + [pd.NA] + [1] * 12
    assert networks["solution"].tolist() == expected
    # An analysis without dynamics removes the column, because its settings do not give it.
    compute(results, "pif")
    assert "solution" not in pd.read_parquet(results.networks)


def test_weighted_dsa_is_primary_without_dsa(tmp_path):
    results = planted(tmp_path)
    (results.path / "matrices" / "dsa").rename(results.path / "matrices" / "dsa_weighted")
    result = compute(results, "dsa_weighted", "pif")
    assert result.loc[result["is_primary"], "metric"].unique().tolist() == ["dsa_weighted"]


def test_finished_work_is_skipped(tmp_path, monkeypatch):
    results = planted(tmp_path)
    first = compute(results, "dsa")
    monkeypatch.delattr(solutions, "find_clusters")
    pd.testing.assert_frame_equal(compute(results, "dsa"), first)
    with pytest.raises(NameError):
        compute(results, "dsa", settings=dataclasses.replace(SETTINGS, seed=1))


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"significance": 2}, "solutions.significance must be a finite number above 0 and at most 1"),
        ({"min_size": 1}, "solutions.min_size must be an integer of at least 2, got 1"),
        ({"flow_graphs": "yes"}, "solutions.flow_graphs must be true or false, got 'yes'"),
    ],
)
def test_settings_out_of_range_are_rejected(option, sentence):
    with pytest.raises(BadInputError, match=sentence):
        dataclasses.replace(SETTINGS, **option)


def test_analysis_stores_draws_and_reports_clusters(analyzed):
    result = table(analyzed, "solutions")
    assert set(result["metric"]) == {"dsa", "dsa_weighted", "pif", "pif_signed", "svcca"}
    assert set(result["condition"]) == set(signatures(analyzed))
    assert (result["networks"] == 6).all()
    networks = table(analyzed, "networks")
    assert (networks["solution"].notna() == (networks["status"] == "converged")).all()
    folder = analyzed / "results" / "tiny"
    assert (folder / "figures" / "solutions.png").exists()
    report = (folder / "report.html").read_text()
    assert "How many solutions?" in report
    assert "Clusters of networks" in report
    settings = json.loads((folder / "manifest.json").read_text())["settings"]
    assert settings["solutions"]["flow_graphs"] is False


def test_flow_graphs_of_trained_networks_are_stored_once(analyzed, tmp_path):
    condition = degen.load(run_folders(analyzed)[0]).condition
    experiment = dataclasses.replace(planted_experiment(), factor=["task.channels"], baseline=[])
    experiment = dataclasses.replace(experiment, swept=[condition])
    networks = table(analyzed, "networks")
    networks = networks[(networks["condition"] == condition.signature) & (networks["seed"] < 2)]
    results = ResultsFolder(tmp_path)
    sources = experiment, analyzed / "runs", results, networks, PROBE, "converged"
    graphs = compute_flow_graphs(*sources)
    assert graphs["seed"].tolist() == [0, 1]
    for row in graphs.to_dict("records"):
        graph = nx.node_link_graph(json.loads(row["graph"]), edges="edges")
        assert row["nodes"].startswith(row["attractors"])
        assert sum(inflow for _, inflow in graph.nodes(data="inflow")) == pytest.approx(1)
    time = results.condition_flow_graphs(condition.signature).stat().st_mtime_ns
    pd.testing.assert_frame_equal(compute_flow_graphs(*sources), graphs)
    assert results.condition_flow_graphs(condition.signature).stat().st_mtime_ns == time


def test_agreement_compares_clusters_with_graphs(tmp_path):
    results, (first, second, *_) = planted(tmp_path), planted_experiment().conditions
    types = {"attractors": ["1 cycle" if kind else "2 stable" for kind in MIXED], "graph_type": "equal"}
    graphs = pd.DataFrame({"condition": first.signature, "seed": range(12), **types})
    row = solutions._measure(results.matrix("dsa", first.signature), first, SETTINGS, graphs)
    assert row["attractor_agreement"] == pytest.approx(1)
    assert row["graph_agreement"] == pytest.approx(0)
    # There is nothing to agree with one cluster.
    columns = solutions._measure(results.matrix("dsa", second.signature), second, SETTINGS, graphs)
    assert math.isnan(columns["attractor_agreement"])
