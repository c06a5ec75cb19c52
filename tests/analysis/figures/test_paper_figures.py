"""Numbered figures, for tiny networks of real experiments."""

from __future__ import annotations

import re
import shutil

import matplotlib.image
import numpy as np

from analysis.experiment_results import ExperimentResults
from analysis.figures.captions import caption
from analysis.figures.embedding import plot_embeddings
from analysis.figures.measures import measure_caption, plot_measures
from analysis.figures.networks import plot_networks
from analysis.figures.paper import FIGURES, NUMBERS
from analysis.labels import format_factor
from analysis.results import ResultsFolder
from tests.analysis.conftest import OVERRIDES, PAPER, SMALL, TINY, run
from tests.composed import experiment_of


def test_figures_are_drawn_or_named_with_the_reason(paper):
    printed = (paper / "printed").read_text()
    drawn = {path.stem for path in (paper / "results" / "figures").glob("*.pdf")}
    for figure in FIGURES:
        if figure.stem not in drawn:
            assert f"not drawn: {figure.stem}: no results of " in printed
    assert {
        "figure-04-memory-demand-and-auxiliary-loss",
        "figure-04-auxiliary-loss-attractors",
        "figure-07-network-size",
        "figure-10-representation-network-size",
        "figure-13-behavior-network-size",
        "figure-20-kernel-alignment-by-width-flip-flop",
        "figure-21-kernel-alignment-by-width-delayed-discrimination",
        "figure-22-kernel-alignment-by-width-sine-wave",
        "figure-23-kernel-alignment-by-width-path-integration",
    } == drawn
    for stem in drawn - {stem for stem in drawn if "kernel-alignment" in stem}:
        png = paper / "results" / "figures" / f"{stem}.png"
        assert matplotlib.image.imread(png)[..., :3].std() > 0.02


def test_every_network_is_in_its_panel(paper):
    result = ExperimentResults(
        experiment_of("network_size", TINY), ResultsFolder(paper / "results" / "network_size")
    )
    for task in result.tasks:
        left, right = plot_networks(["kernel_alignment", "weight_change"], result, task).axes[:2]
        values = np.concatenate([line.get_ydata() for line in left.lines])
        networks = result.networks[result.networks["task"] == task]
        assert np.nanmax(values) == networks["kernel_alignment"].max()
        assert np.isfinite(values).sum() == len(networks)
        for axis in (left, right):
            assert axis.get_ylim()[1] > np.nanmax(values)
            assert axis.get_ylim()[0] <= np.nanmin(values)


def test_captions_count_networks_and_name_missing_conditions(paper):
    result = ExperimentResults(
        experiment_of("network_size", TINY), ResultsFolder(paper / "results" / "network_size")
    )
    counts = result.counts.copy()
    counts.loc[0, ["converged", "unconverged"]] = 1, 5
    result.__dict__["counts"] = counts
    words = "\n".join(caption(result).full)
    # Intervals of mean distances are t intervals, not those of a bootstrap.
    assert "bands or bars: 95% intervals over networks" in measure_caption(["dsa"], result).full
    numbers = [int(number) for number in re.findall(r"([0-9]+) (?:in total|unconverged|the only)", words)]
    assert len(numbers) == 3
    assert sum(numbers) == 12 * 6
    assert "1 the only converged network of its condition" in words
    assert "not drawn (fewer than two converged networks): N-bit flip-flop 6\n" in words
    assert caption(result).shown == (
        "5 to 6 networks per condition, 1 left out; 1 of 12 conditions left out",
        "reduced scale, with changes",
    )


def test_dynamics_have_the_unit_of_their_score(paper, tmp_path):
    workspace = shutil.copytree(paper, tmp_path / "place")
    experiment = experiment_of("auxiliary_loss", TINY)

    def result() -> ExperimentResults:
        return ExperimentResults(experiment, ResultsFolder(workspace / "results" / "auxiliary_loss"))

    label = "dynamical degeneracy\nDSA distance (rad)"
    assert plot_measures(["dsa"], result()).axes[0].get_ylabel() == label
    assert plot_embeddings(result()).get_suptitle().startswith("DSA distance (rad) by")
    other = ("metric=[dsa]", "metrics.dsa.score=frobenius")
    run(workspace, "analysis.__main__", "experiment=auxiliary_loss", OVERRIDES, *SMALL, *other)
    assert "\nDSA distance (frobenius)" in plot_measures(["dsa"], result()).axes[0].get_ylabel()


def test_small_factor_values_are_short_and_not_zero():
    written = {
        0: "0",
        0.0001: "1e-4",
        0.00055: "5.5e-4",
        0.003: "3e-3",
        0.01: "0.01",
        128: "128",
        0.25: "0.25",
    }
    assert {value: format_factor(value) for value in written} == written
    assert [format_factor(value) for value in (True, False, "small")] == ["with", "without", "small"]


def test_figures_have_the_numbers_of_the_paper():
    # Fig. 1 is schematic, and `analysis.diagnostics.memory_demand` draws Fig. 9.
    assert [*range(2, 9), *range(10, 30)] == NUMBERS


def test_a_single_figure_can_be_drawn(paper, tmp_path):
    workspace = shutil.copytree(paper, tmp_path / "place")
    shutil.rmtree(workspace / "results" / "figures")
    before = (workspace / "results" / "report.html").stat().st_mtime_ns
    run(workspace, "analysis.paper", *PAPER, "figures=[7]", "report=false")
    assert {path.name for path in (workspace / "results" / "figures").iterdir()} == {
        "figure-07-network-size.pdf",
        "figure-07-network-size.png",
        "figure-07-network-size.txt",
    }
    assert (workspace / "results" / "report.html").stat().st_mtime_ns == before


def test_incomplete_and_missing_figures_are_named(paper, tmp_path):
    workspace = shutil.copytree(paper, tmp_path / "place")
    shutil.rmtree(workspace / "results" / "auxiliary_loss")
    printed = run(workspace, "analysis.paper", *PAPER, "figures=[4]", "report=false").stdout
    assert "not drawn: figure-04-memory-demand-and-auxiliary-loss: no results of" in printed
    run(workspace, "analysis.__main__", "experiment=memory_demand", OVERRIDES, *SMALL, "metric=[dsa,pif]")
    of = PAPER[0].replace("auxiliary_loss", "memory_demand,auxiliary_loss")
    printed = run(workspace, "analysis.paper", of, *PAPER[1:], "figures=[4]", "report=false").stdout
    assert (
        "drawn in part: figure-04-memory-demand-and-auxiliary-loss: no results of auxiliary_loss" in printed
    )
