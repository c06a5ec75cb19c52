"""Rows of the table of trends: one per task and measure of an experiment, and one for all tasks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from analysis.labels import sort_tasks, task_title
from analysis.trends.design import PAIR
from analysis.trends.measures import SECOND_HEADLINES
from analysis.trends.outcomes import NO_EFFECT, SEEN, format_outcome
from degen.statistics.joint_test import NO_DIRECTION

POOLED = "pooled"
"""Task of a row that pools all tasks."""


def sort_trend_tasks(tasks: Iterable[str]) -> list[str]:
    """Return the tasks of rows in the paper's order, and `POOLED` last."""
    names = set(tasks)
    return [*sort_tasks(names - {POOLED}), *(names & {POOLED})]


def trend_task_title(task: str) -> str:
    """Return the title of the task of a row."""
    return "all tasks" if task == POOLED else task_title(task)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrendRow:
    """Trend of one measure along the factor of an experiment.

    Attributes:
        experiment: name of the experiment.
        task: name of the task, or `POOLED`.
        term: what is tested: a factor, or "gamma x channels" for an interaction.
        kind: kind of the term: trend (along numbers), levels (any difference between named levels), pair (of
            two of several levels) or interaction.
        levels: the two levels that are compared, such as "GRU vs. Standard", empty for other terms.
        level: level of degeneracy.
        measure: name of the measure.
        variant_of: measure that this measure is another setting of, or empty.
        is_main_measure: whether the measure is a main measure of its level.
        is_headline: whether the row answers the question of the experiment: a main measure over all tasks.
        conditions: number of conditions.
        networks: number of networks behind the row.
        effect: relative change over the whole factor, or from the second to the first of `levels`, 1 for
            twice. Of an interaction, relative change of that ratio. NaN if there are several effects or too
            few networks.
        low: lower end of the bootstrap interval of the effect.
        high: upper end of the bootstrap interval of the effect.
        nominal_level: nominal level of the interval.
        p: of the permutation test.
        p_error: Monte Carlo standard error of p.
        q: false discovery rate at which the row counts as a discovery (`with_false_discovery_rate`,
            `correct_pairs`). NaN for rows outside of a family.
        significance: p below which a trend is significant.
        smallest_p: smallest p that the test can give for these networks.
        detectable_change: relative change that would be detected with power 0.8.
        spearman: rank correlation of factor and degeneracy.
        direction: direction of the effect, `JointTest.direction`.
        outcome: one of `analysis.trends.outcomes.OUTCOMES`.
        outcome_detail: reason or limit of the outcome.
        outcome_below_threshold: outcome of the networks whose loss on fresh trials is below the threshold.
        networks_below_threshold: number of these networks.
        baseline_ratio: smallest ratio of a distance to its split-half baseline, the mean distance of a
            network from itself on other trials. NaN if there is no baseline.
        conditions_at_baseline: number of conditions whose distance is at its baseline.
        influential_networks: number of networks that change the direction when any one of them is left out.
            Computed for main measures only, otherwise None.
        most_influential: the influential network that moves the effect most, with the trend without it.
        left_out: number of trained networks that are not behind the row. They did not converge, or their
            condition or task has too few networks.
        left_out_conditions: the conditions that are not behind the row, with their converged networks.
        missing: number of networks that are not trained yet.
    """

    experiment: str
    task: str
    term: str
    kind: str
    levels: str
    level: str
    measure: str
    variant_of: str
    is_main_measure: bool
    is_headline: bool
    conditions: int
    networks: int
    effect: float
    low: float
    high: float
    nominal_level: float
    p: float
    p_error: float
    q: float
    significance: float
    smallest_p: float
    detectable_change: float
    spearman: float
    direction: str
    outcome: str
    outcome_detail: str
    outcome_below_threshold: str
    networks_below_threshold: int
    baseline_ratio: float
    conditions_at_baseline: int
    influential_networks: int | None
    most_influential: str
    left_out: int
    left_out_conditions: str
    missing: int

    @property
    def outcome_text(self) -> str:
        """The outcome with its reason or limit."""
        return format_outcome(self.outcome, self.outcome_detail)

    @property
    def heading(self) -> str:
        """Heading of the row's column in tables with one column per main measure."""
        return f"{self.level} ({self.measure})" if self.measure in SECOND_HEADLINES else self.level

    @property
    def is_in_family(self) -> bool:
        """True if the row belongs to the family of tests whose false discovery rate is controlled."""
        is_candidate = self.is_headline and self.kind != PAIR and self.measure not in SECOND_HEADLINES
        return is_candidate and np.isfinite(self.p)


Row = TypeVar("Row", bound=TrendRow)


def with_false_discovery_rate(rows: Sequence[Row]) -> list[Row]:
    """Set q of the rows that belong to a family of tests (Benjamini & Hochberg 1995).

    The family are the paper's measures over all tasks, as far as they have a p. Pairs of levels keep the q of
    `correct_pairs`. Other rows have no q.
    """
    q = {id(row): row.q if row.kind == PAIR else np.nan for row in rows}
    q |= _false_discovery_rates([row for row in rows if row.is_in_family])
    return [dataclasses.replace(row, q=float(q[id(row)])) for row in rows]


def correct_pairs(rows: Sequence[Row]) -> list[Row]:
    """Set q of pairs of levels, and require it to be below the significance for an outcome.

    All pairs of a factor are tested, and the more levels it has, the more pairs differ by chance. The family
    of a pair are the pairs of its factor, task and measure (Benjamini & Hochberg 1995).
    """
    families: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.kind == PAIR and np.isfinite(row.p):
            families.setdefault((row.task, row.term, row.level, row.measure), []).append(row)
    q: dict[int, float] = {}
    for family in families.values():
        q |= _false_discovery_rates(family)
    return [_corrected(row, q[id(row)]) if id(row) in q else row for row in rows]


def _corrected(row: Row, q: float) -> Row:
    """Return a pair with its q, without a direction if q is not below the significance."""
    corrected = dataclasses.replace(row, q=q)
    if row.outcome not in SEEN or q < row.significance:
        return corrected
    detail = f"q of all pairs is not below {row.significance:g}"
    return dataclasses.replace(
        corrected,
        direction=NO_DIRECTION,
        outcome=NO_EFFECT,
        outcome_detail=detail,
        outcome_below_threshold=NO_EFFECT,
    )


def _false_discovery_rates(family: Sequence[TrendRow]) -> dict[int, float]:
    """Return q by the id of the row."""
    if not family:
        return {}
    return dict(zip(map(id, family), false_discovery_control([row.p for row in family]), strict=True))


def trend_table(rows: Sequence[TrendRow]) -> pd.DataFrame:
    """Return the rows as a table with one column per attribute."""
    table = pd.DataFrame([dataclasses.asdict(row) for row in rows])
    return table.astype({"influential_networks": "Int64"}) if rows else table


def trend_rows(table: pd.DataFrame) -> list[TrendRow]:
    """Return the rows of a table that `trend_table` returned."""
    records = table.astype({"influential_networks": object}).to_dict("records")
    for record in records:
        if pd.isna(record["influential_networks"]):
            record["influential_networks"] = None
    return [TrendRow(**{str(name): value for name, value in record.items()}) for record in records]
