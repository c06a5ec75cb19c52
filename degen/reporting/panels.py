"""Panels: grids of axes, and axes with few, readable ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from degen.reporting.style import PANEL_SIZE

_STEPS = [1, 2, 5, 10]
_LEGEND_LINE = 0.12
"""Height of a line of a legend, as a fraction of the height of a panel."""


def panel_grid(rows: int, columns: int, **options: Any) -> tuple[Figure, Any]:
    """Create a figure of panels.

    Args:
        rows: number of rows.
        columns: number of columns.
        options: further arguments of `matplotlib.pyplot.subplots`.

    Returns:
        The figure, and its axes as an array (rows, columns).
    """
    size = (PANEL_SIZE[0] * columns, PANEL_SIZE[1] * rows + 0.3)
    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **options)


def wrapped_panels(
    n_panels: int, height: float = PANEL_SIZE[1], max_columns: int = 4, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Create a figure of panels that wrap into rows.

    Args:
        n_panels: number of panels.
        height: height of a panel in inches.
        max_columns: most panels in a row.
        options: further arguments of `matplotlib.pyplot.subplots`.

    Returns:
        The figure, and the axes of the panels. Unused axes are hidden.
    """
    columns = min(max_columns, n_panels)
    rows = -(-n_panels // columns)
    size = (PANEL_SIZE[0] * columns, height * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **options)
    hide(axes.flat[n_panels:])
    return figure, list(axes.flat[:n_panels])


def hide(axes: Any) -> None:
    """Hide each of the axes."""
    for axis in axes:
        axis.set_visible(False)


def mark_empty(axis: Axes, reason: str) -> None:
    """Write into a panel why it has no data."""
    axis.text(0.5, 0.5, reason, ha="center", va="center", color="0.4", transform=axis.transAxes)
    axis.set(xticks=[], yticks=[])


def use_log_ticks(axes: Axes, name: str = "y") -> None:
    """Make an axis, x or y, logarithmic with a few labels, even if it spans less than a power of ten."""
    axes.set(**{f"{name}scale": "log"})
    axis = axes.xaxis if name == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    by_decade = LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 100 else (1.0,))
    axis.set_major_locator(MaxNLocator(4, steps=_STEPS) if high / low < 5 else by_decade)
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def use_linear_ticks(axis: Axes, headroom: float = 1.08) -> None:
    """Let the y axis start at zero, with a few labels.

    Args:
        axis: axes with data.
        headroom: upper limit relative to the largest value.
    """
    axis.set_ylim(0, headroom * axis.dataLim.y1 if np.isfinite(axis.dataLim.y1) else None)
    axis.yaxis.set_major_locator(MaxNLocator(4, steps=_STEPS, min_n_ticks=3))


def add_legend_above_data(axis: Axes, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """Add a legend in room above the data, by which the y axis grows."""
    spaces = {"borderpad": 0, "borderaxespad": 0.2, "handletextpad": 0.5, "labelspacing": 0.2}
    axis.legend(handles, labels, loc="upper left", handlelength=2, **spaces)
    # In the coordinates of the scale, which may be logarithmic.
    bottom, top = axis.transScale.transform([(1, limit) for limit in axis.get_ylim()])[:, 1]
    top = bottom + (top - bottom) / (1 - _LEGEND_LINE * len(labels))
    axis.set_ylim(*axis.transScale.inverted().transform([(1, bottom), (1, top)])[:, 1])


def use_few_x_ticks(axis: Axes) -> None:
    """Label about two round values on the x axis, in scientific notation where they are small."""
    axis.xaxis.set_major_locator(MaxNLocator(2, steps=_STEPS))
    axis.ticklabel_format(axis="x", scilimits=(-3, 4))


def jitter(center: float, n: int, width: float) -> np.ndarray:
    """Return n positions within plus or minus `width` of a center, for points that would overlap."""
    return center + np.random.default_rng(0).uniform(-width, width, n)
