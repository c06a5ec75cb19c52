"""The pages of full-size results contain the tables of their results, and state their numbers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis.replication.factor_tables import page_tables
from degen.errors import BadInputError

FOLDER = Path(__file__).parents[3] / "docs/reproduction/full_size"
PAGES = {
    folder.name: "README.md" if folder.name == "task_complexity" else f"{folder.name}.md"
    for folder in FOLDER.iterdir()
    if folder.is_dir()
}
OVERVIEW = (FOLDER.parent / "README.md").read_text()


def read(page: str) -> str:
    return (FOLDER / page).read_text().replace("\N{MINUS SIGN}", "-")


def distance_ratio(folder: Path, network: pd.Series) -> pd.Series:
    """Return the mean distance of a network from the others of its condition, over that among the others."""
    distances = pd.read_csv(folder / "distances.csv")
    own = distances[distances["condition"] == network["condition"]]
    is_its = (own["seed"] == network["seed"]) | (own["other_seed"] == network["seed"])
    return own[is_its][["dsa", "pif"]].mean() / own[~is_its][["dsa", "pif"]].mean()


@pytest.mark.parametrize("experiment", PAGES)
def test_pages_contain_the_tables_of_their_results(experiment):
    page = (FOLDER / PAGES[experiment]).read_text()
    for table in page_tables(FOLDER / experiment):
        assert table in page


def test_tables_of_other_folders_are_rejected(tmp_path):
    with pytest.raises(BadInputError, match="folder must be named like an experiment of the paper, got"):
        page_tables(tmp_path)
    (tmp_path / "low_rank").mkdir()
    with pytest.raises(BadInputError, match=r"folder must be one with networks\.csv, got"):
        page_tables(tmp_path / "low_rank")


def test_counts_and_losses_of_the_page_are_those_of_the_networks():
    networks = pd.read_csv(FOLDER / "task_complexity/networks.csv")
    page, ratios = read("README.md"), networks["test_loss"] / networks["threshold"]
    assert f"{len(networks)} in total; all converged" in page
    assert (networks["status"] == "converged").all()
    assert f"{ratios.mean():.2f} on average, {ratios.max():.2f} at most" in page


def test_numbers_of_sine_waves_are_those_of_the_tables():
    page, folder = read("README.md"), FOLDER / "task_complexity"
    costs = pd.read_csv(folder / "convergence.csv")["CPU seconds per network"]
    assert f"| {costs[0]:.0f} CPU seconds per network with one channel, {costs[1]:.0f} with two |" in page
    stated = f"take {costs[0]:.0f} CPU seconds per network with one channel and {costs[1]:.0f} with two"
    assert stated in OVERVIEW
    trends = pd.read_csv(folder / "trends.csv").set_index(["task", "measure"])
    with_inputs = trends.loc[("sine_wave", "input_dsa"), "effect"]
    assert f"This distance falls by {-100 * with_inputs:.0f} %" in page
    assert with_inputs == trends[trends["level"] == "dynamics"]["effect"].min()
    for task, title in (("flip_flop", "N-bit flip-flop"), ("sine_wave", "sine wave")):
        effects = [trends.loc[(task, measure)] for measure in ("DSA", "dsa_weighted")]
        shown = [f"{row['effect']:+.0%} [{row['low']:+.0%}, {row['high']:+.0%}]" for row in effects]
        assert f"| {title} | {' | '.join(shown)} |" in page
    for measure, task in (("dsa_literal", "flip_flop"), ("input_dsa", "sine_wave")):
        assert trends.loc[(task, measure), "high"] < 0
    for measure, task in (("dsa_literal", "sine_wave"), ("input_dsa", "flip_flop")):
        assert trends.loc[(task, measure), "low"] > 0


def test_networks_that_were_trained_twice_are_equal():
    both = ("task_complexity", "auxiliary_loss")
    networks = [pd.read_csv(FOLDER / name / "networks.csv") for name in both]
    twice = networks[0].merge(networks[1], on=["condition", "seed"])
    assert len(twice) == 16
    assert (twice["epochs_x"] == twice["epochs_y"]).all()
    assert (twice["test_loss_x"] == twice["test_loss_y"]).all()
    distances = [pd.read_csv(FOLDER / name / "distances.csv") for name in both]
    pairs = distances[0].merge(distances[1], on=["condition", "seed", "other_seed"])
    assert len(pairs) == 120
    assert (pairs["pif_x"] == pairs["pif_y"]).all()


def test_the_late_network_is_as_far_as_the_page_states():
    networks = pd.read_csv(FOLDER / "auxiliary_loss/networks.csv")
    late = networks.loc[networks["epochs"].idxmax()]
    ratio = distance_ratio(FOLDER / "auxiliary_loss", late)
    stated = f"are {ratio['dsa']:.1f} times (DSA) and {ratio['pif']:.1f} times (PIF)"
    assert late["seed"] == 2
    assert stated in read("auxiliary_loss.md")


def test_numbers_of_the_l1_page_are_those_of_its_tables():
    page, folder = read("sparsity.md"), FOLDER / "sparsity"
    networks, costs = pd.read_csv(folder / "networks.csv"), pd.read_csv(folder / "convergence.csv")
    means = networks.groupby("factor_value")[["near_zero_fraction", "weight_norm"]].mean().iloc[[0, -1]]
    zeros, norms = (means[name].tolist() for name in means)
    assert f"rises from {zeros[0]:.1%} to {zeros[1]:.1%}".replace("%", " %") in page
    assert f"falls from {norms[0]:.1f} to {norms[1]:.1f}." in page
    seconds = costs["CPU seconds per network"].dropna()
    assert f"\n{seconds.min():.0f} to {seconds.max():.0f} CPU seconds per network" in page
    trends = pd.read_csv(folder / "trends.csv").set_index("measure")
    row = trends.loc["PIF / norms"]
    shown = [f"{-100 * row[name]:.1f}" for name in ("effect", "high", "low")]
    assert f"{shown[0]} % [{shown[1]}, {shown[2]}]" in page
    assert f"would have detected a change of {100 * trends.loc['DSA', 'detectable_change']:.0f} %." in page


def test_numbers_of_the_nuclear_norm_page_are_those_of_its_tables():
    page, folder = read("low_rank.md"), FOLDER / "low_rank"
    networks, costs = pd.read_csv(folder / "networks.csv"), pd.read_csv(folder / "convergence.csv")
    converged = networks[networks["status"] == "converged"]
    means = converged.groupby("factor_value")[["participation_ratio", "weight_norm"]].mean().iloc[[0, -1]]
    ratios, norms = (means[name].tolist() for name in means)
    assert f"falls from {ratios[0]:.1f} to {ratios[1]:.1f}," in page
    assert f"the weights from {norms[0]:.1f} to\n{norms[1]:.1f}." in page
    late = converged.loc[converged["epochs"].idxmax()]
    assert f"Seed {late['seed']} with 1e-6 converged late, after {late['epochs']} epochs" in page
    ratio = distance_ratio(folder, late)
    assert f"are {ratio['dsa']:.1f} times (DSA) and\n  {ratio['pif']:.1f} times (PIF)" in page
    (never,) = networks[networks["status"] == "unconverged"].itertuples()
    assert f"Seed {never.seed} with 2e-5 did not converge in {never.epochs} epochs." in page
    assert f"fell to {never.participation_ratio:.1f}." in page
    seconds = costs["CPU seconds per network"].sort_values()
    assert f"\n{seconds.iloc[0]:.0f} to {seconds.iloc[1]:.0f} CPU seconds per network" in page
    assert f"and {seconds.iloc[2]:.0f} to {seconds.iloc[-1]:.0f} on average" in page
    trends = pd.read_csv(folder / "trends.csv").set_index("measure")
    shown = [f"{-100 * trends.loc['PIF / norms', name]:.1f}" for name in ("effect", "high", "low")]
    assert f"{shown[0]} % [{shown[1]}, {shown[2]}]" in page
    assert f"would have detected a change of {100 * trends.loc['DSA', 'detectable_change']:.0f} %." in page


def test_numbers_of_the_memory_demand_page_are_those_of_its_tables():
    page, folder = read("memory_demand.md"), FOLDER / "memory_demand"
    networks, costs = pd.read_csv(folder / "networks.csv"), pd.read_csv(folder / "convergence.csv")
    late = networks.loc[networks["epochs"].idxmax()]
    assert f"Seed {late['seed']} with delays up to 30 converged after {late['epochs']} epochs" in page
    channels = pd.read_csv(FOLDER / "task_complexity/networks.csv")
    twice = channels.merge(networks, on=["condition", "seed"])
    assert not (twice["test_loss_x"] == twice["test_loss_y"]).any()
    equal = (twice["epochs_x"] == twice["epochs_y"]).sum()
    assert f"no test loss is equal, and {equal} of {len(twice)} networks have equal epochs." in page
    ratio = distance_ratio(folder, late)
    assert f"are {ratio['dsa']:.1f} times (DSA) and\n{ratio['pif']:.1f} times (PIF)" in page
    complete, training = costs[costs["missing"] == 0], costs[costs["missing"] > 0].iloc[0]
    assert f"{training['converged']} of these {networks['seed'].nunique()} networks had converged" in page
    seconds = " and ".join(f"{value:.0f}" for value in complete["CPU seconds per network"])
    assert f"\n{seconds} CPU seconds per network" in page
    trends = pd.read_csv(folder / "trends.csv").set_index("measure")
    assert f"would have detected a change of {100 * trends.loc['DSA', 'detectable_change']:.0f} %." in page


@pytest.mark.parametrize("penalty", ["sparsity", "low_rank"])
def test_networks_without_a_penalty_are_those_of_the_channels(penalty):
    tables = [pd.read_csv(FOLDER / name / "networks.csv") for name in ("task_complexity", penalty)]
    twice = tables[0].merge(tables[1], on=["condition", "seed"])
    assert len(twice) == 16
    assert (twice["epochs_x"] == twice["epochs_y"]).all()
    assert (twice["test_loss_x"] == twice["test_loss_y"]).all()
