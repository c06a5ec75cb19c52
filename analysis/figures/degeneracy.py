"""Degeneracy against the factor, one panel per measure (as Figs. 3, 4, 6, 7 and 8 of the paper)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.labels import format_factor, sort_tasks, task_title
from degen.reporting.formatting import format_coverage
from degen.reporting.panels import wrapped_panels
from degen.reporting.style import GRAY, PALETTE, Caption, add_caption, save_figure


def draw(
    table: pd.DataFrame, label: str, axis_labels: Mapping[str, str], caption: Caption, folder: Path
) -> list[Path]:
    """Draw values with their intervals, one line per task and value of further swept fields.

    Args:
        table: table of `analysis.steps.degeneracy`.
        label: label of the factor.
        axis_labels: title of the axis of each measure.
        caption: networks behind the figure.
        folder: folder of the files.
    """
    # Evenly spaced: factors start at zero, span powers of ten, or are text (in the order of the file).
    values = list(dict.fromkeys(table["factor_value"]))
    values = sorted(values) if pd.api.types.is_numeric_dtype(table["factor_value"]) else values
    table = table.assign(position=table["factor_value"].map(values.index))
    is_baseline = table["measure"].str.endswith("_null")
    measures = table[~is_baseline].drop_duplicates("measure")[["level", "measure"]].to_numpy()
    figure, axes = wrapped_panels(len(measures))
    ticks = [format_factor(value) for value in values]
    rotation = 90 if sum(map(len, ticks)) > 20 else 0
    for axis, (level, measure) in zip(axes, measures, strict=True):
        _draw_measure(axis, table, measure)
        axis.set(title=level, ylabel=axis_labels[measure], xlabel=label)
        axis.set_xticks(range(len(values)), ticks, rotation=rotation)
    handles, labels = axes[0].get_legend_handles_labels()
    if is_baseline.any():
        handles.append(Line2D([], [], linestyle=":", linewidth=1, color=GRAY))
        labels.append("split-half baseline")
    # Above the panels, because the caption is below.
    figure.legend(handles, labels, loc="outside upper center", ncols=len(axes))
    text = caption.explain(format_coverage(table["true_coverage"]))
    return save_figure(add_caption(figure, text), folder, "degeneracy")


def _draw_measure(axis: Axes, table: pd.DataFrame, measure: str) -> None:
    table = table.sort_values("position")
    baselines = table[table["measure"] == f"{measure}_null"].set_index("condition")
    lines = _lines(table[table["measure"] == measure])
    for (label, group), color in zip(lines, cycle(PALETTE), strict=False):
        # Conditions that differ in more than the factor are not connected.
        is_line = not group["position"].duplicated().any()
        style = "-" if is_line else ""
        of_line = {"color": color, "label": label}
        axis.plot(group["position"], group["value"], style, marker="o", markersize=3, **of_line)
        if is_line:
            band = group["position"], group["low"], group["high"]
            axis.fill_between(*band, color=color, alpha=0.2, linewidth=0)
        baseline = baselines.reindex(group["condition"]).dropna(subset="value")
        style = ":" if is_line else ""
        axis.plot(baseline["position"], baseline["value"], style, marker=",", linewidth=1, color=color)


def _lines(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield a label and the rows of each task, or of each combination of further swept fields of a task.

    Further fields are those that differ between conditions with equal value of the factor.
    """
    swept = [column for column in table.columns if "." in column]
    for task in sort_tasks(table["task"]):
        group = table[table["task"] == task]
        at_one_value = group.groupby("position")
        further = [path for path in swept if (at_one_value[path].nunique(dropna=False) > 1).any()]
        if not further:
            yield task_title(task), group
            continue
        for values, rows in group.groupby(further, dropna=False):
            words = [
                f"{path.rpartition('.')[2]} {format_factor(value)}"
                for path, value in zip(further, values, strict=True)
            ]
            yield ", ".join([task_title(task), *words]), rows
