"""What the numbered figures are drawn from: the tables and matrices of one experiment."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from analysis.results import Results, read_table
from analysis.steps.feature_learning import MEASURES
from analysis.steps.hyperparameters import settings_text
from degen.condition import Condition
from degen.files import read_metadata, read_tensors
from launch.experiment import Experiment

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

    @property
    def is_of_the_experiment(self) -> bool:
        """Whether what was analysed are conditions and seeds of the experiment as it is now."""
        table = read_table(self.results.networks)
        signatures = {condition.signature for condition in self.experiment.conditions}
        return (
            table is not None
            and set(table["condition"]) <= signatures
            and set(table["seed"]) <= set(self.experiment.seeds)
        )

    @property
    def is_finished(self) -> bool:
        """Whether the last analysis went to its end, by its mark and as its tables say."""
        found, gathered = read_table(self.results.degeneracy), read_table(self.results.networks)
        assert found is not None
        assert gathered is not None
        behind = self.degeneracy.drop_duplicates("condition").set_index("condition")["converged"]
        counts = self.counts.set_index("condition")["converged"]
        made_from = gathered.attrs["made_from"]
        is_same = found.attrs.get("networks", made_from) == made_from  # earlier versions did not say
        return not self.results.is_under_way and is_same and bool((behind == counts[behind.index]).all())

    @property
    def overrides(self) -> list[str] | None:
        """Those that it was analysed with; None where earlier versions did not say."""
        settings = self.results.settings
        return yaml.safe_load(settings.read_text())["overrides"] if settings.exists() else None

    @cached_property
    def degeneracy(self) -> pd.DataFrame:
        """As `analysis.steps.degeneracy.degeneracy` returns it."""
        return self._table(self.results.degeneracy)

    @cached_property
    def networks(self) -> pd.DataFrame:
        """Converged networks only: `analysis.steps.networks.gather`, with their alignments."""
        table = self._table(self.results.networks)
        turned = self._table(self.results.feature_learning)
        columns = ["condition", "seed", *(name for name in MEASURES if name in turned)]
        good = table[table["status"] == "converged"]
        return good.merge(turned[columns], on=["condition", "seed"], how="left") if len(turned) else good

    @cached_property
    def trajectories(self) -> pd.DataFrame:
        """As `analysis.steps.trajectories.trajectories` returns it; empty where there is none."""
        return self._table(self.results.trajectories)

    @cached_property
    def line_attractors(self) -> pd.DataFrame:
        """As `analysis.steps.line_attractors.line_attractors` returns it; empty where there is none."""
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
            rows.append(known | {"factor": self.experiment.table_value(condition)} | row)
        return pd.DataFrame(rows)

    def conditions(self, task: str) -> list[Condition]:
        """Those of a task that are in the degeneracy table, lowest factor first."""
        there = set(self.degeneracy["condition"])
        kept = [c for c in self.experiment.conditions if c.task_name == task and c.signature in there]
        return self.experiment.sorted_by_factor(kept)

    @cached_property
    def tasks(self) -> list[str]:
        """Tasks with something to draw, in the order of the paper."""
        named = {condition.task_name for condition in self.experiment.conditions}
        return [task for task in [*TASKS, *sorted(named - set(TASKS))] if self.conditions(task)]

    def matrix(self, metric: str, condition: Condition) -> NDArray[np.float64] | None:
        """Pairwise distances, or None where they are not of the last analysis."""
        rows = self.degeneracy[self.degeneracy["condition"] == condition.signature]
        path = self.results.matrix(metric, condition.signature)
        is_measured = metric in set(rows["measure"]) and path.exists()
        return read_tensors(path)[0]["distances"].numpy() if is_measured else None

    @cached_property
    def choices(self) -> pd.DataFrame:
        """Metric, task and settings chosen for it, as they stand in the matrices behind the degeneracies."""
        rows = []
        keys = ["task", "condition", "measure"]
        measured = self.degeneracy.reindex(columns=keys).drop_duplicates()  # empty where not analysed
        for task, signature, metric in measured.to_numpy():
            path = self.results.matrix(metric, signature)
            # Matrices of earlier versions do not say it.
            chosen = read_metadata(path).get("chosen", {}) if path.exists() else {}
            if chosen:
                rows.append((metric, task, settings_text(chosen)))
        return pd.DataFrame(rows, columns=["metric", "task", "settings"]).drop_duplicates(ignore_index=True)

    @cached_property
    def dsa_words(self) -> str:
        """DSA with what its score is measured in, as the matrices behind the degeneracies say; "" without."""
        measured = self.degeneracy.reindex(columns=["condition", "measure"]).drop_duplicates()
        signatures = measured["condition"][measured["measure"] == "dsa"]
        paths = [self.results.matrix("dsa", signature) for signature in signatures]
        scores = {read_metadata(path)["metric"]["score"] for path in paths if path.exists()}
        units = ", ".join("rad" if score == "angular" else score for score in sorted(scores))
        return f"DSA ({units})" if units else ""

    def tick(self, condition: Condition) -> str:
        """The factor's value on an axis."""
        return factor_words(self.experiment.value(condition))

    def tick_with_networks(self, condition: Condition) -> str:
        """The same, and the networks behind it where some are left out."""
        counts = self.counts
        converged = int(counts["converged"][counts["condition"] == condition.signature].iloc[0])
        planned = len(self.experiment.seeds)
        return self.tick(condition) + (f"\n{converged} of {planned}" if converged < planned else "")

    def title(self, task: str) -> str:
        """A task for a reader; of the flip-flop with its bits, where they are all the same."""
        bits = {c.value("task.channels") for c in self.conditions(task)} if task == "flip_flop" else set()
        return f"{bits.pop()}-bit flip-flop" if len(bits) == 1 else task_words(task)


def factor_words(value: Any) -> str:
    """A swept value for a reader."""
    if isinstance(value, bool | np.bool_):
        return "with" if value else "without"
    if not isinstance(value, int | float):
        return str(value)
    if not 0 < abs(value) < 0.01:
        return f"{value:g}"
    mantissa, exponent = f"{value:.3e}".split("e")  # 0.0003 takes more room on an axis than 3e-4
    return f"{float(mantissa):g}e{int(exponent)}"


def task_words(task: str) -> str:
    """A task's name for a reader."""
    return TASKS.get(task, task.replace("_", " "))


def note(*data: Data, tasks: Sequence[str] | None = None, has_bands: bool = False) -> str:
    """What stands under a figure: the networks behind it, those left out and why, bands, and the scale."""
    counts = pd.concat([one.counts for one in data])
    counts = counts[counts["task"].isin(tasks)] if tasks is not None else counts
    counts = counts.drop_duplicates("condition")
    drawn = counts[counts["converged"] >= 2]
    low, high = (drawn["converged"].min(), drawn["converged"].max()) if len(drawn) else (0, 0)
    words = [f"{low}" if low == high else f"{low} to {high}"]
    words[0] += f" converged networks a condition, {drawn['converged'].sum()} in all"
    left_out = [f"{counts[status].sum()} {status}" for status in STATUSES[1:] if counts[status].sum()]
    absent = counts[counts["converged"] < 2]
    left_out += [f"{absent['converged'].sum()} alone in a condition"] if absent["converged"].sum() else []
    hollow = " (hollow)" if left_out and has_bands else ""
    words.append(f"left out{hollow}: " + (", ".join(left_out) or "none"))
    if len(absent):
        named = (
            f"{task_words(row['task'])} {factor_words(row['factor'])}" for row in absent.to_dict("records")
        )
        words.append(f"no two converged networks, and not drawn: {', '.join(named)}")
    # Tables of earlier versions do not say it.
    said = [one.degeneracy["coverage"] for one in data if has_bands and "coverage" in one.degeneracy]
    coverages = sorted({value for column in said for value in column})
    if coverages:
        words.append(f"bands: {' and '.join(f'{value:.0%}' for value in coverages)} bootstrap intervals")
    return "; ".join([*words, *_scale(*data)])


def _scale(*data: Data) -> list[str]:
    """In what it is not the paper's."""
    name, _, rest = data[0].experiment.scale.partition(" ")
    if data[0].experiment.scale == "full":
        return []
    widths = sorted({c.model.width for one in data for c in one.experiment.conditions})
    seeds = sorted({len(one.experiment.seeds) for one in data})
    batches = sorted({c.training.batch_size for one in data for c in one.experiment.conditions})
    said = f"{' or '.join(map(str, seeds))} seeds, {', '.join(map(str, widths))} units"
    said += f", batches of {' or '.join(map(str, batches))}"
    theirs = "50 seeds, 128 units, batches of 32 to 256"
    return [f"{name.upper()} SCALE {rest}".rstrip() + f" ({said}; the paper: {theirs})"]


def choices_note(*data: Data, tasks: Sequence[str] | None = None) -> str:
    """By which settings DSA was measured."""
    table = pd.concat([one.choices for one in data])
    table = table[table["metric"] == "dsa"].drop_duplicates()
    said = [
        f"{task_words(row['task'])} {row['settings']}"
        for row in table.to_dict("records")
        if tasks is None or row["task"] in tasks
    ]
    return f"DSA: {'; '.join(said)}" if said else ""
