"""Trends of one measure, by task and pooled over tasks, with everything that their outcomes depend on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from analysis.curves import Tasks, baseline_ratios, curves_without_each_network, with_enough_networks
from analysis.measures import DegeneracyMeasure
from analysis.outcomes import Evidence, Outcome, judge
from analysis.trend_rows import POOLED
from degen.statistics import Bootstrap, FactorCurve, PermutationTest, Trend, decisive_networks, fit_trend

MAX_RATIO_AT_BASELINE = 1.4
"""A distance below this multiple of its split-half baseline is at the baseline [chosen]."""


@dataclasses.dataclass(frozen=True)
class MeasureTrend:
    """Trend of a measure for one task, or pooled over tasks.

    Attributes:
        trend: the trend, None if fewer than two conditions have enough networks.
        conditions: number of conditions.
        baseline_ratios: ratio of each condition's distance to its split-half baseline, empty without one.
        decisive: trend without each network that changes the direction, None if it is not computed.
    """

    trend: Trend | None = None
    conditions: int = 0
    baseline_ratios: tuple[float, ...] = ()
    decisive: Mapping[str, Trend] | None = None

    @property
    def conditions_at_baseline(self) -> int:
        """Number of conditions whose distance is at its baseline."""
        return sum(ratio < MAX_RATIO_AT_BASELINE for ratio in self.baseline_ratios)

    @property
    def is_at_baseline(self) -> bool:
        """True if the distances of all conditions are at their baseline."""
        return 0 < self.conditions == self.conditions_at_baseline

    def judge(self, opposed: str, significance: float) -> Outcome:
        """Return the outcome.

        Args:
            opposed: the two embeddings that disagree, empty if there are none.
            significance: p below which a trend is significant.
        """
        if self.trend is None:
            return judge(None, significance)
        evidence = Evidence(
            direction=self.trend.direction(significance),
            problem=self.trend.problem,
            smallest_p=self.trend.smallest_p,
            detectable_change=self.trend.detectable_change,
            is_at_baseline=self.is_at_baseline,
            opposed=opposed,
            influential_networks=len(self.decisive or {}),
        )
        return judge(evidence, significance)


def measure_trends(
    tasks: Tasks, measure: DegeneracyMeasure, bootstrap: Bootstrap, test: PermutationTest, has_influence: bool
) -> dict[str, MeasureTrend]:
    """Compute the trend of a measure for each task, and pooled over tasks if there are several.

    Args:
        tasks: conditions of each task.
        measure: the measure.
        bootstrap: settings of the intervals.
        test: settings of the permutation tests.
        has_influence: whether to leave out each network in turn, which takes most of the time.

    Returns:
        Trends by task, and by `POOLED`.
    """
    enough = with_enough_networks(tasks)
    curves = {task: measure.build_curve(conditions, bootstrap) for task, conditions in enough.items()}
    ratios = {task: baseline_ratios(conditions, measure) for task, conditions in enough.items()}
    without = {}
    if has_influence:
        without = {
            task: curves_without_each_network(conditions, measure.build_curve, bootstrap)
            for task, conditions in enough.items()
        }
    pools = {task: [task] for task in tasks} | ({POOLED: list(tasks)} if len(tasks) > 1 else {})
    return {
        name: _measure_trend(
            {task: curves[task] for task in members if task in curves},
            tuple(ratio for task in members for ratio in ratios.get(task, [])),
            without,
            bootstrap,
            test,
        )
        for name, members in pools.items()
    }


def _measure_trend(
    curves: Mapping[str, FactorCurve],
    ratios: tuple[float, ...],
    without: Mapping[str, Mapping[str, FactorCurve | None]],
    bootstrap: Bootstrap,
    test: PermutationTest,
) -> MeasureTrend:
    """Compute the trend of the tasks of some curves."""
    if not curves:
        return MeasureTrend()
    trend = fit_trend(list(curves.values()), bootstrap, test.n_permutations)
    is_tested = bool(without) and trend.smallest_p < test.significance
    return MeasureTrend(
        trend=trend,
        conditions=sum(len(curve.values) for curve in curves.values()),
        baseline_ratios=ratios,
        decisive=decisive_networks(trend, curves, without, bootstrap, test) if is_tested else None,
    )
