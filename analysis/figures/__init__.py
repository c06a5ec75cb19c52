"""Figures of an experiment, drawn from tables and matrices. Each module draws one figure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.cache import fingerprint, require_table
from analysis.experiment_results import STATUSES_AND_MISSING, ExperimentResults
from analysis.figures import degeneracy, embedding, hyperparameters, loss, specification
from analysis.figures.between_levels import drawn_rows, plot_between_levels
from analysis.figures.captions import caption, intervals_caption
from analysis.figures.measure_labels import axis_label
from analysis.figures.measures import main_names, plot_measures
from analysis.figures.snapshots import plot_snapshots
from analysis.figures.solutions import plot_solutions
from analysis.labels import format_factor, sort_tasks, task_title
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.trends.factors import swept_columns
from analysis.trends.specification import specification_rows
from degen.condition import Condition
from degen.files import read_tensors, sha256
from degen.reporting.style import Caption, save_figure, use_style
from launch.experiment import Experiment

use_style()

MAIN, SPECIFICATION, SNAPSHOTS = "main-measures", "specification-dsa", "snapshots"
BETWEEN, SOLUTIONS, DEGENERACY, LOSS = "between-levels", "solutions", "degeneracy", "loss"
EMBEDDING, HYPERPARAMETERS = "embedding-dsa", "hyperparameters-dsa"

NAMES = (
    MAIN,
    SPECIFICATION,
    SNAPSHOTS,
    BETWEEN,
    SOLUTIONS,
    DEGENERACY,
    LOSS,
    EMBEDDING,
    HYPERPARAMETERS,
)
"""File names, without suffix, of the figures that `draw_all` may draw."""

_STYLE = 2
"""Version of the style of the figures. Increase it so that every analysis draws its figures again."""


def inputs_fingerprint(experiment: Experiment, results: ResultsFolder) -> str:
    """Return the fingerprint of everything that the figures of an experiment depend on."""
    inputs = _Inputs(experiment, results)
    paths = [
        results.degeneracy,
        results.trends,
        results.history,
        *inputs.matrices.values(),
        *inputs.selections.values(),
        *(path for path in (results.snapshots, results.between, results.solutions) if path.exists()),
    ]
    return fingerprint(
        [sha256(path) for path in paths], inputs.titles, inputs.thresholds, experiment.label, _STYLE
    )


def draw_all(experiment: Experiment, results: ResultsFolder) -> list[Path]:
    """Draw the figures of an experiment, and remove those of an earlier analysis that are not drawn."""
    drawings = list(select_drawings(experiment, results).values())
    paths = [path for draw in track("figures", drawings, unit="figures") for path in draw()]
    for name in NAMES:
        for path in results.figures.glob(f"{name}.*"):
            if path not in paths:
                path.unlink()
    return paths


def select_drawings(experiment: Experiment, results: ResultsFolder) -> dict[str, Callable[[], list[Path]]]:
    """Return a function for every figure that an experiment has results for, by the names in `NAMES`.

    The function draws the figure and returns the paths of its files.
    """
    inputs, data = _Inputs(experiment, results), ExperimentResults(experiment, results)
    counts = ", ".join(f"{data.counts[status].sum()} {status}" for status in STATUSES_AND_MISSING)
    folder = results.figures
    of_all = Caption().show("all trained networks", "dashed: threshold of convergence").explain(counts)
    with_bands = caption(data).show(intervals_caption(data))
    labels = {measure: axis_label(measure, data) for measure in data.degeneracy["measure"].unique()}
    settings = specification_rows(data.trends)
    draw: dict[str, Callable[[], list[Path]]] = {
        MAIN: lambda: save_figure(plot_measures(main_names(data), data), folder, MAIN),
        DEGENERACY: lambda: degeneracy.draw(inputs.degeneracy, experiment.label, labels, with_bands, folder),
        LOSS: lambda: loss.draw(inputs.history, inputs.titles, inputs.thresholds, of_all, folder),
    }
    if settings:
        draw[SPECIFICATION] = lambda: specification.draw(settings, experiment.label, caption(data), folder)
    if results.snapshots.exists():
        draw[SNAPSHOTS] = lambda: save_figure(plot_snapshots(data), folder, SNAPSHOTS)
    if data.solutions.get("is_primary", pd.Series(dtype=bool)).any():
        draw[SOLUTIONS] = lambda: save_figure(plot_solutions(data), folder, SOLUTIONS)
    if len(drawn_rows(data.between)):
        draw[BETWEEN] = lambda: save_figure(plot_between_levels(data), folder, BETWEEN)
    if inputs.matrices:
        distances = {
            signature: read_tensors(path)[0]["distances"].numpy()
            for signature, path in inputs.matrices.items()
        }
        draw[EMBEDDING] = lambda: embedding.draw(distances, inputs.titles, "dsa", caption(data), folder)
    if inputs.selections:
        curves = {task: require_table(path) for task, path in inputs.selections.items()}
        draw[HYPERPARAMETERS] = lambda: hyperparameters.draw(curves, caption(data), folder)
    return draw


class _Inputs:
    """Tables, matrices and titles that the figures of an experiment depend on."""

    def __init__(self, experiment: Experiment, results: ResultsFolder):
        self.degeneracy, self.history = require_table(results.degeneracy), require_table(results.history)
        trained = set(self.history["condition"])
        conditions = experiment.sorted_by_factor([c for c in experiment.conditions if c.signature in trained])
        order = sort_tasks(condition.task_name for condition in conditions)
        conditions = sorted(conditions, key=lambda condition: order.index(condition.task_name))
        self.titles = _titles(experiment, conditions)
        self.thresholds = {condition.signature: condition.training.threshold for condition in conditions}
        with_dsa = set(self.degeneracy["condition"][self.degeneracy["measure"] == "dsa"])
        self.matrices = {
            signature: results.matrix("dsa", signature) for signature in self.titles if signature in with_dsa
        }
        tasks = sort_tasks(c.task_name for c in experiment.conditions if c.signature in with_dsa)
        selections = {task: results.hyperparameters("dsa", task) for task in tasks}
        self.selections = {task: path for task, path in selections.items() if path.exists()}


def _titles(experiment: Experiment, conditions: Sequence[Condition]) -> dict[str, str]:
    """Return the titles of panels: task and factor, or all swept fields if titles would be equal."""
    titles = {condition.signature: _title(experiment, condition) for condition in conditions}
    if len(set(titles.values())) == len(titles):
        return titles
    swept = swept_columns(experiment)
    return {
        condition.signature: _lines(
            condition, [_describe(item) for item in swept[condition.signature].items()]
        )
        for condition in conditions
    }


def _describe(field: tuple[str, Any]) -> str:
    path, value = field
    return f"{path.rpartition('.')[2]} = {format_factor(value)}"


def _title(experiment: Experiment, condition: Condition) -> str:
    return _lines(condition, [f"{experiment.label} = {format_factor(experiment.value(condition))}"])


def _lines(condition: Condition, texts: Sequence[str]) -> str:
    """Return the title of the task and texts, in lines that fit the width of a panel."""
    return "\n".join(
        [task_title(condition.task_name), *(line for text in texts for line in textwrap.wrap(text, 28))]
    )
