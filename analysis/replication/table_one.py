"""Table 1 of the paper, recomputed: the trends of the paper's experiments, and the paper's directions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from analysis.experiment_results import ExperimentResults
from analysis.trends.measures import LEVELS, available_measures
from analysis.trends.outcomes import compare_with_paper
from analysis.trends.rows import TrendRow, with_false_discovery_rate

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableOneRow(TrendRow):
    """A trend, compared with the paper.

    Attributes:
        factor: factor of Table 1.
        paper_direction: direction in the paper, empty if the paper has none for this measure.
    """

    factor: str
    paper_direction: str


def table_one_rows(all_results: Mapping[str, ExperimentResults]) -> list[TableOneRow]:
    """Return the trends of the paper's experiments, in which directions agree or disagree with the paper.

    The cells of Table 1, main measures over all tasks, are the family of the false discovery rate.

    Args:
        all_results: results of each experiment by name, analyzed or not. Those without a factor of Table 1
            are ignored.
    """
    rows = [
        row
        for factor, (names, directions) in FACTORS.items()
        for name in names
        if name in all_results and all_results[name].exists
        for row in _compare(factor, dict(zip(LEVELS, directions, strict=True)), all_results[name])
    ]
    return with_false_discovery_rate(rows)


def _compare(factor: str, directions: Mapping[str, str], results: ExperimentResults) -> Iterator[TableOneRow]:
    measures = available_measures(results.degeneracy)
    for row in results.trends:
        has_arrow = measures[row.level][row.measure].has_arrow
        direction = directions.get(row.level, "") if has_arrow else ""
        columns = dataclasses.asdict(row) | {
            "outcome": compare_with_paper(row.outcome, direction),
            "outcome_below_threshold": compare_with_paper(row.outcome_below_threshold, direction),
        }
        yield TableOneRow(**columns, factor=factor, paper_direction=direction)
