"""Comparison with Table 1 of the paper: the trend of every measure along every factor."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from analysis.cache import read_table
from analysis.measures import (
    LEVELS,
    ConditionData,
    CurveBuilder,
    DegeneracyMeasure,
    available_measures,
    paper_measure,
)
from analysis.progress import track
from analysis.replication.outcomes import FACTORS, POOLED, OutcomeRow, compare_directions
from analysis.results import ResultsFolder
from degen.statistics import (
    Bootstrap,
    FactorCurve,
    PermutationTest,
    Trend,
    decisive_networks,
    fit_trend,
    leave_one_out_curves,
)
from degen.statistics.bootstrap import MIN_NETWORKS
from launch.experiment import Experiment


def compare_with_paper(
    experiments: Sequence[Experiment],
    folder: Callable[[str], ResultsFolder],
    bootstrap: Bootstrap,
    test: PermutationTest,
) -> list[OutcomeRow]:
    """Compute the trends of all measures of the last analysis, by task and pooled over tasks.

    Conditions with fewer than three converged networks are left out, and tasks with fewer than two remaining
    conditions.

    Args:
        experiments: analyzed experiments. Those without a factor of Table 1 are ignored.
        folder: returns the results folder of an experiment.
        bootstrap: settings of the intervals.
        test: settings of the permutation tests.
    """
    by_name = {experiment.name: experiment for experiment in experiments}
    rows: list[OutcomeRow] = []
    for factor, (names, directions) in track("Table 1", list(FACTORS.items()), unit="factors"):
        paper_directions = dict(zip(LEVELS, directions, strict=True))
        for name in names:
            if name in by_name and folder(name).networks.exists() and folder(name).degeneracy.exists():
                comparison = _Comparison.load(
                    factor, paper_directions, by_name[name], folder(name), bootstrap, test
                )
                rows += comparison.rows()
    return rows


def conditions_by_task(
    experiment: Experiment, results: ResultsFolder, networks: pd.DataFrame
) -> dict[str, list[ConditionData]]:
    """Return for each task the conditions with enough converged networks, in the order of the factor."""
    converged = networks[networks["status"] == "converged"].sort_values("seed")
    by_task = {}
    ordered = sorted(experiment.sorted_by_factor(experiment.conditions), key=lambda each: each.task_name)
    for task, conditions in groupby(ordered, key=lambda condition: condition.task_name):
        sources = [
            ConditionData(c, converged[converged["condition"] == c.signature], results) for c in conditions
        ]
        enough = [source for source in sources if len(source.seeds) >= MIN_NETWORKS]
        if len(enough) >= 2:
            by_task[task] = enough
    return by_task


def curves_without_each_network(
    conditions: Sequence[ConditionData], build: CurveBuilder, bootstrap: Bootstrap
) -> dict[str, FactorCurve | None]:
    """Build the curve of one task without each network in turn (`leave_one_out_curves`)."""
    by_name = {f"{source.condition.task_name} {source.condition.name}": source for source in conditions}

    def build_without(left_out: Mapping[str, int | None]) -> FactorCurve:
        remaining = [
            dataclasses.replace(by_name[name], left_out=seed) if seed is not None else by_name[name]
            for name, seed in left_out.items()
        ]
        return build(remaining, bootstrap)

    return leave_one_out_curves({name: source.seeds for name, source in by_name.items()}, build_without)


@dataclasses.dataclass(frozen=True)
class _Comparison:
    """Tables of one experiment, and the settings by which they are compared with the paper."""

    factor: str
    paper_directions: Mapping[str, str]
    experiment: Experiment
    networks: pd.DataFrame
    degeneracy: pd.DataFrame
    conditions: Mapping[str, Sequence[ConditionData]]
    bootstrap: Bootstrap
    test: PermutationTest

    @classmethod
    def load(
        cls,
        factor: str,
        paper_directions: Mapping[str, str],
        experiment: Experiment,
        results: ResultsFolder,
        bootstrap: Bootstrap,
        test: PermutationTest,
    ) -> _Comparison:
        networks, degeneracy = read_table(results.networks), read_table(results.degeneracy)
        assert networks is not None
        assert degeneracy is not None
        conditions = conditions_by_task(experiment, results, networks)
        return cls(factor, paper_directions, experiment, networks, degeneracy, conditions, bootstrap, test)

    def rows(self) -> Iterator[OutcomeRow]:
        for level, named in available_measures(self.degeneracy).items():
            for name, measure in named.items():
                yield from self._measure_rows(level, name, measure)

    def _measure_rows(self, level: str, name: str, measure: DegeneracyMeasure) -> Iterator[OutcomeRow]:
        """Yield the row of each task and of all tasks."""
        is_paper_measure = name == paper_measure(self.experiment.name, level)
        curves = {
            task: measure.build_curve(sources, self.bootstrap) for task, sources in self.conditions.items()
        }
        without = None
        if is_paper_measure and level in LEVELS:  # leaving out each network takes most of the time
            without = {
                task: curves_without_each_network(sources, measure.build_curve, self.bootstrap)
                for task, sources in self.conditions.items()
            }
        paper_direction = self.paper_directions.get(level, "") if measure.has_arrow else ""
        pools = {**{task: {task: curve} for task, curve in curves.items()}, POOLED: curves}
        for task, pool in pools.items():
            if pool:
                trend = fit_trend(list(pool.values()), self.bootstrap, self.test.n_permutations)
                yield OutcomeRow(
                    factor=self.factor,
                    experiment=self.experiment.name,
                    task=task,
                    level=level,
                    measure=name,
                    is_paper_measure=is_paper_measure,
                    conditions=sum(len(curve.values) for curve in pool.values()),
                    **self._trend_columns(trend, paper_direction),
                    **self._count_networks(task, trend.networks),
                    baseline_ratio=self._baseline_ratio(measure, list(pool)),
                    **self._influence(trend, pool, without, paper_direction),
                )

    def _trend_columns(self, trend: Trend, paper_direction: str) -> dict[str, Any]:
        """Return the columns of a trend and its comparison with the paper."""
        direction = trend.direction(self.test.significance)
        return {
            "networks": trend.networks,
            "effect": float(np.expm1(trend.effect)),
            "low": float(np.expm1(trend.low)),
            "high": float(np.expm1(trend.high)),
            "p": trend.p,
            "slope": trend.slope,
            "spearman": trend.spearman,
            "direction": direction,
            "paper_direction": paper_direction,
            "outcome": compare_directions(direction, paper_direction),
        }

    def _count_networks(self, task: str, n_networks: int) -> dict[str, Any]:
        """Count the networks that are not behind a row: left out, or not trained yet."""
        conditions = [c for c in self.experiment.conditions if task in (POOLED, c.task_name)]
        signatures = {condition.signature for condition in conditions}
        trained = int(self.networks["condition"].isin(signatures).sum())
        planned = len(signatures) * len(self.experiment.seeds)
        return {"left_out": trained - n_networks, "missing": planned - trained}

    def _baseline_ratio(self, measure: DegeneracyMeasure, tasks: Sequence[str]) -> float:
        """Return the smallest ratio of a distance to its split-half baseline, NaN without a baseline."""
        signatures = [source.condition.signature for task in tasks for source in self.conditions[task]]
        table = self.degeneracy[self.degeneracy["condition"].isin(signatures)]

        def values(ending: str) -> pd.Series:
            rows = table[table["measure"].isin([f"{metric}{ending}" for metric in measure.metrics])]
            return rows.set_index("condition")["value"]

        baselines = values("_null")
        return float((values("") / baselines).min()) if len(baselines) else np.nan

    def _influence(
        self,
        trend: Trend,
        curves: Mapping[str, FactorCurve],
        without: Mapping[str, Mapping[str, FactorCurve | None]] | None,
        paper_direction: str,
    ) -> dict[str, Any]:
        """Count the influential networks, and describe the trend without the most influential one."""
        if without is None:
            return {"influential_networks": None, "most_influential": ""}
        decisive = decisive_networks(trend, curves, without, self.bootstrap, self.test)
        if not decisive:
            return {"influential_networks": 0, "most_influential": ""}
        network, rest = next(iter(decisive.items()))
        outcome = compare_directions(rest.direction(self.test.significance), paper_direction)
        effect, low, high = (f"{np.expm1(value):+.0%}" for value in (rest.effect, rest.low, rest.high))
        p = f", p = {rest.p:.2g}" if rest.excludes_zero else ""
        description = f"{network}: {outcome}, {effect} [{low}, {high}]{p}"
        return {"influential_networks": len(decisive), "most_influential": description}
