"""Table 1 of the paper, recomputed, as a Markdown page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from analysis.replication.table_one import TableOneRow
from analysis.trends.cells import explanations, missing_networks, row_effect, row_numbers, row_warnings
from analysis.trends.rows import POOLED
from degen.reporting.formatting import format_direction

NOT_MEASURED = "not measured"


def table_one(rows: Sequence[TableOneRow], scales: Sequence[str]) -> str:
    """Write the page: all tasks together, each task, all measures, and influential networks.

    Args:
        rows: rows of `analysis.replication.table_one.table_one_rows`.
        scales: scales of the experiments.
    """
    main = [row for row in rows if row.is_main_measure]
    if not main:
        return "# Table 1, recomputed\n\nNo experiment of Table 1 is analyzed.\n"
    headlines = [row for row in main if row.is_headline]
    by_task = [row for row in main if row.task != POOLED]
    terms = [f"- *{term}*: {text}" for term, text in explanations(main[0]).items()]
    parts = [
        "# Table 1, recomputed",
        f"Scale: {', '.join(scales)}. The first outcome that applies is shown.",
        "\n".join(terms),
        "## All tasks together",
        _grid(headlines, ("factor", "experiment"), lambda row: (row.factor, row.experiment)),
        "## Each task",
        _grid(by_task, ("experiment", "task"), lambda row: (row.experiment, row.task)),
        "## All tasks together, by every measure",
        _by_measure(_over_all_tasks(rows)),
        "## Outcomes that depend on one network",
        "\n".join(_influence(row) for row in main if row.most_influential) or "None.",
    ]
    return "\n\n".join(parts) + "\n"


def _over_all_tasks(rows: Sequence[TableOneRow]) -> list[TableOneRow]:
    """Return the rows that pool tasks, and the rows of experiments with a single task."""
    pooled = {row.experiment for row in rows if row.task == POOLED}
    return [row for row in rows if row.task == POOLED or row.experiment not in pooled]


def _influence(row: TableOneRow) -> str:
    name = f"{row.experiment}, {row.task}, {row.heading}"
    n = row.influential_networks
    networks = f"any one of {n} networks changes it" if n != 1 else "one network changes it"
    return f"- {name}: {row.outcome}, {networks}; {row.most_influential}"


def _grid(
    rows: Sequence[TableOneRow], heads: tuple[str, str], key: Callable[[TableOneRow], tuple[str, str]]
) -> str:
    """Write a table of outcomes: one column per main measure.

    Args:
        rows: outcomes, one for each pair of table row and main measure.
        heads: headings of the first two columns.
        key: returns the entries of the first two columns. Outcomes with equal keys share a table row.
    """
    headings = list(dict.fromkeys(row.heading for row in rows))
    lines = [[*heads, *headings, "conditions", "networks (left out)"]]
    for names in dict.fromkeys(map(key, rows)):
        group = {row.heading: row for row in rows if key(row) == names}
        first = next(iter(group.values()))
        cells = [_cell(group[heading]) if heading in group else NOT_MEASURED for heading in headings]
        networks = f"{first.networks} ({first.left_out}{missing_networks(first)})"
        lines.append([*names, *cells, str(first.conditions), networks])
    return markdown_table(lines)


def _by_measure(rows: Sequence[TableOneRow]) -> str:
    """Write one row per measure and one column per experiment."""
    experiments = list(dict.fromkeys(row.experiment for row in rows))
    cells = {(row.level, row.measure, row.experiment): _short_cell(row) for row in rows}
    lines = [["level", "measure", *experiments]]
    for level, measure in dict.fromkeys((row.level, row.measure) for row in rows):
        by_experiment = [cells.get((level, measure, name), NOT_MEASURED) for name in experiments]
        lines.append([level, measure, *by_experiment])
    return markdown_table(lines)


def markdown_table(lines: Sequence[Iterable[str]]) -> str:
    """Write a table. The first line is its head."""
    head, *body = lines
    separator = ["---" for _ in head]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, separator, *body))


def _cell(row: TableOneRow) -> str:
    """Format outcome, numbers, the paper's direction and warnings."""
    paper = f"paper {row.paper_direction}" if row.paper_direction else ""
    outcome = f"{format_direction(row.direction)} **{row.outcome_text}**".strip()
    return "; ".join(filter(None, [outcome, row_numbers(row), paper, *row_warnings(row)]))


def _short_cell(row: TableOneRow) -> str:
    """Format direction, effect and outcome, in bold for main measures."""
    effect = "" if math.isnan(row.low) else row_effect(row)
    text = ", ".join(filter(None, [f"{format_direction(row.direction)} {effect}".strip(), row.outcome]))
    return f"**{text}**" if row.is_main_measure else text
