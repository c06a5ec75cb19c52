"""Specification curve: the trend of dynamics under every setting of DSA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.trends.design import LEVELS, TREND
from analysis.trends.measure_trends import MeasureTrend
from analysis.trends.outcomes import DECIDED
from analysis.trends.rows import TrendRow, sort_trend_tasks
from degen.statistics.joint_test import FALLS, RISES


def opposed_embeddings(trends: Mapping[str, MeasureTrend]) -> str:
    """Name the two settings of a measure whose effects exclude zero with opposite signs.

    A setting whose distances are at their split-half baseline has no vote.

    Args:
        trends: trend by the name of the setting, of one task or pooled over tasks.

    Returns:
        The setting with the largest and the one with the smallest effect, or empty if no two disagree.
    """
    votes = {
        name: outcome.trend.effect
        for name, outcome in trends.items()
        if outcome.trend is not None and outcome.trend.excludes_zero and not outcome.is_at_baseline
    }
    if not votes or min(votes.values()) > 0 or max(votes.values()) < 0:
        return ""
    highest, lowest = max(votes, key=votes.__getitem__), min(votes, key=votes.__getitem__)
    return f"{highest} {DECIDED[RISES]}, {lowest} {DECIDED[FALLS]}"


def specification_rows(rows: Sequence[TrendRow]) -> dict[str, list[TrendRow]]:
    """Return the rows of a measure and of its other settings, by task. Measures without settings have none.

    Tasks have the paper's order, and the pooled rows come last. The rows of a task are those of the first
    factor, sorted by their effect. A factor with several named levels has no single effect, and no rows.
    """
    families = {row.variant_of for row in rows if row.variant_of}
    members = [
        row
        for row in rows
        if (row.variant_of or row.measure in families)
        and row.term == rows[0].term
        and (row.kind == TREND or (row.kind == LEVELS and row.levels))
    ]
    by_effect = sorted(members, key=lambda row: row.effect)
    tasks = sort_trend_tasks(row.task for row in members)
    return {task: [row for row in by_effect if row.task == task] for task in tasks}
