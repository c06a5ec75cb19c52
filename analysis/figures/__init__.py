"""Figures of an experiment, drawn from tables and matrices only."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis.experiment_results import STATUSES, Data, factor_words, note, task_words
from analysis.figures import degeneracy, embedding, hyperparameters, loss
from analysis.results import Results, fingerprint, read_table
from degen.condition import Condition
from degen.files import read_tensors, sha256, write_atomically
from launch.experiment import Experiment


def draw_all(experiment: Experiment, results: Results) -> list[Path]:
    """Draw the figures of an experiment, unless they exist and were drawn from the same files.

    Figures of an earlier analysis that this analysis does not draw are removed.
    """
    sources = _Sources.load(experiment, results)
    made_from = sources.fingerprint()
    record = results.figures / ".made_from"  # the fingerprint, then one line per file
    lines = record.read_text(errors="replace").splitlines() if record.exists() else []
    previous, *names = lines or [""]
    drawn = [results.figures / name for name in names]
    if drawn and previous == made_from and all(path.exists() for path in drawn):
        print(f"figures: {len(drawn)} files, unchanged", flush=True)
        return drawn
    paths = sources.draw()
    for path in set(drawn) - set(paths):
        path.unlink(missing_ok=True)
    write_atomically(record, "\n".join([made_from, *(path.name for path in paths)]).encode())
    print(f"figures: {len(paths)} files, new", flush=True)
    return paths


@dataclasses.dataclass(frozen=True)
class _Sources:
    """Tables and files from which the figures of an experiment are drawn."""

    experiment: Experiment
    results: Results
    table: pd.DataFrame
    history: pd.DataFrame

    @classmethod
    def load(cls, experiment: Experiment, results: Results) -> _Sources:
        table, history = read_table(results.degeneracy), read_table(results.history)
        assert table is not None  # written by the steps before
        assert history is not None
        return cls(experiment, results, table, history)

    @cached_property
    def conditions(self) -> list[Condition]:
        """Trained conditions by task, in the order of the factor."""
        trained = set(self.history["condition"])
        ordered = self.experiment.sorted_by_factor(self.experiment.conditions)
        return sorted((c for c in ordered if c.signature in trained), key=lambda each: each.task_name)

    @cached_property
    def titles(self) -> dict[str, str]:
        return {c.signature: _title(self.experiment, c) for c in self.conditions}

    @cached_property
    def thresholds(self) -> dict[str, float]:
        return {c.signature: c.training.threshold for c in self.conditions}

    @cached_property
    def matrices(self) -> dict[str, Path]:
        """Files of DSA distances by signature."""
        return {c.signature: self.results.matrix("dsa", c.signature) for c in self._with_dsa(self.conditions)}

    @cached_property
    def selections(self) -> dict[str, Path]:
        """Files of DSA's hyperparameter selection by task."""
        tasks = dict.fromkeys(c.task_name for c in self._with_dsa(self.experiment.conditions))
        return {task: path for task in tasks if (path := self.results.choice("dsa", task)).exists()}

    def _with_dsa(self, conditions: list[Condition]) -> list[Condition]:
        measured = set(self.table["condition"][self.table["measure"] == "dsa"])
        return [condition for condition in conditions if condition.signature in measured]

    def fingerprint(self) -> str:
        files = [self.results.degeneracy, self.results.history]
        files += [*self.matrices.values(), *self.selections.values()]
        hashes = [sha256(file) for file in files]
        return fingerprint(hashes, self.titles, self.thresholds, self.experiment.label)

    def draw(self) -> list[Path]:
        data = Data(self.experiment, self.results)
        folder, caption = self.results.figures, note(data)
        paths = degeneracy.draw(self.table, self.experiment.label, caption, folder)
        counts = ", ".join(f"{data.counts[status].sum()} {status}" for status in STATUSES)
        loss_caption = f"all trained networks ({counts})"
        paths += loss.draw(self.history, self.titles, self.thresholds, loss_caption, folder)
        if self.matrices:
            distances = {
                key: read_tensors(path)[0]["distances"].numpy() for key, path in self.matrices.items()
            }
            paths += embedding.draw(distances, self.titles, "dsa", caption, folder)
        curves = _read_tables(self.selections)
        if curves:
            paths += hyperparameters.draw(curves, folder)
        return paths


def _read_tables(paths: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    tables = {name: read_table(path) for name, path in paths.items()}
    return {name: table for name, table in tables.items() if table is not None}


def _title(experiment: Experiment, condition: Condition) -> str:
    """Return the title of a condition's panel, in lines that fit its width."""
    factor = f"{experiment.label} = {factor_words(experiment.value(condition))}"
    return "\n".join([task_words(condition.task_name), *textwrap.wrap(factor, 28)])
