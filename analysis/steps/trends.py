"""Trends: effect, interval, p and outcome of every measure along the factor of an experiment."""

from __future__ import annotations

import dataclasses
import logging
from functools import cached_property, reduce
from typing import Any

import numpy as np
import pandas as pd

from analysis.cache import cached, fingerprint, read_fingerprint, require_table, write_csv
from analysis.labels import task_title
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.trends.condition_data import ConditionData
from analysis.trends.curves import Tasks, below_threshold, conditions_by_task
from analysis.trends.design import Design, Term, find_design
from analysis.trends.measure_trends import MeasureTrend, TermTests
from analysis.trends.measures import (
    DegeneracyMeasure,
    available_measures,
    main_measures,
    variants,
)
from analysis.trends.outcomes import NO_EFFECT
from analysis.trends.rows import (
    POOLED,
    TrendRow,
    correct_pairs,
    trend_rows,
    trend_table,
    with_false_discovery_rate,
)
from analysis.trends.specification import opposed_embeddings
from analysis.trends.words import format_pair, words
from degen.condition import Condition
from degen.files import sha256
from degen.statistics import Bootstrap, JointTest, PermutationTest, Trend
from degen.statistics.joint_test import NO_DIRECTION
from launch.experiment import Experiment

VERSION = 2
"""Increase it whenever the numbers change, so that stored tables are computed again."""

logger = logging.getLogger(__name__)


def compute_trends(
    experiment: Experiment,
    results: ResultsFolder,
    bootstrap: Bootstrap,
    test: PermutationTest,
    min_converged_fraction: float,
) -> list[TrendRow]:
    """Store the table of trends, as parquet and as CSV.

    The table has one row per task, measure and term, and one for all tasks if there are several. Terms are
    the trend along a factor, differences between its levels, and the interaction of two factors. Conditions
    with too few converged networks are left out, and tasks with fewer than two remaining conditions.
    Columns: attributes of `TrendRow`.

    Args:
        min_converged_fraction: fraction of a condition's finished networks that must have converged.
    """
    degeneracy, networks = require_table(results.degeneracy), require_table(results.networks)
    measures = degeneracy[["measure", "condition"]].itertuples(index=False)
    matrices = [read_fingerprint(results.matrix(*row)) for row in measures]  # None if it is not a metric
    tables = [sha256(results.degeneracy), sha256(results.networks)]
    settings = dataclasses.asdict(bootstrap), dataclasses.asdict(test), min_converged_fraction
    key = fingerprint(VERSION, *settings, experiment.label, tables, matrices)
    trends = ExperimentTrends(experiment, degeneracy, networks, bootstrap, test, min_converged_fraction)
    is_new = cached(results.trends, key, lambda: trend_table(trends.rows(results)))
    table = require_table(results.trends)
    write_csv(results.trends, table)
    logger.info("trends: %d rows, %s", len(table), "new" if is_new else "unchanged")
    return trend_rows(table)


Key = tuple[str, str, str, Term]
"""Level, measure, task or `POOLED`, and term."""


@dataclasses.dataclass(frozen=True)
class ExperimentTrends:
    """Tables of an experiment and settings from which its trends are computed."""

    experiment: Experiment
    degeneracy: pd.DataFrame
    networks: pd.DataFrame
    bootstrap: Bootstrap
    test: PermutationTest
    min_converged_fraction: float

    @cached_property
    def design(self) -> Design:
        """Factors of the experiment."""
        return find_design(self.experiment)

    def rows(self, results: ResultsFolder) -> list[TrendRow]:
        """Compute the rows, also with only the networks below the threshold on fresh trials."""
        tasks = conditions_by_task(
            self.experiment, self.design, results, self.networks, self.min_converged_fraction
        )
        rows = self._rows(tasks)
        strict_tasks, strict = below_threshold(tasks), rows
        if any(data.left_out for conditions in strict_tasks.values() for data in conditions):
            strict = self._rows(strict_tasks)
        merged = [
            dataclasses.replace(
                row,
                outcome_below_threshold=strict[key].outcome,
                networks_below_threshold=strict[key].networks,
            )
            for key, row in rows.items()
        ]
        return with_false_discovery_rate(merged)

    def _rows(self, tasks: Tasks) -> dict[Key, TrendRow]:
        """Compute the rows of some networks."""
        available = available_measures(self.degeneracy)
        main = main_measures(self.experiment.name, available)
        parents = variants(self.degeneracy)
        measures = [
            (level, name, measure) for level, named in available.items() for name, measure in named.items()
        ]
        trends = {
            (level, name): TermTests(
                self.design, measure, self.bootstrap, self.test, has_influence=name in main
            ).run(self._measured(tasks, name, measure))
            for level, name, measure in track("trends", measures, unit="measures")
        }
        rows = {}
        for (level, name), tests in trends.items():
            family = [key for key in trends if parents.get(key[1], key[1]) == parents.get(name, name)]
            for (task, term), trend in tests.items():
                opposed = opposed_embeddings(
                    {key[1]: trends[key][task, term] for key in family if (task, term) in trends[key]}
                )
                rows[level, name, task, term] = self._row(level, name, task, trend, opposed, name in main)
        return dict(zip(rows, correct_pairs(list(rows.values())), strict=True))

    def _measured(self, tasks: Tasks, name: str, measure: DegeneracyMeasure) -> Tasks:
        """Leave out tasks, conditions and networks that a measure is not available for."""
        measured = set(zip(self.degeneracy["condition"], self.degeneracy["measure"], strict=True))
        required = {name, *measure.metrics, *measure.rows} & set(self.degeneracy["measure"])
        available = {
            task: [
                reduce(ConditionData.covered_by, measure.metrics, data)
                for data in conditions
                if all((data.condition.signature, metric) in measured for metric in required)
            ]
            for task, conditions in tasks.items()
        }
        return {task: conditions for task, conditions in available.items() if conditions}

    def _row(
        self, level: str, name: str, task: str, measured: MeasureTrend, opposed: str, is_main: bool
    ) -> TrendRow:
        """Return a row. Columns of the networks below the threshold and q are set later."""
        outcome = measured.judge(opposed, self.test.significance)
        n_tasks = len(self._task_names)
        return TrendRow(
            experiment=self.experiment.name,
            task=task,
            term=measured.term.name,
            kind=measured.term.kind,
            levels=format_pair(measured.term),
            level=level,
            measure=name,
            variant_of=variants(self.degeneracy).get(name, ""),
            is_main_measure=is_main,
            is_headline=is_main and (task == POOLED or n_tasks == 1),
            conditions=measured.conditions,
            **_trend_columns(measured.trend, self.test.significance),
            q=np.nan,
            nominal_level=self.bootstrap.level,
            significance=self.test.significance,
            outcome=outcome.word,
            outcome_detail=outcome.detail,
            outcome_below_threshold=outcome.word,
            networks_below_threshold=0,
            baseline_ratio=min(measured.baseline_ratios, default=np.nan),
            conditions_at_baseline=measured.conditions_at_baseline,
            **_influence_columns(measured, self.test.significance),
            **self._network_columns(task, measured),
        )

    def _network_columns(self, task: str, measured: MeasureTrend) -> dict[str, Any]:
        """Count the networks behind a row, those left out, and those not trained yet."""
        conditions = [
            condition
            for condition in self.experiment.conditions
            if task in (POOLED, condition.task_name) and self.design.is_compared(condition, measured.term)
        ]
        signatures = {condition.signature for condition in conditions}
        trained = int(self.networks["condition"].isin(signatures).sum())
        networks = 0 if measured.trend is None else measured.trend.networks
        left_out = [condition for condition in conditions if condition.signature not in measured.signatures]
        return {
            "networks": networks,
            "left_out": trained - networks,
            "left_out_conditions": ", ".join(map(self._describe, left_out)),
            "missing": len(signatures) * len(self.experiment.seeds) - trained,
        }

    def _describe(self, condition: Condition) -> str:
        """Describe a condition and its converged networks."""
        statuses = self.networks["status"][self.networks["condition"] == condition.signature]
        task = f"{task_title(condition.task_name)} " if len(self._task_names) > 1 else ""
        n_converged = int((statuses == "converged").sum())
        convergence = f"{n_converged} of {len(statuses)} converged" if len(statuses) else "not trained"
        return f"{task}{self.design.describe(condition)} ({convergence})"

    @property
    def _task_names(self) -> set[str]:
        return {condition.task_name for condition in self.experiment.conditions}


_LOGARITHMS = ("effect", "low", "high", "detectable_change")
_OTHERS = ("p", "p_error", "smallest_p")
"""Attributes of `JointTest` that are columns, as relative changes or as they are."""


def _trend_columns(trend: JointTest | None, significance: float) -> dict[str, Any]:
    """Return the columns of a trend, NaN if there is none."""
    if trend is None:
        return {**dict.fromkeys((*_LOGARITHMS, *_OTHERS, "spearman"), np.nan), "direction": NO_DIRECTION}
    with np.errstate(over="ignore"):
        columns = {name: float(np.expm1(getattr(trend, name))) for name in _LOGARITHMS}
    columns |= {name: getattr(trend, name) for name in _OTHERS}
    columns["spearman"] = trend.spearman if isinstance(trend, Trend) else np.nan
    return {**columns, "direction": trend.direction(significance)}


def _influence_columns(measured: MeasureTrend, significance: float) -> dict[str, Any]:
    """Count the influential networks, and describe the trend without the most influential one."""
    decisive = measured.decisive
    if not decisive:
        return {"influential_networks": None if decisive is None else 0, "most_influential": ""}
    network, rest = next(iter(decisive.items()))
    parts = [words(measured.term).get(rest.direction(significance), NO_EFFECT)]
    if rest.n_effects == 1:
        effect, low, high = (f"{np.expm1(value):+.0%}" for value in (rest.effect, rest.low, rest.high))
        parts.append(f"{effect} [{low}, {high}]")
    if rest.excludes_zero or rest.n_effects > 1:
        parts.append(f"p = {rest.p:.2g}")
    description = f"without {network}: {', '.join(parts)}"
    return {"influential_networks": len(decisive), "most_influential": description}
