"""The page of full-size results states the numbers of its tables."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

FOLDER = Path(__file__).parents[3] / "docs/reproduction/full_size"
PAGE = (FOLDER / "README.md").read_text().replace("\N{MINUS SIGN}", "-")
TRENDS = pd.read_csv(FOLDER / "task_complexity/trends.csv")
ROWS = {
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


@pytest.mark.parametrize("title", ROWS)
def test_rows_of_the_page_are_rows_of_trends(title):
    number = r"([+-]\d+)"
    row = rf"^\| {re.escape(title)} \| {number} % \[{number}, {number}\] \| ([\d.]+) \|"
    (stated,) = re.findall(row, PAGE, re.MULTILINE)
    pooled = TRENDS[(TRENDS["task"] == "pooled") & (TRENDS["measure"] == ROWS[title])]
    (trend,) = pooled.to_dict("records")
    for text, name in zip(stated, ("effect", "low", "high"), strict=False):
        assert float(text) == pytest.approx(100 * trend[name], abs=0.51)
    assert float(stated[3]) == pytest.approx(trend["p"], rel=0.05)


def test_counts_and_losses_of_the_page_are_those_of_the_networks():
    networks = pd.read_csv(FOLDER / "task_complexity/networks.csv")
    ratios = networks["test_loss"] / networks["threshold"]
    assert f"{len(networks)} in total; all converged" in PAGE
    assert (networks["status"] == "converged").all()
    assert f"{ratios.mean():.2f} on average, {ratios.max():.2f} at most" in PAGE
