"""Results of one experiment: the tables and matrices that figures and reports show."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.cache import read_table, require_table
from analysis.labels import format_factor, sort_tasks, task_title
from analysis.manifest import Manifest, read_manifest
from analysis.results import ResultsFolder
from analysis.settings import analyze_command
from analysis.steps.feature_learning import ALIGNMENTS
from analysis.steps.hyperparameters import format_hyperparameters
from analysis.trends.factors import factor_columns
from analysis.trends.rows import TrendRow, trend_rows
from degen.condition import Condition
from degen.errors import require
from degen.files import read_metadata, read_tensors
from launch.experiment import Experiment

STATUSES_AND_MISSING = ("converged", "unconverged", "diverged", "missing")


@dataclasses.dataclass(frozen=True)
class ExperimentResults:
    """An experiment and its results folder."""

    experiment: Experiment
    results: ResultsFolder

    @property
    def exists(self) -> bool:
        """True if the experiment has been analyzed."""
        return self.results.degeneracy.exists() and self.results.networks.exists()

    @cached_property
    def manifest(self) -> Manifest | None:
        """The manifest of the results folder, None if it is missing or damaged."""
        return read_manifest(self.results.path)

    def require_complete(self, overrides: Sequence[str]) -> None:
        """Check that the results are complete and come from one analysis of the experiment as it is now.

        Args:
            overrides: overrides that the experiment was composed with.

        Raises:
            BadInputError: the results are incomplete, changed, or from an analysis of other conditions.
        """
        folder, manifest = self.results.path, self.manifest
        rerun = f"rerun {analyze_command(self.experiment, [])}"
        complete = f"a folder whose analysis has finished ({rerun})"
        require(manifest is not None, "results", str(folder), complete)
        assert manifest is not None
        analyzed = manifest.settings["overrides"]
        allowed = f"those that {folder} was analyzed with, {analyzed} (or {rerun})"
        require(analyzed == list(overrides), "overrides", list(overrides), allowed)
        signatures = {condition.signature for condition in self.experiment.conditions}
        seeds = {seed for seeds in manifest.networks.values() for seed in seeds}
        is_current = set(manifest.networks) <= signatures and seeds <= set(self.experiment.seeds)
        require(is_current, "results", str(folder), f"of the experiment as it is now ({rerun})")
        changed = manifest.changed_files(folder)
        require(not changed, "results", f"{folder} with other or missing files, {changed[:1]}", complete)

    @cached_property
    def degeneracy(self) -> pd.DataFrame:
        """The table of `analysis.steps.degeneracy.compute_degeneracy`."""
        return self._table(self.results.degeneracy)

    @cached_property
    def trends(self) -> list[TrendRow]:
        """The rows of `analysis.steps.trends.compute_trends`."""
        return trend_rows(require_table(self.results.trends))

    @cached_property
    def networks(self) -> pd.DataFrame:
        """The converged networks of `analysis.steps.networks.collect_networks`, with their alignments."""
        table = self._table(self.results.networks)
        alignments = self._table(self.results.feature_learning)
        columns = ["condition", "seed", *(name for name in ALIGNMENTS if name in alignments)]
        converged = table[table["status"] == "converged"]
        if alignments.empty:
            return converged
        return converged.merge(alignments[columns], on=["condition", "seed"], how="left")

    @cached_property
    def trajectories(self) -> pd.DataFrame:
        """The table of `analysis.steps.trajectories.compute_trajectories`, empty if there is none."""
        return self._table(self.results.trajectories)

    @cached_property
    def example_trials(self) -> pd.DataFrame:
        """The table of `analysis.steps.example_trials.compute_example_trials`, empty if there is none."""
        return self._table(self.results.example_trials)

    @cached_property
    def line_attractors(self) -> pd.DataFrame:
        """The table of `analysis.steps.line_attractors.measure_line_attractors`, empty if there is none."""
        return self._table(self.results.line_attractors)

    @cached_property
    def snapshots(self) -> pd.DataFrame:
        """The table of `analysis.steps.snapshots.compute_snapshots`, empty if there is none."""
        return self._table(self.results.snapshots)

    @cached_property
    def solutions(self) -> pd.DataFrame:
        """The table of `analysis.steps.solutions.compute_solutions`, empty if there is none."""
        return self._table(self.results.solutions)

    @cached_property
    def between(self) -> pd.DataFrame:
        """The table of `analysis.steps.between_levels.compute_between_levels`, empty if there is none."""
        table = read_table(self.results.between)
        if table is None:
            return pd.DataFrame()
        signatures = {condition.signature for condition in self.experiment.conditions}
        return table[table["condition_a"].isin(signatures) & table["condition_b"].isin(signatures)]

    def between_matrix(self, metric: str, first: str, second: str) -> NDArray[np.float64]:
        """Return the distances between all networks of two conditions that a metric compared."""
        return read_tensors(self.results.between_distances(metric, first, second))[0]["distances"].numpy()

    def _table(self, path: Path) -> pd.DataFrame:
        """Return the rows of a table that belong to the conditions of the experiment."""
        table = read_table(path)
        if table is None:
            return pd.DataFrame(columns=["condition"])
        signatures = {condition.signature for condition in self.experiment.conditions}
        return table[table["condition"].isin(signatures)]

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Number of networks by status, one row per condition.

        Columns: condition, label, task, factor_name, factor_value and `STATUSES_AND_MISSING`.
        """
        table = self._table(self.results.networks)
        rows = []
        for condition in self.experiment.conditions:
            rows_here = table[table["condition"] == condition.signature]
            statuses = rows_here.get("status", pd.Series(dtype=str))
            row: dict[str, Any] = {"condition": condition.signature, "label": condition.label}
            row |= {"task": condition.task_name} | factor_columns(self.experiment, condition)
            row |= {status: int((statuses == status).sum()) for status in STATUSES_AND_MISSING[:-1]}
            rows.append(row | {"missing": len(self.experiment.seeds) - len(statuses)})
        return pd.DataFrame(rows)

    def conditions(self, task: str) -> list[Condition]:
        """Return the conditions of a task that have rows in the `degeneracy` table, sorted by the factor."""
        measured = set(self.degeneracy["condition"])
        conditions = [condition for condition in self.experiment.conditions if condition.task_name == task]
        return self.experiment.sorted_by_factor([c for c in conditions if c.signature in measured])

    @cached_property
    def tasks(self) -> list[str]:
        """Tasks with measured conditions, in the paper's order."""
        names = sort_tasks(condition.task_name for condition in self.experiment.conditions)
        return [task for task in names if self.conditions(task)]

    def matrix(self, metric: str, condition: Condition) -> NDArray[np.float64] | None:
        """Return the pairwise distances, or None if the last analysis did not compute them."""
        rows = self.degeneracy[self.degeneracy["condition"] == condition.signature]
        path = self.results.matrix(metric, condition.signature)
        is_measured = metric in set(rows["measure"]) and path.exists()
        return read_tensors(path)[0]["distances"].numpy() if is_measured else None

    @cached_property
    def hyperparameters(self) -> pd.DataFrame:
        """Hyperparameters of the measured metrics. Columns: metric, task, settings."""
        rows = []
        keys = ["task", "condition", "measure"]
        measured = self.degeneracy.reindex(columns=keys).drop_duplicates()  # no such columns if not analyzed
        for task, signature, metric in measured.to_numpy():
            path = self.results.matrix(metric, signature)
            hyperparameters = read_metadata(path).get("hyperparameters", {}) if path.exists() else {}
            if hyperparameters:
                rows.append((metric, task, format_hyperparameters(hyperparameters)))
        return pd.DataFrame(rows, columns=["metric", "task", "settings"]).drop_duplicates(ignore_index=True)

    def unit(self, metric: str) -> str:
        """Return the unit of a distance: the score of DSA, or empty if there is none."""
        measured = self.degeneracy.reindex(columns=["condition", "measure"]).drop_duplicates()
        signatures = measured["condition"][measured["measure"] == metric]
        paths = [self.results.matrix(metric, signature) for signature in signatures]
        scores = {read_metadata(path)["metric"].get("score", "") for path in paths if path.exists()}
        return ", ".join("rad" if score == "angular" else score for score in sorted(scores))

    def tick(self, condition: Condition) -> str:
        """Return the tick label of a condition: the value of its factor."""
        return format_factor(self.experiment.value(condition))

    def tick_with_networks(self, condition: Condition) -> str:
        """Return the tick label, with the number of converged networks if some are left out."""
        counts = self.counts
        converged = int(counts["converged"][counts["condition"] == condition.signature].iloc[0])
        planned = len(self.experiment.seeds)
        return self.tick(condition) + (f"\n{converged} of {planned}" if converged < planned else "")

    def title(self, task: str) -> str:
        """Return the title of a task, with the number of bits if all flip-flops have the same number."""
        bits = {c.value("task.channels") for c in self.conditions(task)} if task == "flip_flop" else set()
        return f"{bits.pop()}-bit flip-flop" if len(bits) == 1 else task_title(task)
