"""Figure of a comparison: one row per metric, with distances, embedding and degeneracy of the groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from degen.comparison.measure import Measure
from degen.reporting.panels import jitter, use_linear_ticks
from degen.reporting.style import GRAY, PALETTE, STYLE, draw_text_literally

_ROW_SIZE = (6.9, 2.1)


def draw(measures: Sequence[Measure], n_networks: Mapping[str, int]) -> Figure:
    """Draw all metrics of a comparison, for groups in the order of `n_networks`.

    The figure is not registered with pyplot, whose settings and backend stay as they are.
    """
    groups = list(n_networks)
    colors = dict(
        zip(groups, PALETTE if len(groups) <= len(PALETTE) else sns.husl_palette(len(groups)), strict=False)
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_ROW_SIZE[0], _ROW_SIZE[1] * len(measures) + 0.3), layout="constrained")
        axes = figure.subplots(len(measures), 3, squeeze=False)
        for row, measure in zip(axes, measures, strict=True):
            _draw_distances(figure, row[0], measure)
            if measure.losses is None:
                _draw_embedding(row[1], measure, colors)
            else:
                _draw_losses(row[1], measure, measure.losses, colors)
            _draw_degeneracy(row[2], measure, colors)
        handles = [_marker(colors[group]) for group in groups]
        figure.legend(handles, groups, loc="outside lower center", ncols=min(6, len(groups)))
        draw_text_literally(figure)  # the user may store the figure without `save_figure`
    return figure


def _marker(color: Any) -> mpl.lines.Line2D:
    return mpl.lines.Line2D([], [], marker="o", markersize=4, linestyle="", color=color)


def _draw_distances(figure: Figure, axis: Axes, measure: Measure) -> None:
    """Draw the matrix of distances, with lines between groups."""
    image = axis.imshow(measure.distances, cmap="viridis", vmin=0, interpolation="nearest")
    figure.colorbar(image, ax=axis, shrink=0.9)
    sizes = [int(measure.is_in(group).sum()) for group in measure.degeneracy]
    ends = np.cumsum(sizes)
    for end in ends[:-1]:
        axis.axhline(end - 0.5, color="white", linewidth=1)
        axis.axvline(end - 0.5, color="white", linewidth=1)
    centers = ends - np.array(sizes) / 2 - 0.5
    axis.set_yticks(centers, list(measure.degeneracy))
    axis.set_xticks([])
    axis.set_title(f"{measure.label}: distances")


def _draw_embedding(axis: Axes, measure: Measure, colors: dict[str, Any]) -> None:
    positions = measure.embedding()
    for group in measure.degeneracy:
        x, y = positions[measure.is_in(group)].T
        axis.scatter(x, y, s=14, alpha=0.8, linewidth=0, color=colors[group])
    axis.set_aspect("equal", adjustable="datalim")
    axis.locator_params(nbins=4)
    axis.set(title="embedding (multidimensional scaling)")


def _draw_losses(axis: Axes, measure: Measure, losses: np.ndarray, colors: dict[str, Any]) -> None:
    for position, group in enumerate(measure.degeneracy):
        values = losses[measure.is_in(group)]
        axis.scatter(jitter(position, len(values), 0.15), values, s=10, linewidth=0, color=colors[group])
    _label_groups(axis, list(measure.degeneracy))
    axis.set(title="losses of the networks", ylabel="loss")


def _draw_degeneracy(axis: Axes, measure: Measure, colors: dict[str, Any]) -> None:
    """Draw the degeneracy of each group with its interval, and the split-half baseline as a dotted line."""
    for position, (group, estimate) in enumerate(measure.degeneracy.items()):
        axis.plot(position, estimate.value, "o", markersize=4, color=colors[group])
        axis.plot([position] * 2, [estimate.low, estimate.high], color=colors[group])
        baseline = measure.mean_baseline(group)
        axis.plot([position - 0.3, position + 0.3], [baseline] * 2, ":", color=GRAY)
    _label_groups(axis, list(measure.degeneracy))
    use_linear_ticks(axis)
    if measure.losses is not None:
        axis.set(title="degeneracy", ylabel="standard deviation of losses")
    else:
        dotted = "" if measure.baselines is None else " (dotted: split-half)"
        axis.set(title=f"degeneracy{dotted}", ylabel="mean distance")


def _label_groups(axis: Axes, groups: Sequence[str]) -> None:
    axis.set_xticks(range(len(groups)), groups, rotation=90 if sum(map(len, groups)) > 24 else 0)
    axis.set_xlim(-0.6, len(groups) - 0.4)
