"""The page of cells states the numbers of its tables."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "cells.md").read_text()
SECTION = PAGE[PAGE.index("## Eight cells") : PAGE.index("## Parameterization and width")]
FLIP_FLOP, DELAYED = SECTION.split("| delayed discrimination |")
DEGENERACY = pd.read_csv(DOCS / "cells/degeneracy.csv").set_index(["label", "measure"])
NETWORKS = pd.read_csv(DOCS / "cells/networks.csv")
BETWEEN = pd.read_csv(DOCS / "cells/between.csv")
NUMBER = r"([\d.]+)"
CELL = rf"{NUMBER} \[{NUMBER}, {NUMBER}\]"
ROW = re.compile(rf"^\| `(\w+)` \| (\d) \| {CELL} \| {CELL} \| {CELL} \|$", re.MULTILINE)


@pytest.mark.parametrize(("text", "task", "n_cells"), [(FLIP_FLOP, "3bit", 8), (DELAYED, "1ch-delay20", 5)])
def test_rows_are_degeneracies_of_the_table(text, task, n_cells):
    rows = ROW.findall(text)
    assert len(rows) == n_cells
    for cell, converged, *numbers in rows:
        label = f"{task}-{cell}-n64-gamma1"
        assert (NETWORKS[NETWORKS["label"] == label]["status"] == "converged").sum() == int(converged)
        expected = [
            DEGENERACY.loc[(label, measure), name]
            for measure in ("dsa", "dsa_weighted", "pif")
            for name in ("value", "low", "high")
        ]
        for stated, value in zip(numbers, expected, strict=True):
            decimals = len(stated.partition(".")[2])
            assert float(stated) == pytest.approx(value, abs=0.51 * 10**-decimals)


@pytest.mark.parametrize(("measure", "least", "most"), [("dsa", 1.07, 3.5), ("dsa_weighted", 1.11, 3.4)])
def test_every_pair_of_cells_is_farther_than_its_networks(measure, least, most):
    pairs = BETWEEN[BETWEEN["measure"] == measure]
    assert len(pairs) == 28
    assert (pairs["q"] < 0.05).all()
    assert pairs["ratio"].min() == pytest.approx(least, abs=0.005)
    assert pairs["ratio"].max() == pytest.approx(most, abs=0.05)
    assert f"({least} to {most} times" in SECTION


@pytest.mark.parametrize(
    ("sentence", "task", "measure"),
    [
        (r"(?s)Within cells, flip-flop.*?\(DSA p = ([\d.]+),", "flip_flop", "DSA"),
        (r"weighted DSA p = ([\d.]+)\)", "flip_flop", "dsa_weighted"),
        (r"noisy networks \(DSA p = ([\d.]+)\)", "delayed_discrimination", "DSA"),
    ],
)
def test_p_values_are_of_the_joint_tests(sentence, task, measure):
    (stated,) = re.findall(sentence, SECTION)
    trends = pd.read_csv(DOCS / "cells/trends.csv").set_index(["task", "measure"])
    assert float(stated) == pytest.approx(trends.loc[(task, measure), "p"], rel=0.05)
