"""What the numbered figures are drawn from: the tables and matrices of one experiment."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.feature_learning import MEASURES
from analysis.results import Results, read_table
from degen.condition import Condition
from degen.files import read_metadata, read_tensors
from launch.conditions import Experiment

TASKS = {
    "flip_flop": "N-bit flip-flop",
    "delayed_discrimination": "delayed discrimination",
    "sine_wave": "sine wave",
    "path_integration": "path integration",
}
STATUSES = ("converged", "unconverged", "diverged", "missing")


@dataclasses.dataclass(frozen=True)
class Data:
    """An experiment and its results folder."""

    experiment: Experiment
    results: Results

    @property
    def is_there(self) -> bool:
        """Whether the experiment has been analysed."""
        return self.results.degeneracy.exists() and self.results.networks.exists()

    @cached_property
    def degeneracy(self) -> pd.DataFrame:
        """As `analysis.degeneracy.degeneracy` returns it."""
        return self._table(self.results.degeneracy)

    @cached_property
    def networks(self) -> pd.DataFrame:
        """Converged networks only: `analysis.gather.gather`, with their alignments."""
        table = self._table(self.results.networks)
        turned = self._table(self.results.feature_learning)
        columns = ["condition", "seed", *(name for name in MEASURES if name in turned)]
        good = table[table["status"] == "converged"]
        return good.merge(turned[columns], on=["condition", "seed"], how="left") if len(turned) else good

    @cached_property
    def trajectories(self) -> pd.DataFrame:
        """As `analysis.trajectories.trajectories` returns it; empty where there is none."""
        return self._table(self.results.trajectories)

    @cached_property
    def line_attractors(self) -> pd.DataFrame:
        """As `analysis.line_attractors.line_attractors` returns it; empty where there is none."""
        return self._table(self.results.line_attractors)

    def _table(self, path: Any) -> pd.DataFrame:
        """Rows of this experiment's conditions only: an older table may hold others."""
        table = read_table(path)
        if table is None:
            return pd.DataFrame(columns=["condition"])
        signatures = {condition.signature for condition in self.experiment.conditions}
        return table[table["condition"].isin(signatures)]

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Networks by status, a row for each condition: condition, task, factor and `STATUSES`."""
        table = self._table(self.results.networks)
        rows = []
        for condition in self.experiment.conditions:
            found = table[table["condition"] == condition.signature].get("status", pd.Series(dtype=str))
            row: dict[str, Any] = {status: int((found == status).sum()) for status in STATUSES[:-1]}
            row["missing"] = len(self.experiment.seeds) - len(found)
            known = {"condition": condition.signature, "label": condition.label, "task": condition.task_name}
            rows.append(known | {"factor": self.experiment.value(condition)} | row)
        return pd.DataFrame(rows)

    def conditions(self, task: str) -> list[Condition]:
        """Those of a task that are in the degeneracy table, lowest factor first."""
        there = set(self.degeneracy["condition"])
        kept = [c for c in self.experiment.conditions if c.task_name == task and c.signature in there]
        return sorted(kept, key=self.experiment.value)

    @cached_property
    def tasks(self) -> list[str]:
        """Tasks with something to draw, in the order of the paper."""
        named = {condition.task_name for condition in self.experiment.conditions}
        return [task for task in [*TASKS, *sorted(named - set(TASKS))] if self.conditions(task)]

    def matrix(self, metric: str, condition: Condition) -> NDArray[np.float64] | None:
        """Pairwise distances, or None where they were not computed."""
        path = self.results.matrix(metric, condition.signature)
        return read_tensors(path)[0]["distances"].numpy() if path.exists() else None

    @cached_property
    def choices(self) -> pd.DataFrame:
        """Settings that were chosen for a task, a row for each metric and task: as they stand in matrices."""
        rows = []
        for condition in self.experiment.conditions:
            for path in sorted(self.results.path.glob(f"matrices/*/{condition.signature}.safetensors")):
                # Matrices of earlier versions do not say it.
                chosen = read_metadata(path).get("chosen", {})
                if chosen:
                    rows.append({"metric": path.parent.name, "task": condition.task_name, **chosen})
        return pd.DataFrame(rows).drop_duplicates(ignore_index=True)

    def tick(self, condition: Condition) -> str:
        """The factor's value on an axis."""
        value = self.experiment.value(condition)
        return {True: "with", False: "without"}[value] if isinstance(value, bool) else f"{value:g}"


def task_words(task: str) -> str:
    """A task's name for a reader."""
    return TASKS.get(task, task.replace("_", " "))


def note(*data: Data, tasks: list[str] | None = None, has_bands: bool = False) -> str:
    """What stands under a figure: the networks behind it, those left out and why, bands, and the scale."""
    counts = pd.concat([one.counts for one in data])
    counts = counts[counts["task"].isin(tasks)] if tasks is not None else counts
    counts = counts.drop_duplicates("condition")
    drawn = counts[counts["converged"] >= 2]
    low, high = (drawn["converged"].min(), drawn["converged"].max()) if len(drawn) else (0, 0)
    words = [f"{low}" if low == high else f"{low} to {high}"]
    words[0] += f" converged networks a condition, {drawn['converged'].sum()} in all"
    left_out = [f"{counts[status].sum()} {status}" for status in STATUSES[1:] if counts[status].sum()]
    words.append("left out: " + (", ".join(left_out) or "none"))
    if len(drawn) < len(counts):
        words.append(f"{len(counts) - len(drawn)} of {len(counts)} conditions have no two converged networks")
    # Tables of earlier versions do not say it.
    said = [one.degeneracy["coverage"] for one in data if has_bands and "coverage" in one.degeneracy]
    coverages = sorted({value for column in said for value in column})
    if coverages:
        words.append(f"bands: {' and '.join(f'{value:.0%}' for value in coverages)} bootstrap intervals")
    name, _, rest = data[0].experiment.scale.partition(" ")
    scale = "" if data[0].experiment.scale == "full" else f". {name.upper()} SCALE {rest}".rstrip()
    return "; ".join(words) + scale
