"""When do seeds part? Distances along training, at equal epochs and at equal losses."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.experiment_results import ExperimentResults
from analysis.figures.captions import caption, intervals_caption
from analysis.figures.measure_labels import axis_label
from analysis.snapshot_samples import END, OWN_END
from degen.reporting.panels import mark_empty, panel_grid, use_linear_ticks, use_log_ticks
from degen.reporting.style import add_caption, ordered_colors

Color = tuple[float, float, float]
Curve = tuple[str, Color, pd.DataFrame]
"""Label, color and rows of a condition."""


def plot_snapshots(results: ExperimentResults) -> Figure:
    """Plot one row of panels per task and measure, with one color per condition.

    Left: distance between networks (solid) and of each network to its own end (dashed) against the epoch.
    Right: distance between networks against the validation loss.
    """
    table = results.snapshots
    rows = [(task, measure) for task in results.tasks for measure in _measures(table, task)]
    figure, axes = panel_grid(max(1, len(rows)), 2)
    if not rows:
        for axis in axes[0]:
            mark_empty(axis, "not measured")
    for (left, right), (task, measure) in zip(axes, rows, strict=False):
        of_panel = table[(table["task"] == task) & (table["measure"] == measure)]
        _plot_epochs(left, results, task, of_panel)
        _plot_losses(right, results, task, of_panel[of_panel["kind"] == "loss"])
        left.set_ylabel(axis_label(measure, results))
        left.set_title(results.title(task))
        # Its lines are far from zero, which leaves room below them.
        right.legend(*left.get_legend_handles_labels())
    figure.suptitle("When do seeds part?")
    text = caption(results).show(
        "solid: between networks", "dashed: of each network to its own end", intervals_caption(results)
    )
    return add_caption(figure, text.explain("snapshots have equal epochs (left) or equal losses (right)"))


def _measures(table: pd.DataFrame, task: str) -> list[str]:
    return list(table.loc[table["task"] == task, "measure"].unique())


def _curves(results: ExperimentResults, task: str, rows: pd.DataFrame) -> Iterator[Curve]:
    """Yield the label, color and rows of each condition."""
    conditions = results.conditions(task)
    for condition, color in zip(conditions, ordered_colors(len(conditions)), strict=True):
        label = f"{results.experiment.label} = {results.tick(condition)}"
        yield label, color, rows[rows["condition"] == condition.signature]


def _plot_epochs(axis: Axes, results: ExperimentResults, task: str, rows: pd.DataFrame) -> None:
    rows = rows[rows["kind"] != "loss"]
    # Evenly spaced: a log axis has no zero for epoch 0, and the end has no number.
    epochs = sorted(rows["epoch"].unique(), key=lambda epoch: math.inf if epoch == END else int(epoch))
    rows = rows.assign(x=rows["epoch"].map(epochs.index))
    for label, color, curve in _curves(results, task, rows):
        for kind, style in (("epoch", "-"), (OWN_END, "--")):
            of_kind = curve[curve["kind"] == kind].sort_values("x")
            _plot_line(axis, of_kind, color, style, label if kind == "epoch" else None)
    axis.set_xticks(range(len(epochs)), epochs)
    axis.set_xlabel("epoch")
    use_linear_ticks(axis)


def _plot_losses(axis: Axes, results: ExperimentResults, task: str, rows: pd.DataFrame) -> None:
    if rows.empty:
        mark_empty(axis, "not measured")
        return
    for _, color, curve in _curves(results, task, rows.assign(x=rows["loss_level"]).sort_values("x")):
        _plot_line(axis, curve, color, "-", None)
    use_log_ticks(axis, "x")
    axis.invert_xaxis()
    axis.set_xlabel("validation loss, at most")
    use_linear_ticks(axis)


def _plot_line(axis: Axes, rows: pd.DataFrame, color: Color, style: str, label: str | None) -> None:
    axis.plot(rows["x"], rows["value"], style, marker="o", markersize=2.5, color=color, label=label)
    axis.fill_between(rows["x"], rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0)
