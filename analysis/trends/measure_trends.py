"""Tests of one measure: each term of a design, by task and pooled over tasks."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from analysis.trends.condition_data import ConditionData
from analysis.trends.curves import (
    Tasks,
    baseline_ratios,
    curves_without_each_network,
    incomparable_tasks,
    select_conditions,
    shared_conditions,
)
from analysis.trends.design import INTERACTION, PAIR, TREND, Cell, Design, Term
from analysis.trends.measures import DegeneracyMeasure
from analysis.trends.outcomes import NOT_DEFINED, Evidence, Outcome, judge
from analysis.trends.rows import POOLED
from analysis.trends.words import detail, words
from degen.statistics import (
    Bootstrap,
    FactorCurve,
    JointTest,
    PermutationTest,
    decisive_networks,
    fit_contrast,
    fit_crossed,
    fit_trend,
)

MAX_RATIO_AT_BASELINE = 1.4
"""A distance below this multiple of its split-half baseline is at the baseline [chosen]."""


@dataclasses.dataclass(frozen=True)
class MeasureTrend:
    """Test of one term of a design in one degeneracy measure, for one task or pooled over tasks.

    Attributes:
        design: factors of the experiment.
        term: the trend, difference or interaction that is tested.
        problem: reason why the term cannot be tested by the measure, empty if there is none.
        trend: the test, or None if `problem` is set or too few conditions have enough networks.
        signatures: conditions behind the test.
        log_degeneracies: for each cell the log degeneracy, the mean over tasks.
        baseline_ratios: ratio of each condition's distance to its split-half baseline, empty without one.
        decisive: for each network whose removal changes the direction, the test without it. None if not
            computed.
    """

    design: Design
    term: Term
    problem: str = ""
    trend: JointTest | None = None
    signatures: frozenset[str] = frozenset()
    log_degeneracies: Mapping[Cell, float] = dataclasses.field(default_factory=dict)
    baseline_ratios: tuple[float, ...] = ()
    decisive: Mapping[str, JointTest] | None = None

    @property
    def conditions(self) -> int:
        """Number of conditions."""
        return len(self.signatures)

    @property
    def conditions_at_baseline(self) -> int:
        """Number of conditions whose distance is at its baseline."""
        return sum(ratio < MAX_RATIO_AT_BASELINE for ratio in self.baseline_ratios)

    @property
    def is_at_baseline(self) -> bool:
        """True if the distances of all conditions are at their baseline."""
        return 0 < self.conditions == self.conditions_at_baseline

    def judge(self, opposed: str, significance: float) -> Outcome:
        """Return the outcome of the test: its direction, or the reason why it has none.

        Args:
            opposed: text that names two settings of DSA with opposite effects, empty if there are none.
            significance: p below which a trend is significant.
        """
        if self.problem:
            return Outcome(NOT_DEFINED, self.problem)
        if self.trend is None:
            return judge(None, significance)
        direction = self.trend.direction(significance)
        evidence = Evidence(
            direction=direction,
            words=words(self.term),
            detail=detail(self.design, self.term, self.log_degeneracies),
            problem=self.trend.problem,
            smallest_p=self.trend.smallest_p,
            detectable_change=self.trend.detectable_change,
            is_at_baseline=self.is_at_baseline,
            opposed=opposed,
            influential_networks=len(self.decisive or {}),
        )
        return judge(evidence, significance)


@dataclasses.dataclass(frozen=True)
class TermTests:
    """Settings of the tests of one measure.

    Args:
        design: factors of the experiment.
        measure: the measure.
        bootstrap: settings of the intervals.
        test: settings of the permutation tests.
        has_influence: whether to leave out each network in turn, which takes most of the time. It is not done
            for pairs of several levels.
    """

    design: Design
    measure: DegeneracyMeasure
    bootstrap: Bootstrap
    test: PermutationTest
    has_influence: bool

    def run(self, tasks: Tasks) -> dict[tuple[str, Term], MeasureTrend]:
        """Test each term for each task, and pooled over tasks if there are several.

        Args:
            tasks: conditions of each task.
        """
        results = {}
        problem = self.design.problem or incomparable_tasks(tasks, self.measure)
        if problem:
            names = [*tasks, POOLED] if len(tasks) > 1 else list(tasks)
            pairs = itertools.product(self.design.terms, names)
            return {(name, term): MeasureTrend(self.design, term, problem) for term, name in pairs}
        for term in self.design.terms:
            selected = select_conditions(tasks, self.design, term)
            curves = self._curves(selected, term)
            for task in tasks:
                of_task = {task: curves[task]} if task in curves else {}
                results[task, term] = self._test(of_task, term)
            if len(tasks) > 1:
                results[POOLED, term] = self._test(self._pooled(selected, curves, term), term)
        return results

    def _pooled(
        self, selected: Tasks, curves: Mapping[str, TaskCurves], term: Term
    ) -> Mapping[str, TaskCurves]:
        """Return the curves of the levels that all tasks share. Trends have any levels."""
        if term.kind == TREND and not self.design.is_crossed:
            return curves
        shared = shared_conditions(selected, self.design)
        return curves if shared == selected else self._curves(shared, term)

    def _curves(self, tasks: Tasks, term: Term) -> dict[str, TaskCurves]:
        has_influence = self.has_influence and term.kind != PAIR
        return {
            task: TaskCurves.build(conditions, self.design, self.measure, self.bootstrap, has_influence)
            for task, conditions in tasks.items()
        }

    def _test(self, tasks: Mapping[str, TaskCurves], term: Term) -> MeasureTrend:
        if not tasks:
            return MeasureTrend(self.design, term)
        fit = partial(self._fit, term, next(iter(tasks.values())).cells)
        curves = {task: of_task.curve for task, of_task in tasks.items()}
        trend = fit(list(curves.values()))
        without = {task: self._complete(of_task, term) for task, of_task in tasks.items() if of_task.without}
        significance = self.test.significance
        is_tested = bool(without) and trend.smallest_p < significance
        return MeasureTrend(
            self.design,
            term,
            "",
            trend,
            frozenset(signature for of_task in tasks.values() for signature in of_task.signatures),
            _log_degeneracies(list(tasks.values())),
            tuple(ratio for of_task in tasks.values() for ratio in of_task.ratios),
            decisive_networks(trend, curves, without, fit, significance) if is_tested else None,
        )

    def _fit(self, term: Term, cells: Sequence[Cell], curves: Sequence[FactorCurve]) -> JointTest:
        settings = self.bootstrap, self.test.n_permutations
        if not self.design.is_crossed:
            # Two levels have the same test as a trend.
            return (fit_trend if term.kind == TREND or term.pair else fit_contrast)(curves, *settings)
        crossed = fit_crossed(curves, [(cell[0], cell[1]) for cell in cells], *settings)
        if term.kind == INTERACTION:
            return crossed.interaction
        return crossed.second if term.factor else crossed.first

    def _complete(self, task: TaskCurves, term: Term) -> Mapping[str, FactorCurve | None]:
        """Return the curves without each network. Only trends of one factor may lose a condition."""
        if term.kind == TREND and not self.design.is_crossed:
            return task.without
        n_conditions = len(task.signatures)
        return {
            name: curve if curve is not None and len(curve.seeds) == n_conditions else None
            for name, curve in task.without.items()
        }


@dataclasses.dataclass(frozen=True)
class TaskCurves:
    """Curve of one task.

    Attributes:
        curve: curve of all networks.
        cells: levels of each condition.
        signatures: conditions of the curve.
        ratios: ratio of each distance to its split-half baseline, empty without one.
        without: the curve without each network, empty if it is not needed.
    """

    curve: FactorCurve
    cells: list[Cell]
    signatures: list[str]
    ratios: list[float]
    without: Mapping[str, FactorCurve | None]

    @classmethod
    def build(
        cls,
        conditions: Sequence[ConditionData],
        design: Design,
        measure: DegeneracyMeasure,
        bootstrap: Bootstrap,
        has_influence: bool,
    ) -> TaskCurves:
        """Build the curve of some conditions."""
        build = measure.build_curve
        return cls(
            build(conditions, bootstrap),
            [design.cell(data.condition) for data in conditions],
            [data.condition.signature for data in conditions],
            baseline_ratios(conditions, measure),
            curves_without_each_network(conditions, build, bootstrap) if has_influence else {},
        )


def _log_degeneracies(tasks: Sequence[TaskCurves]) -> dict[Cell, float]:
    """Return the log degeneracy of each cell, the mean over the tasks that have it."""
    logs: dict[Cell, list[float]] = {}
    for task in tasks:
        for cell, value in zip(task.cells, task.curve.values, strict=True):
            with np.errstate(divide="ignore"):
                logs.setdefault(cell, []).append(float(np.log(value)))
    return {cell: float(np.mean(values)) for cell, values in logs.items()}
