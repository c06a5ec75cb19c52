"""Markdown tables of an experiment's page, from its small tables: networks, main measures, settings of DSA.

    python -m analysis.replication.factor_tables docs/reproduction/full_size/low_rank

The pages of docs/reproduction/full_size contain these tables, and a test compares them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.measure_labels import measure_label
from analysis.labels import format_factor, task_title
from analysis.replication.markdown import markdown_table
from analysis.replication.table_one import FACTORS
from analysis.trends.measures import LEVELS
from analysis.trends.outcomes import compare_with_paper, format_outcome
from analysis.trends.rows import sort_trend_tasks, trend_task_title
from degen.errors import require
from degen.reporting.formatting import format_change, format_effect
from launch.cli import exit_on_user_error

MAIN = ("DSA", "dsa_weighted", "PIF", "PIF signed", "sigma OOD", "sigma log OOD")
"""Main measures of the levels and their second headlines (docs/reproduction/plan.md)."""


def networks_table(networks: pd.DataFrame) -> str:
    """Return one row per condition: networks by status, epochs, and the test loss over the threshold.

    Args:
        networks: the table networks.csv.
    """
    lines = [
        [
            "task",
            "level",
            "converged",
            "epochs with settling, median (most)",
            "test loss / threshold, mean (most)",
        ]
    ]
    for (task, level), rows in networks.groupby(["task", "factor_value"], sort=False, dropna=False):
        converged = rows[rows["status"] == "converged"]
        ratios = converged["test_loss"] / converged["threshold"]
        lines.append(
            [
                task_title(str(task)),
                format_factor(level),
                f"{len(converged)} of {len(rows)}",
                f"{converged['epochs'].median():.3g} ({converged['epochs'].max()})",
                f"{ratios.mean():.2f} ({ratios.max():.2f})",
            ]
        )
    return markdown_table(lines)


def main_table(experiment: str, trends: pd.DataFrame) -> str:
    """Return one row per task and main measure, compared with the paper's directions.

    Args:
        experiment: name of the experiment.
        trends: the table trends.csv.
    """
    directions = next(arrows for names, arrows in FACTORS.values() if experiment in names)
    paper = dict(zip(LEVELS, directions, strict=True))
    lines = [["task", "level", "measure", "change [95 % interval]", "p", "q", "outcome", "paper"]]
    for task in sort_trend_tasks(trends["task"]):
        rows = trends[trends["task"] == task].set_index("measure").to_dict("index")
        for measure in [name for name in MAIN if name in rows]:
            row = rows[measure]
            arrow = paper[row["level"]]
            q = f"{row['q']:.2g}" if np.isfinite(row["q"]) else ""
            label = _label(measure)
            numbers = [_effect(row), f"{row['p']:.2g}", q]
            lines.append([trend_task_title(task), row["level"], label, *numbers, _outcome(row, arrow), arrow])
    return markdown_table(lines)


def settings_table(trends: pd.DataFrame) -> str:
    """Return one row per setting of DSA, for all tasks together, sorted by the effect.

    Args:
        trends: the table trends.csv.
    """
    of_dsa = trends[(trends["variant_of"] == "DSA") | (trends["measure"] == "DSA")]
    lines = [["setting", "change [95 % interval]", "p", "direction", "change that would have been seen"]]
    of_all_tasks = of_dsa[of_dsa["task"] == sort_trend_tasks(trends["task"])[-1]].sort_values("effect")
    for row in of_all_tasks.to_dict("records"):
        label = _label(str(row["measure"]))
        label = f"**{label}**" if row["measure"] in MAIN else label
        direction = "falls" if row["high"] < 0 else "rises" if row["low"] > 0 else ""
        seen = format_change(row["detectable_change"])
        lines.append([label, _effect(row), f"{row['p']:.2g}", direction, seen])
    return markdown_table(lines)


def _label(measure: str) -> str:
    """Return the label of a measure, by its name in the table of trends."""
    return measure_label(measure.lower().replace(" ", "_"))


def _effect(row: Mapping[Any, Any]) -> str:
    return format_effect(row["effect"], row["low"], row["high"])


def _outcome(row: Mapping[Any, Any], arrow: str) -> str:
    """Return the outcome compared with the paper, or the outcome and its reason if it has no direction."""
    outcome = compare_with_paper(row["outcome"], arrow)
    if outcome != row["outcome"]:
        return f"**{outcome}**"
    detail = row["outcome_detail"] if isinstance(row["outcome_detail"], str) else ""
    # Settings of DSA have the labels of the table of settings.
    detail = re.sub(r"\w*dsa\w*", lambda name: f"*{measure_label(name[0])}*", detail)
    return format_outcome(outcome, detail)


def page_tables(folder: Path) -> list[str]:
    """Return the tables of the page of an experiment.

    Args:
        folder: folder of the small tables, with the name of the experiment.

    Raises:
        BadInputError: the folder has no tables, or the paper has no such experiment.
    """
    names = [name for experiments, _ in FACTORS.values() for name in experiments]
    require(folder.name in names, "folder", str(folder), "named like an experiment of the paper")
    paths = folder / "networks.csv", folder / "trends.csv"
    for path in paths:
        require(path.is_file(), "folder", str(folder), f"one with {path.name}")
    networks, trends = map(pd.read_csv, paths)
    return [networks_table(networks), main_table(folder.name, trends), settings_table(trends)]


def main() -> None:
    """Run the command line."""
    with exit_on_user_error():
        require(len(sys.argv) == 2, "arguments", sys.argv[1:], "a folder of small tables")
        print("\n\n".join(page_tables(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
