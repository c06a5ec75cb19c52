"""Of tiny networks of real experiments: the numbered figures."""

from __future__ import annotations

import re
import shutil

import matplotlib.image
import numpy as np

from analysis.figures.data import Data, factor_words, note
from analysis.figures.panels import embeddings, levels, seeds
from analysis.figures.paper import FIGURES, NUMBERS
from analysis.results import Results
from tests.analysis.conftest import OVERRIDES, PAPER, SMALL, TINY, run
from tests.composed import experiment_of


def test_every_figure_of_the_experiments_is_drawn_and_the_others_are_named_with_the_reason(paper):
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
        "figure-13-behaviour-network-size",
        "figure-20-kernel-alignment-by-width-flip-flop",
        "figure-21-kernel-alignment-by-width-delayed-discrimination",
        "figure-22-kernel-alignment-by-width-sine-wave",
        "figure-23-kernel-alignment-by-width-path-integration",
    } == drawn
    for stem in drawn - {stem for stem in drawn if "kernel-alignment" in stem}:
        png = paper / "results" / "figures" / f"{stem}.png"
        assert matplotlib.image.imread(png)[..., :3].std() > 0.02


def test_every_network_is_in_the_panel_of_single_networks(paper):
    found = Data(experiment_of("network_size", TINY), Results(paper / "results" / "network_size"))
    for task in found.tasks:
        left, right = seeds(["kernel_alignment", "weight_change"], found, task).axes[:2]
        values = np.concatenate([line.get_ydata() for line in left.lines])
        networks = found.networks[found.networks["task"] == task]
        assert np.nanmax(values) == networks["kernel_alignment"].max()
        assert np.isfinite(values).sum() == len(networks)
        for axis in (left, right):
            assert axis.get_ylim()[1] > np.nanmax(values)
            assert axis.get_ylim()[0] <= np.nanmin(values)


def test_a_figure_counts_every_network_and_names_conditions_that_are_not_drawn(paper):
    found = Data(experiment_of("network_size", TINY), Results(paper / "results" / "network_size"))
    counts = found.counts.copy()
    counts.loc[0, ["converged", "unconverged"]] = 1, 3
    found.__dict__["counts"] = counts
    words = note(found)
    numbers = [int(number) for number in re.findall(r"([0-9]+) (?:in all|unconverged|alone)", words)]
    assert len(numbers) == 3
    assert sum(numbers) == 48
    assert "1 alone in a condition" in words
    assert "no two converged networks, and not drawn: N-bit flip-flop 6;" in words


def test_dynamics_are_in_the_unit_of_their_score(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    one = experiment_of("auxiliary_loss", TINY)

    def found() -> Data:
        return Data(one, Results(place / "results" / "auxiliary_loss"))

    assert levels(["dsa"], found()).axes[0].get_ylabel().startswith("dynamical degeneracy\nDSA (rad)\n")
    assert embeddings(found()).get_suptitle().startswith("DSA (rad) by")
    other = ("metric=[dsa]", "metrics.dsa.score=frobenius")
    run(place, "analysis.__main__", "experiment=auxiliary_loss", OVERRIDES, *SMALL, *other)
    assert "\nDSA (frobenius)\n" in levels(["dsa"], found()).axes[0].get_ylabel()


def test_small_values_of_a_factor_are_short_and_none_is_a_zero():
    written = {
        0: "0",
        0.0001: "1e-4",
        0.00055: "5.5e-4",
        0.003: "3e-3",
        0.01: "0.01",
        128: "128",
        0.25: "0.25",
    }
    assert {value: factor_words(value) for value in written} == written
    assert [factor_words(value) for value in (True, False, "small")] == ["with", "without", "small"]


def test_the_numbers_are_the_papers():
    # 1 and 2 are schematic; 9 is that of `analysis.memory_demand`.
    assert [*range(3, 9), *range(10, 30)] == NUMBERS


def test_one_figure_is_drawn_alone(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    shutil.rmtree(place / "results" / "figures")
    before = (place / "results" / "report.html").stat().st_mtime_ns
    run(place, "analysis.paper", *PAPER, "figures=[7]", "report=false")
    assert {path.name for path in (place / "results" / "figures").iterdir()} == {
        "figure-07-network-size.pdf",
        "figure-07-network-size.png",
    }
    assert (place / "results" / "report.html").stat().st_mtime_ns == before


def test_what_is_drawn_in_part_or_not_at_all_is_named(paper, tmp_path):
    place = shutil.copytree(paper, tmp_path / "place")
    shutil.rmtree(place / "results" / "auxiliary_loss")
    printed = run(place, "analysis.paper", *PAPER, "figures=[4]", "report=false").stdout
    assert "not drawn: figure-04-memory-demand-and-auxiliary-loss: no results of" in printed
    run(place, "analysis.__main__", "experiment=memory_demand", OVERRIDES, *SMALL)
    of = PAPER[0].replace("auxiliary_loss", "memory_demand,auxiliary_loss")
    printed = run(place, "analysis.paper", of, *PAPER[1:], "figures=[4]", "report=false").stdout
    assert (
        "drawn in part: figure-04-memory-demand-and-auxiliary-loss: no results of auxiliary_loss" in printed
    )
