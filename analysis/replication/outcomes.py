"""Rows of Table 1: factors, outcomes of the comparison with the paper, and columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pandas as pd

from analysis.measures import LEVELS
from degen.statistics.trend import NO_DIRECTION

FACTORS = {
    "task complexity": (("task_complexity", "memory_demand", "auxiliary_loss"), "\u2193\u2191\u2193"),
    "feature learning": (
        ("feature_learning", "standard_feature_learning", "dense_feature_learning"),
        "\u2193\u2191\u2191",
    ),
    "network size": (
        ("network_size", "standard_network_size", "dense_network_size"),
        "\u2193\u2193\u2193",
    ),
    "regularization": (("low_rank", "sparsity", "dense_low_rank", "dense_sparsity"), "\u2193\u2193\u2193"),
}
"""For each factor of Table 1 its experiments, and the paper's directions in the order of `LEVELS`."""

AGREES, DISAGREES, UNDECIDED = OUTCOMES = ("agrees", "disagrees", "undecided")
"""Outcomes of the comparison with the paper."""

POOLED = "pooled"
"""Task of a row that pools all tasks."""


@dataclasses.dataclass(frozen=True)
class OutcomeRow:
    """Trend of one measure along a factor, and its comparison with the paper.

    Attributes:
        factor: factor of Table 1.
        experiment: name of the experiment.
        task: name of the task, or `POOLED`.
        level: level of degeneracy.
        measure: name of the measure.
        is_paper_measure: whether the paper's direction refers to this measure.
        conditions: number of conditions.
        networks: number of networks behind the row.
        effect: relative change over the whole factor, 1 for twice.
        low: lower end of the bootstrap interval of the effect.
        high: upper end of the bootstrap interval of the effect.
        p: of the permutation test.
        slope: test statistic, `Trend.slope`.
        spearman: rank correlation of factor and degeneracy.
        left_out: number of trained networks that are not behind the row. They did not converge, or their
            condition or task has too few networks.
        missing: number of networks that are not trained yet.
        baseline_ratio: smallest ratio of a distance to its split-half baseline, the mean distance of a
            network from itself on other trials. NaN if there is no baseline.
        direction: direction of the effect, `Trend.direction`.
        paper_direction: direction in the paper, empty if the paper has none for this measure.
        outcome: one of `OUTCOMES`, empty if the paper has no direction.
        influential_networks: number of networks that change direction and outcome when any one of them is
            left out. Computed for the paper's measures in `LEVELS` only, otherwise None.
        most_influential: the influential network that moves the effect most, with the outcome, effect and
            interval without it, and p if the interval excludes zero. Empty if there is none.
    """

    factor: str
    experiment: str
    task: str
    level: str
    measure: str
    is_paper_measure: bool
    conditions: int
    networks: int
    effect: float
    low: float
    high: float
    p: float
    slope: float
    spearman: float
    left_out: int
    missing: int
    baseline_ratio: float
    direction: str
    paper_direction: str
    outcome: str
    influential_networks: int | None
    most_influential: str

    @property
    def is_in_table_one(self) -> bool:
        """True if Table 1 of the paper has this measure."""
        return self.is_paper_measure and self.level in LEVELS


def outcome_table(rows: Sequence[OutcomeRow]) -> pd.DataFrame:
    """Return the rows as a table with one column per attribute of `OutcomeRow`."""
    table = pd.DataFrame([dataclasses.asdict(row) for row in rows])
    return table.astype({"influential_networks": "Int64"}) if rows else table


def compare_directions(direction: str, paper_direction: str) -> str:
    """Compare a direction with the paper's. Empty if the paper has no direction."""
    if not paper_direction:
        return ""
    if direction == NO_DIRECTION:
        return UNDECIDED
    return AGREES if direction == paper_direction else DISAGREES
