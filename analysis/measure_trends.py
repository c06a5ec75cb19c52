"""Trends of one measure, by task and pooled over tasks, with everything that their outcomes depend on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from analysis.curves import Tasks, baseline_curve, curves_without_each_network, with_enough_networks
from analysis.measures import DegeneracyMeasure
from analysis.outcomes import Evidence, Outcome, judge
from analysis.trend_rows import POOLED
from degen.statistics import Bootstrap, FactorCurve, PermutationTest, Trend, decisive_networks, fit_trend
from degen.statistics.inference import PooledContrasts

MIN_BASELINE_RATIO = 1.25
"""A distance is at its split-half baseline if the interval of their ratio reaches below this [chosen]."""


@dataclasses.dataclass(frozen=True)
class MeasureTrend:
    """Trend of a measure for one task, or pooled over tasks.

    Attributes:
        trend: the trend, None if fewer than two conditions have enough networks.
        conditions: number of conditions.
        baseline_ratios: ratio of each condition's distance to its split-half baseline, empty without one.
        conditions_at_baseline: number of conditions whose distance is at its baseline.
        decisive: trend without each network that changes the direction, None if it is not computed.
    """

    trend: Trend | None = None
    conditions: int = 0
    baseline_ratios: tuple[float, ...] = ()
    conditions_at_baseline: int = 0
    decisive: Mapping[str, Trend] | None = None

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
    ratios = _baseline_curves(enough, curves, measure, bootstrap)
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
            [ratios[task] for task in members if task in ratios],
            without,
            bootstrap,
            test,
        )
        for name, members in pools.items()
    }


def _measure_trend(
    curves: Mapping[str, FactorCurve],
    ratios: Sequence[FactorCurve],
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
        baseline_ratios=tuple(float(ratio) for curve in ratios for ratio in curve.values),
        conditions_at_baseline=sum(_count_at_baseline(curve, bootstrap) for curve in ratios),
        decisive=decisive_networks(trend, curves, without, bootstrap, test) if is_tested else None,
    )


def _baseline_curves(
    tasks: Tasks, curves: Mapping[str, FactorCurve], measure: DegeneracyMeasure, bootstrap: Bootstrap
) -> dict[str, FactorCurve]:
    """Return for each task the ratio of the measure to its split-half baseline, if it has one."""
    if len(measure.metrics) != 1:
        return {}
    (metric,) = measure.metrics
    ratios = {
        task: baseline_curve(conditions, metric, curves[task], bootstrap)
        for task, conditions in tasks.items()
    }
    return {task: curve for task, curve in ratios.items() if curve is not None}


def _count_at_baseline(ratios: FactorCurve, bootstrap: Bootstrap) -> int:
    """Return the number of conditions whose distance is at its split-half baseline."""
    n_conditions = len(ratios.seeds)
    logarithms = PooledContrasts(
        [ratios],
        [np.eye(n_conditions)],
        bootstrap,
        n_permutations=0,
        null_curves=[ratios],
        strata=[[0] * n_conditions],
    )
    return sum(not low > math.log(MIN_BASELINE_RATIO) for _, low, _ in logarithms.intervals)
