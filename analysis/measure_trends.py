"""Trends of one measure, by task and pooled over tasks, with everything that their outcomes depend on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import norm

from analysis.curves import Tasks, baseline_curve, curves_without_each_network, with_enough_networks
from analysis.measures import DegeneracyMeasure
from analysis.outcomes import Evidence, Outcome, judge
from analysis.trend_rows import POOLED
from degen.statistics import Bootstrap, FactorCurve, PermutationTest, Trend, decisive_networks, fit_trend

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
        p_error: Monte Carlo standard error of p.
        smallest_p: smallest p that the permutation test can give.
        detectable_change: change of the log degeneracy that would be detected with power 0.8.
        decisive: trend without each network that changes the direction, None if it is not computed.
    """

    trend: Trend | None = None
    conditions: int = 0
    baseline_ratios: tuple[float, ...] = ()
    conditions_at_baseline: int = 0
    p_error: float = math.nan
    smallest_p: float = math.nan
    detectable_change: float = math.nan
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
        numbers = (self.trend.effect, self.trend.low, self.trend.high, self.trend.p)
        evidence = Evidence(
            direction=self.trend.direction(significance),
            is_defined=all(map(math.isfinite, numbers)),
            smallest_p=self.smallest_p,
            detectable_change=self.detectable_change,
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
    p_error, smallest_p, detectable_change = _limits(trend, curves, bootstrap, test)
    can_decide = smallest_p < test.significance
    return MeasureTrend(
        trend=trend,
        conditions=sum(len(curve.values) for curve in curves.values()),
        baseline_ratios=tuple(float(ratio) for curve in ratios for ratio in curve.values),
        conditions_at_baseline=sum(_count_at_baseline(curve, bootstrap) for curve in ratios),
        p_error=p_error,
        smallest_p=smallest_p,
        detectable_change=detectable_change,
        decisive=decisive_networks(trend, curves, without, bootstrap, test)
        if without and can_decide
        else None,
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
    return sum(bootstrap.interval(samples)[0] < MIN_BASELINE_RATIO for samples in ratios.bootstrap_values)


def _limits(
    trend: Trend, curves: Mapping[str, FactorCurve], bootstrap: Bootstrap, test: PermutationTest
) -> tuple[float, float, float]:
    """Return p_error, smallest_p and detectable_change of a trend."""
    # To be replaced by the attributes of `Trend` of these names.
    counts = [
        np.unique(np.concatenate([np.asarray(seeds) for seeds in curve.seeds]), return_counts=True)[1]
        for curve in curves.values()
    ]
    log_permutations = sum(math.lgamma(count + 1) for task in counts for count in task)
    smallest = max(1 / (1 + test.n_permutations), 2 * math.exp(-log_permutations))
    error = math.sqrt(trend.p * (1 - trend.p) / test.n_permutations)
    deviation = (trend.high - trend.low) / (2 * norm.ppf((1 + bootstrap.level) / 2))
    return error, smallest, float((norm.ppf(1 - test.significance / 2) + norm.ppf(0.8)) * deviation)
