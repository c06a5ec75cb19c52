"""Specification curve: the effect of the factor on dynamics under every setting of DSA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.figures.measure_labels import measure_label
from analysis.trends.rows import POOLED, TrendRow, trend_task_title
from degen.reporting.panels import panel_grid
from degen.reporting.style import BLUE, GRAY, PAGE_WIDTH, Caption, add_caption, save_figure


def draw(rows: Mapping[str, Sequence[TrendRow]], label: str, caption: Caption, folder: Path) -> list[Path]:
    """Draw effects with their intervals, one column per task and one line per setting.

    Args:
        rows: rows by task, from `analysis.trends.specification.specification_rows`.
        label: label of the factor.
        caption: networks behind the figure.
        folder: folder of the files.
    """
    names = [row.measure for row in rows[POOLED if POOLED in rows else next(iter(rows))]]
    figure, axes = panel_grid(1, len(rows), sharey=True)
    width = min(figure.get_size_inches()[0] + 1, PAGE_WIDTH)
    figure.set_size_inches(width, 1.0 + 0.18 * len(names))
    figure.suptitle(f"change of the distance along {label}")
    for axis, (task, members) in zip(axes[0], rows.items(), strict=True):
        _draw_task(axis, members, names)
        axis.set_title(trend_task_title(task))
    axes[0, 0].set_yticks(range(len(names)), [measure_label(name.lower()) for name in names])
    text = caption.show("blue: the interval excludes zero", "hollow: at the split-half baseline").explain(
        "lines: intervals of the change",
        "hollow markers: the distance is at the split-half baseline in all conditions",
    )
    return save_figure(add_caption(figure, text), folder, "specification-dsa")


def _draw_task(axis: Axes, rows: Sequence[TrendRow], names: Sequence[str]) -> None:
    """Draw the effect of each setting. Settings without a finite effect have an empty line."""
    axis.axvline(0, color="black", linewidth=0.6)
    for row in rows:
        if not np.isfinite([row.effect, row.low, row.high]).all():
            continue
        position = names.index(row.measure)
        color = BLUE if row.low > 0 or row.high < 0 else GRAY
        fill = "white" if row.conditions_at_baseline == row.conditions else color
        axis.hlines(position, row.low, row.high, color=color, linewidth=1.2)
        axis.plot(row.effect, position, "o", ms=4, mew=0.8, mec=color, mfc=fill)
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.margins(x=0.12)
    axis.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axis.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    axis.set_xlabel("change")
