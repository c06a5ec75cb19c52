"""Summary of an experiment: what changes along its factor, what does not, and what cannot be told."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.cells import row_numbers, row_title, row_warnings
from analysis.labels import format_factor
from analysis.outcomes import DECIDED, NO_EFFECT
from analysis.trend_rows import TrendRow
from launch.experiment import Experiment

CHANGES, UNCHANGED, UNKNOWN = "changes", "no effect seen", "cannot be told"


def summarize(rows: Sequence[TrendRow]) -> dict[str, list[TrendRow]]:
    """Group the main measures by what can be said about them: `CHANGES`, `UNCHANGED` and `UNKNOWN`."""
    groups: dict[str, list[TrendRow]] = {CHANGES: [], UNCHANGED: [], UNKNOWN: []}
    for row in rows:
        if row.is_main_measure:
            is_decided = row.outcome in DECIDED.values()
            name = CHANGES if is_decided else UNCHANGED if row.outcome == NO_EFFECT else UNKNOWN
            groups[name].append(row)
    return {name: sorted(group, key=lambda row: not row.is_headline) for name, group in groups.items()}


def question(experiment: Experiment) -> str:
    """Return the question that an experiment asks."""
    values = dict.fromkeys(
        format_factor(experiment.value(condition))
        for condition in experiment.sorted_by_factor(experiment.conditions)
    )
    return f"How does degeneracy change along {experiment.label} ({', '.join(values)})?"


def describe(row: TrendRow) -> str:
    """Describe the trend of a row in one line."""
    parts = [f"{row_title(row)}: {row.outcome_text}", row_numbers(row), *row_warnings(row)]
    return "; ".join(filter(None, parts))


def format_summary(experiment: Experiment, rows: Sequence[TrendRow]) -> str:
    """Format the summary for a terminal."""
    lines = [question(experiment)]
    for name, group in summarize(rows).items():
        lines += [f"{name}:", *(f"  {describe(row)}" for row in group)] if group else []
    return "\n".join(lines)
