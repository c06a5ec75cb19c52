"""Measures against a factor, one column per task (as Figs. 3 to 8, 10 and 24 to 29 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.experiment_results import ExperimentResults
from analysis.figures.captions import bands_caption, caption, hyperparameters_caption
from analysis.figures.measure_labels import LEVEL_LABELS, measure_label
from analysis.trends.measures import paper_measure
from degen.reporting.formatting import format_coverage
from degen.reporting.panels import mark_empty, panel_grid, use_linear_ticks, use_log_ticks
from degen.reporting.style import BLUE, GRAY, Caption, add_caption

PER_PARAMETER = "pif_per_parameter"

_BASELINES = {
    "pif": ("pif_initial", "initial weights"),
    "pif_signed": ("pif_signed_initial", "initial weights"),
    PER_PARAMETER: ("pif_initial", "initial weights"),
    "dsa": ("dsa_null", "split-half baseline"),
    "dsa_weighted": ("dsa_weighted_null", "split-half baseline"),
    "sigma_ood": ("sigma_test", "loss on ordinary trials"),
}
"""For each measure the measure to compare it with, and its label."""


_MAX_BAND = 3
"""Bands are cut at this multiple of the largest value. Those of few networks may exceed it a hundredfold."""


def plot_measures(
    measures: Sequence[str], *all_results: ExperimentResults, tasks: Sequence[str] | None = None
) -> Figure:
    """Plot measures (rows) against the factor, one column per task of each experiment.

    Bands are intervals over networks. Gray lines are what a measure is to be compared with. A marker is
    hollow if networks of its condition are left out, and the tick label counts the remaining ones.

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
        column[0].set_title(results.title(task))
        for axis, measure in zip(column, measures, strict=True):
            plot_measure(axis, results, task, measure)
        for axis in column if is_row else column[-1:]:
            axis.set_xlabel(results.experiment.label)
    for axis, measure in zip(axes[:, 0], measures, strict=True):
        axis.set_ylabel(_axis_label(measure, all_results))
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
    text = text.show(bands_caption(*all_results)).explain(
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


def _cut_bands(axis: Axes) -> None:
    """Limit the axis to `_MAX_BAND` times the largest value."""
    largest = np.concatenate([np.asarray(line.get_ydata(), np.float64) for line in axis.lines]).max()
    if largest > 0:
        axis.set_ylim(0, min(axis.get_ylim()[1], _MAX_BAND * largest))


def set_factor_ticks(axis: Axes, results: ExperimentResults, task: str) -> None:
    """Label the evenly spaced conditions, with the number of networks where some are left out."""
    conditions = results.conditions(task)
    axis.set_xticks(range(len(conditions)), [results.tick_with_networks(c) for c in conditions])


def _plot_rows(axis: Axes, rows: pd.DataFrame, n_seeds: int, color: str, style: str) -> None:
    """Plot rows with their intervals: as a line with a band, or without a style as separate points."""
    positions = np.arange(len(rows))
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


def _axis_label(measure: str, all_results: Sequence[ExperimentResults]) -> str:
    """Return the level, the measure, the unit of DSA, and the meaning of the gray line."""
    label = measure_label(measure)
    if measure == "dsa":
        units = dict.fromkeys(results.dsa_label for results in all_results if results.dsa_label)
        label = ", ".join(units) or label
    lines = [LEVEL_LABELS.get(measure, ""), label]
    if measure in _BASELINES:
        lines.append(f"gray: {_BASELINES[measure][1]}")
    return "\n".join(filter(None, lines))
