"""Table 1 of the reproduction's overview states the numbers of the stored tables."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

FOLDER = Path(__file__).parents[3] / "docs/reproduction"
PAGE = (FOLDER / "README.md").read_text().replace("\N{MINUS SIGN}", "-")
EXPERIMENTS = {
    "channels": "task_complexity",
    "memory demand": "memory_demand",
    "auxiliary loss": "auxiliary_loss",
    "feature learning, gamma": "feature_learning",
    "network size": "network_size",
    "nuclear norm": "low_rank",
    "L1": "sparsity",
}
ARROWS = {"falls": "↓", "lower": "↓", "rises": "↑", "higher": "↑"}
CELL = re.compile(r"([↓↑]): \**([a-z ]+?)\**, ([+-]\d+) %")


def main_rows(experiment: str, size: str) -> pd.DataFrame:
    """Return the row of each level: effect, outcome and the paper's direction where there is one."""
    if size == "full":
        table = pd.read_csv(FOLDER / "full_size" / experiment / "trends.csv")
        table["is_paper_measure"] = table["measure"].isin(["DSA", "PIF", "sigma OOD"])
    else:
        table = pd.read_csv(FOLDER / "reduced/table-1.csv")
        table = table[table["experiment"] == experiment]
    # The table of a single task may have no pooled rows.
    tasks = set(table["task"])
    task = "pooled" if "pooled" in tasks else tasks.pop()
    return table[table["is_paper_measure"] & (table["task"] == task)].set_index("level")


@pytest.mark.parametrize("factor", EXPERIMENTS)
def test_cells_of_table_one_are_rows_of_the_tables(factor):
    row = rf"^\| {re.escape(factor)} \| (\w+)[^|]* \| [^|]*?(\d+) \| (.*) \|$"
    ((size, networks, cells),) = re.findall(row, PAGE, re.MULTILINE)
    rows = main_rows(EXPERIMENTS[factor], size)
    assert int(networks) == {"full": 16, "reduced": 8}[size]
    for cell, level in zip(cells.split(" | "), ("dynamics", "weights", "behavior"), strict=True):
        arrow, word, effect = CELL.findall(cell)[0]
        outcome = rows.loc[level, "outcome"]
        if outcome in ARROWS:
            outcome = "agrees" if ARROWS[outcome] == arrow else "disagrees"
        assert word == outcome
        assert float(effect) == pytest.approx(100 * rows.loc[level, "effect"], abs=0.51)
        if "paper_direction" in rows:
            assert arrow == rows.loc[level, "paper_direction"]
