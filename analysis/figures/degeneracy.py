"""Degeneracy against the factor, one panel per measure (as Figs. 3, 4, 6, 7 and 8 of the paper)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.measure_labels import measure_label
from analysis.labels import format_factor
from degen.reporting.formatting import format_coverage
from degen.reporting.panels import wrapped_panels
from degen.reporting.style import save_figure


def draw(table: pd.DataFrame, label: str, caption: str, folder: Path) -> list[Path]:
    """Draw values with their intervals, one line per task and value of further swept fields.

    Args:
        table: table of `analysis.steps.degeneracy`.
        label: label of the factor.
        caption: networks behind the figure, and those left out.
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
        axis.set(title=level, ylabel=measure_label(measure), xlabel=label)
        axis.set_xticks(range(len(values)), ticks, rotation=rotation)
    bands = f"bands: {table['nominal_level'].iloc[0]:.0%} intervals over networks"
    coverage = format_coverage(table["true_coverage"])
    text = "; ".join(filter(None, [caption, bands, coverage, "dotted: split-half baseline"]))
    # Above the panels, because the legend is below.
    figure.suptitle(textwrap.fill(text, int(23 * figure.get_size_inches()[0])), fontsize=6)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return save_figure(figure, folder, "degeneracy")


def _draw_measure(axis: Axes, table: pd.DataFrame, measure: str) -> None:
    table = table.sort_values("position")
    baselines = table[table["measure"] == f"{measure}_null"].set_index("condition")
    for label, group in _lines(table[table["measure"] == measure]):
        # Conditions that differ in more than the factor are not connected.
        is_line = not group["position"].duplicated().any()
        style = "-" if is_line else ""
        (line,) = axis.plot(group["position"], group["value"], style, marker="o", markersize=3, label=label)
        if is_line:
            axis.fill_between(group["position"], group["low"], group["high"], alpha=0.2, linewidth=0)
        baseline = baselines.reindex(group["condition"]).dropna(subset="value")
        style = ":" if is_line else ""
        color = line.get_color()
        axis.plot(baseline["position"], baseline["value"], style, marker=",", linewidth=1, color=color)


def _lines(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield a label and the rows of each task, or of each combination of further swept fields of a task.

    Further fields are those that differ between conditions with equal value of the factor.
    """
    swept = [column for column in table.columns if "." in column]
    for task, group in table.groupby("task"):
        at_one_value = group.groupby("position")
        further = [path for path in swept if (at_one_value[path].nunique(dropna=False) > 1).any()]
        if not further:
            yield str(task), group
            continue
        for values, rows in group.groupby(further, dropna=False):
            words = [
                f"{path.rpartition('.')[2]} {format_factor(value)}"
                for path, value in zip(further, values, strict=True)
            ]
            yield ", ".join([str(task), *words]), rows
