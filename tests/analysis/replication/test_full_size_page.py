"""The pages of full-size results state the numbers of their tables."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

FOLDER = Path(__file__).parents[3] / "docs/reproduction/full_size"
TASK_COMPLEXITY = {
    "components of 90 % of the variance": "dsa_variance_90",
    "least k": "dsa_least_k",
    "literal: the paper's wording, 12 seeds": "dsa_literal",
    "rank 10": "dsa_rank_10",
    "lag 1": "dsa_lag_1",
    "inputs apart": "input_dsa",
    "**DSA (primary)**": "DSA",
    "**weighted (second headline)**": "dsa_weighted",
    "flow, weighted": "dsa_flow",
    "weighted, inputs apart": "input_dsa_weighted",
    "weights | PIF": "PIF",
    "weights | PIF with signs": "PIF signed",
    "behavior | SD of the OOD loss": "sigma OOD",
    "behavior | SD of the log OOD loss": "sigma log OOD",
}
NOT_COMPUTED = ("literal: the paper's wording, 12 seeds", "inputs apart", "weighted, inputs apart")
AUXILIARY_LOSS = {title: name for title, name in TASK_COMPLEXITY.items() if title not in NOT_COMPUTED}
ROWS = [("README.md", "task_complexity", *row) for row in TASK_COMPLEXITY.items()]
ROWS += [("auxiliary_loss.md", "auxiliary_loss", *row) for row in AUXILIARY_LOSS.items()]


def read(page: str) -> str:
    return (FOLDER / page).read_text().replace("\N{MINUS SIGN}", "-")


@pytest.mark.parametrize(("page", "experiment", "title", "measure"), ROWS)
def test_rows_of_the_page_are_rows_of_trends(page, experiment, title, measure):
    number = r"([+-]\d+)"
    row = rf"^\| {re.escape(title)} \| {number} % \[{number}, {number}\] \| ([\d.]+) \|"
    (stated,) = re.findall(row, read(page), re.MULTILINE)
    trends = pd.read_csv(FOLDER / experiment / "trends.csv")
    tasks = set(trends["task"])
    task = "pooled" if "pooled" in tasks else tasks.pop()
    (trend,) = trends[(trends["task"] == task) & (trends["measure"] == measure)].to_dict("records")
    for text, name in zip(stated, ("effect", "low", "high"), strict=False):
        assert float(text) == pytest.approx(100 * trend[name], abs=0.51)
    assert float(stated[3]) == pytest.approx(trend["p"], rel=0.05)


def test_counts_and_losses_of_the_page_are_those_of_the_networks():
    networks = pd.read_csv(FOLDER / "task_complexity/networks.csv")
    page, ratios = read("README.md"), networks["test_loss"] / networks["threshold"]
    assert f"{len(networks)} in total; all converged" in page
    assert (networks["status"] == "converged").all()
    assert f"{ratios.mean():.2f} on average, {ratios.max():.2f} at most" in page


def test_losses_with_and_without_the_auxiliary_loss():
    networks = pd.read_csv(FOLDER / "auxiliary_loss/networks.csv")
    assert (networks["status"] == "converged").all()
    ratios = (networks["test_loss"] / networks["threshold"]).groupby(networks["label"])
    (with_it, without) = [f"{of.mean():.2f} ({of.max():.2f})" for _, of in ratios]  # by label
    assert f"| {without} | {with_it} |" in read("auxiliary_loss.md")
    assert ratios.size().tolist() == [16, 16]


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


def test_changes_that_would_have_been_seen():
    trends = pd.read_csv(FOLDER / "auxiliary_loss/trends.csv").set_index("measure")
    for title, measure in AUXILIARY_LOSS.items():
        for stated in re.findall(
            rf"^\| {re.escape(title)} \|.*\| \+(\d+) % \|$", read("auxiliary_loss.md"), re.M
        ):
            assert float(stated) == pytest.approx(100 * trends.loc[measure, "detectable_change"], abs=0.51)


def test_the_late_network_is_as_far_as_the_page_states():
    distances = pd.read_csv(FOLDER / "auxiliary_loss/distances.csv")
    networks = pd.read_csv(FOLDER / "auxiliary_loss/networks.csv")
    late = networks.loc[networks["epochs"].idxmax()]
    own = distances[distances["condition"] == late["condition"]]
    is_far = (own["seed"] == late["seed"]) | (own["other_seed"] == late["seed"])
    ratio = own[is_far][["dsa", "pif"]].mean() / own[~is_far][["dsa", "pif"]].mean()
    stated = f"are {ratio['dsa']:.1f} times (DSA) and {ratio['pif']:.1f} times (PIF)"
    assert late["seed"] == 2
    assert stated in read("auxiliary_loss.md")
