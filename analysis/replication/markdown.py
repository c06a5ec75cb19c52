"""Table 1 of the paper, recomputed, as a Markdown page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from analysis.measures import LEVELS
from analysis.replication.cells import baseline_warning, missing_networks, row_effect, row_p
from analysis.replication.outcomes import POOLED, OutcomeRow
from degen.reporting.formatting import format_direction

NOT_MEASURED = "not measured"


def table_one(rows: Sequence[OutcomeRow], scales: Sequence[str], caption: str) -> str:
    """Write the page: all tasks together, each task, all measures, and influential networks.

    Args:
        rows: rows of `analysis.replication.table_one.compare_with_paper`.
        scales: scales of the experiments.
        caption: explanation of the tables.
    """
    shown = [row for row in rows if row.is_in_table_one]
    if not shown:
        return "# Table 1, recomputed\n\nNo experiment has enough networks for a comparison.\n"
    pooled = [row for row in shown if row.task == POOLED]
    by_task = [row for row in shown if row.task != POOLED]
    parts = [
        "# Table 1, recomputed",
        f"Scale: {', '.join(scales)}. {caption}",
        "## All tasks together",
        _grid(pooled, ("factor", "experiment"), lambda row: (row.factor, row.experiment)),
        "## Each task",
        _grid(by_task, ("experiment", "task"), lambda row: (row.experiment, row.task)),
        "## All tasks together, by every measure",
        _by_measure([row for row in rows if row.task == POOLED]),
        "## Outcomes that depend on one network",
        "\n".join(_influence(row) for row in shown if row.most_influential) or "None.",
    ]
    return "\n\n".join(parts) + "\n"


def _influence(row: OutcomeRow) -> str:
    n = row.influential_networks or 0
    networks = f"any of {n} networks" if n > 1 else "one network"
    name = f"{row.experiment}, {row.task}, {row.level}"
    return f"- {name}: {row.outcome}, depends on {networks}; without {row.most_influential}"


def _grid(
    rows: Sequence[OutcomeRow], heads: tuple[str, str], key: Callable[[OutcomeRow], tuple[str, str]]
) -> str:
    """Write a table of outcomes: one column per level (dynamics, weights, behaviour).

    Args:
        rows: outcomes, one for each pair of table row and level.
        heads: headings of the first two columns.
        key: returns the entries of the first two columns. Outcomes with equal keys share a table row.
    """
    lines = [[*heads, *LEVELS, "conditions", "networks (left out)"]]
    for names in dict.fromkeys(map(key, rows)):
        group = {row.level: row for row in rows if key(row) == names}
        first = next(iter(group.values()))
        cells = [_cell(group[level]) if level in group else NOT_MEASURED for level in LEVELS]
        networks = f"{first.networks} ({first.left_out}{missing_networks(first)})"
        lines.append([*names, *cells, str(first.conditions), networks])
    return _markdown_table(lines)


def _by_measure(rows: Sequence[OutcomeRow]) -> str:
    """Write one row per measure and one column per experiment."""
    experiments = list(dict.fromkeys(row.experiment for row in rows))
    cells = {(row.level, row.measure, row.experiment): _short_cell(row) for row in rows}
    lines = [["level", "measure", *experiments]]
    for level, measure in dict.fromkeys((row.level, row.measure) for row in rows):
        by_experiment = [cells.get((level, measure, name), NOT_MEASURED) for name in experiments]
        lines.append([level, measure, *by_experiment])
    return _markdown_table(lines)


def _markdown_table(lines: Sequence[Iterable[str]]) -> str:
    head, *body = lines
    separator = ["---" for _ in head]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, separator, *body))


def _signed_effect(row: OutcomeRow) -> str:
    return f"{format_direction(row.direction)} {row_effect(row)}".strip()


def _cell(row: OutcomeRow) -> str:
    effect = f"{_signed_effect(row)}, p {row_p(row)}"
    return f"{effect}; paper {row.paper_direction}: **{row.outcome}**{baseline_warning(row)}"


def _short_cell(row: OutcomeRow) -> str:
    """Format direction, effect and outcome, in bold for the measures of Table 1."""
    outcome = f", {row.outcome}" if row.outcome else ""
    text = f"{_signed_effect(row)}{outcome}{baseline_warning(row)}"
    return f"**{text}**" if row.is_in_table_one else text
