"""Table 1 of the paper, recomputed, as a page of Markdown: to be read, pasted and linked to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.measures import LEVELS
from analysis.replication.table_one import WORDS

READING = (
    "The arrow is the direction along the factor, where one is shown; the number is the relative "
    "change of degeneracy over the whole axis with its bootstrap interval (over seeds, in each task), p "
    "is that of a permutation test of each seed's networks between conditions. Agrees and disagrees need "
    "a p below the level of significance and an interval without zero, both of one direction; anything "
    "else is undecided, which is not evidence of no effect. Tasks count alike in the effect, and by how "
    "certain they are in p: an arrow behind p says that it speaks for the other direction. No correction "
    "for the number of tests is made. A verdict hangs on one network where it changes when that network "
    "alone is left out; the one that moves the effect farthest is named. The floor of a distance is that of "
    "a network from itself on other trials: near it there is nothing to compare. Networks are those behind a "
    "line; left out are those that did not converge by the criterion of training, and the others of "
    "conditions with fewer than three that did and of tasks with fewer than two conditions left."
)


def table_one(verdict: pd.DataFrame, scales: Sequence[str]) -> str:
    """The page: all tasks together, each task, every measure, and what hangs on one network.

    Args:
        verdict: as `analysis.replication.table_one.verdict` returns it.
        scales: of its experiments.
    """
    rows = verdict[verdict["is_paper_measure"] & verdict["level"].isin(LEVELS)] if len(verdict) else verdict
    if rows.empty:
        return "# Table 1, recomputed\n\nNo experiment has enough networks for a verdict.\n"
    pooled = rows["task"] == "pooled"
    hanging = [
        f"- {row['experiment']}, {row['task']}, {row['level']}: {WORDS[row['agreement']]}, by "
        f"{_count(row['deciding'])}; without {row['decided_by']}"
        for row in rows.to_dict("records")
        if row["decided_by"]
    ]
    parts = [
        "# Table 1, recomputed",
        f"Scale: {', '.join(scales)}. {READING}",
        "## All tasks together",
        _grid(rows[pooled], ["factor", "experiment"]),
        "## Each task",
        _grid(rows[~pooled], ["experiment", "task"]),
        "## All tasks together, by every measure",
        _by_measure(verdict[verdict["task"] == "pooled"]),
        "## Verdicts that hang on one network",
        "\n".join(hanging) or "None.",
    ]
    return "\n\n".join(parts) + "\n"


def _count(deciding: int) -> str:
    return f"any of {deciding} networks" if deciding > 1 else "one network"


def _grid(rows: pd.DataFrame, by: list[str]) -> str:
    """A line for each value of `by`, a column for each level."""
    heads = [*by, *LEVELS, "conditions", "networks (left out)"]
    lines: list[list[object]] = [[*heads], ["---"] * len(heads)]
    for names, group in rows.groupby(by, sort=False):
        cells = {row["level"]: _cell(row) for row in group.to_dict("records")}
        first = group.iloc[0]
        missing = f", {first['missing']} not trained" if first["missing"] else ""
        lines.append(
            [
                *names,
                *(cells.get(level, "not measured") for level in LEVELS),
                first["conditions"],
                f"{first['networks']} ({first['left_out']}{missing})",
            ]
        )
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _by_measure(rows: pd.DataFrame) -> str:
    """A line for each measure of each level, a column for each experiment."""
    experiments = list(rows["experiment"].unique())
    lines = [["level", "measure", *experiments], ["---"] * (len(experiments) + 2)]
    for (level, measure), group in rows.groupby(["level", "measure"], sort=False):
        cells = {row["experiment"]: _short(row) for row in group.to_dict("records")}
        lines.append([level, measure, *(cells.get(name, "not measured") for name in experiments)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _short(row: dict[Any, Any]) -> str:
    """Direction, effect and agreement; in bold where the paper's arrow stands on this measure."""
    arrow = "" if row["direction"] == "-" else f"{row['direction']} "
    word = f", {WORDS[row['agreement']]}" if row["agreement"] else ""
    found = f"{arrow}{interval_of(row)}{word}{floor_of(row)}"
    return f"**{found}**" if row["is_paper_measure"] and row["level"] in LEVELS else found


def _cell(row: dict[Any, Any]) -> str:
    word = WORDS[row["agreement"]]
    arrow = "" if row["direction"] == "-" else f"{row['direction']} "
    found = f"{arrow}{interval_of(row)}, p {p_of(row)}; paper {row['paper']}: **{word}**"
    return found + floor_of(row)


def floor_of(row: dict[Any, Any]) -> str:
    """A warning where a distance of a verdict is less than twice its floor."""
    return f", down to {row['over_floor']:.1f} times its floor" if row["over_floor"] < 2 else ""


def interval_of(row: dict[Any, Any]) -> str:
    """Effect and interval of a verdict; what rounds to 0 % has a digit more, which tells its side."""
    if not math.isfinite(row["effect"]):
        return "not finite"
    effect, low, high = (
        f"{row[name]:+.{0 if abs(row[name]) >= 0.005 else 1}%}" for name in ("effect", "low", "high")
    )
    return f"{effect} [{low}, {high}]"


def p_of(row: dict[Any, Any]) -> str:
    """Format p of a verdict, with an arrow where it speaks for the other direction than the effect's."""
    is_opposed = row["slope"] * row["effect"] < 0
    return f"{row['p']:.2g}" + (" (\u2191)" if row["slope"] > 0 else " (\u2193)") * is_opposed
