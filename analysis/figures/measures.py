"""Measures against a factor, one column per task (as Figs. 3 to 8, 10 and 24 to 29 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from analysis.experiment_results import ExperimentResults
from analysis.figures.captions import caption, hyperparameters_caption, intervals_caption
from analysis.figures.measure_labels import LEVEL_LABELS, axis_label
from analysis.trends.measures import paper_measure
from degen.reporting.formatting import format_coverage
from degen.reporting.panels import (
    add_legend_above_data,
    mark_empty,
    panel_grid,
    use_linear_ticks,
    use_log_ticks,
)
from degen.reporting.style import BLUE, GRAY, Caption, add_caption

PER_PARAMETER = "pif_per_parameter"

_WEIGHTS = "trained weights", "initial weights"
_DYNAMICS = "between networks", "split-half baseline"
_BASELINES = {
    "pif": ("pif_initial", *_WEIGHTS),
    "pif_signed": ("pif_signed_initial", *_WEIGHTS),
    PER_PARAMETER: ("pif_initial", *_WEIGHTS),
    "dsa": ("dsa_null", *_DYNAMICS),
    "dsa_weighted": ("dsa_weighted_null", *_DYNAMICS),
    "sigma_ood": ("sigma_test", "OOD trials", "ordinary trials"),
}
"""For each measure the measure to compare it with, and the labels of both in the legend."""


_MAX_BAND = 3
"""Bands are cut at this multiple of the largest value. Those of few networks may exceed it a hundredfold."""
_MAX_TICK_LETTERS = 18
"""Number of letters that fit side by side below a panel."""

_BESIDE = 0.12
"""Distance of a point of the baseline from the point of the measure."""


def plot_measures(
    measures: Sequence[str], *all_results: ExperimentResults, tasks: Sequence[str] | None = None
) -> Figure:
    """Plot measures (rows) against the factor, one column per task of each experiment.

    Bands are intervals over networks. Gray lines are what a measure is to be compared with. The first panel
    of a row names them. A marker is hollow if networks of its condition are left out, and the tick label
    counts the remaining ones.

    Args:
        measures: names of measures in the degeneracy table, or `PER_PARAMETER`.
        all_results: results of each experiment.
        tasks: names of the tasks, None for all.
    """
    columns = [
        (results, task) for results in all_results for task in results.tasks if tasks is None or task in tasks
    ]
    is_row = len(columns) <= 1  # of panels side by side
    figure, axes = panel_grid(1, len(measures)) if is_row else panel_grid(len(measures), len(columns))
    axes = axes.T if is_row else axes
    for column, (results, task) in zip(axes.T, columns, strict=False):
        if is_row:
            figure.suptitle(results.title(task))
        else:
            column[0].set_title(results.title(task))
        for axis, measure in zip(column, measures, strict=True):
            plot_measure(axis, results, task, measure)
        for axis in column if is_row else column[-1:]:
            axis.set_xlabel(results.experiment.label)
    for row, measure in zip(axes, measures, strict=True):
        level = LEVEL_LABELS.get(measure, "")
        row[0].set_ylabel("\n".join(filter(None, [level, axis_label(measure, *all_results)])))
        _add_legend(row, measure)
    return add_caption(figure, measure_caption(measures, *all_results, tasks=tasks))


def main_names(results: ExperimentResults) -> list[str]:
    """Return the main measures of an experiment, in the order of the levels, that its analysis has."""
    by_width = paper_measure(results.experiment.name, "weights") == "PIF / n^2"
    weights = PER_PARAMETER if by_width else "pif"
    measured = set(results.degeneracy["measure"])
    return [
        name
        for name in ("dsa", "dsa_weighted", weights, "sigma_ood")
        if name.replace(PER_PARAMETER, "pif") in measured
    ]


def measure_caption(
    measures: Sequence[str], *all_results: ExperimentResults, tasks: Sequence[str] | None = None
) -> Caption:
    """Return the caption of a figure of measures."""
    tables = [results.degeneracy for results in all_results if len(results.degeneracy)]
    drawn = ["pif" if measure == PER_PARAMETER else measure for measure in measures]
    coverages = [
        coverage for table in tables for coverage in table["true_coverage"][table["measure"].isin(drawn)]
    ]
    text = caption(*all_results, tasks=tasks, has_hollow_markers=True)
    text = text.show(intervals_caption(*all_results)).explain(
        format_coverage(coverages), f"bands end at {_MAX_BAND} times the largest value"
    )
    return text.explain(*hyperparameters_caption(*all_results, tasks=tasks)) if "dsa" in measures else text


def plot_measure(axis: Axes, results: ExperimentResults, task: str, measure: str) -> None:
    """Plot one measure of one task, over its baseline."""
    conditions = results.conditions(task)
    signatures = [condition.signature for condition in conditions]
    is_number = all(type(results.experiment.value(condition)) in (int, float) for condition in conditions)
    baseline = _BASELINES.get(measure, ("",))[0]
    for name, color, style in ((baseline, GRAY, "--"), (measure, BLUE, "-")):
        rows = _rows(results, signatures, name, per_parameter=measure == PER_PARAMETER)
        if rows is not None:
            _plot_rows(axis, rows, len(results.experiment.seeds), color, style if is_number else "")
    if not axis.lines:
        mark_empty(axis, "not measured")
        return
    set_factor_ticks(axis, results, task)
    axis.margins(x=0.12)
    if measure == PER_PARAMETER:
        use_log_ticks(axis)
    else:
        use_linear_ticks(axis)
        _cut_bands(axis)


def _add_legend(row: Sequence[Axes], measure: str) -> None:
    """Name the measure and its baseline in the first panel of a row that shows both."""
    for axis in row:
        if any(line.get_markeredgecolor() == GRAY for line in axis.lines):
            handles = [Line2D([], [], color=color, marker="o", markersize=3) for color in (BLUE, GRAY)]
            has_lines = any(line.get_linestyle() == "--" for line in axis.lines)
            handles[0].set_linestyle("-" if has_lines else "")
            handles[1].set_linestyle("--" if has_lines else "")
            add_legend_above_data(axis, handles, _BASELINES[measure][1:])
            return


def _cut_bands(axis: Axes) -> None:
    """Cut bands at `_MAX_BAND` times the largest value, and limit the axis to what remains."""
    largest = np.concatenate([np.asarray(line.get_ydata(), np.float64) for line in axis.lines]).max()
    if largest > 0:
        top = min(axis.get_ylim()[1], _MAX_BAND * largest)
        axis.set_ylim(0, top)
        for band in axis.collections:
            band.set_clip_path(Rectangle((0, 0), 1, top, transform=axis.get_yaxis_transform()))


def set_factor_ticks(axis: Axes, results: ExperimentResults, task: str) -> None:
    """Label the evenly spaced conditions, with the number of networks where some are left out."""
    labels = [results.tick_with_networks(condition) for condition in results.conditions(task)]
    letters = sum(max(map(len, label.splitlines())) for label in labels)
    axis.set_xticks(range(len(labels)), labels, rotation=90 if letters > _MAX_TICK_LETTERS else 0)


def _plot_rows(axis: Axes, rows: pd.DataFrame, n_seeds: int, color: str, style: str) -> None:
    """Plot rows with their intervals: as a line with a band, or without a style as separate points.

    Separate points of the baseline are beside those of the measure, whose intervals would hide them.
    """
    positions = np.arange(len(rows)) + (_BESIDE if color == GRAY and not style else 0)
    if style:
        axis.plot(positions, rows["value"], style, color=color)
        axis.fill_between(positions, rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0)
    else:
        axis.vlines(positions, rows["low"], rows["high"], color=color, linewidth=1.2)
    is_complete = (rows["networks"] == n_seeds).to_numpy()
    for selected, fill in ((is_complete, color), (~is_complete, "white")):
        axis.plot(positions[selected], rows["value"][selected], "o", ms=3, mew=0.8, mec=color, mfc=fill)


def _rows(
    results: ExperimentResults, signatures: list[str], measure: str, *, per_parameter: bool
) -> pd.DataFrame | None:
    """Return one row of the degeneracy table per condition, or None if one is missing."""
    name = "pif" if measure == PER_PARAMETER else measure
    table = results.degeneracy[results.degeneracy["measure"] == name].set_index("condition")
    if not set(signatures) <= set(table.index):
        return None
    rows = table.loc[signatures, ["value", "low", "high", "networks"]]
    if per_parameter:
        widths = {c.signature: c.model.width for c in results.experiment.conditions}
        weights = pd.Series([widths[signature] ** 2 for signature in signatures], index=rows.index)
        rows[["value", "low", "high"]] = rows[["value", "low", "high"]].div(weights, axis=0)
    return rows
