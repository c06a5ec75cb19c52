"""Distances within and between the levels of a named factor: mean distances, and networks in a plane."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.experiment_results import ExperimentResults
from analysis.figures.captions import caption, hyperparameters_caption
from analysis.figures.measure_labels import axis_label
from degen.reporting.embedding import embed_distances
from degen.reporting.panels import panel_grid
from degen.reporting.style import PALETTE, PANEL_SIZE, add_caption

_GROUP = ["task", "factor", "at", "measure"]
_CELL_INCHES = 0.28
"""Side of an entry of the matrix of mean distances."""


def plot_between_levels(results: ExperimentResults) -> Figure:
    """Plot one row of panels per task and metric.

    Left: mean distances within levels (diagonal) and between them, with a star for q below the
    significance. Right: all networks by multidimensional scaling, colored by level.
    """
    table = drawn_rows(results.between)
    groups = [rows for _, rows in table.groupby(_GROUP, sort=False)]
    all_levels = [list(dict.fromkeys([*rows["level_a"], *rows["level_b"]])) for rows in groups]
    figure, axes = _panels([len(levels) for levels in all_levels])
    # A level has one color in all rows, also if a metric leaves out other levels.
    colors = dict(zip(dict.fromkeys(itertools.chain(*all_levels)), itertools.cycle(PALETTE), strict=False))
    for (left, right), rows, levels in zip(axes, groups, all_levels, strict=True):
        task, at, measure = rows[["task", "at", "measure"]].iloc[0]
        _plot_means(left, rows, levels)
        left.set_title("\n".join(filter(None, [results.title(task), at, axis_label(measure, results)])))
        _plot_networks(right, results, measure, rows, {level: colors[level] for level in levels})
    figure.suptitle(f"distances within and between levels of {table['factor'].iloc[0]}")
    significance = table["significance"].iloc[0]
    text = caption(results).show(f"star: levels differ, q < {significance:g}")
    return add_caption(
        figure,
        text.explain(
            "q: test that the labels of two levels are exchangeable, corrected for the number of pairs",
            "MDS: positions by multidimensional scaling",
            *hyperparameters_caption(results),
        ),
    )


def drawn_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of distances that the figure shows. Differences of losses are not drawn."""
    if table.empty:
        return table
    return table[(table["left_out"] == "") & (table["level"] != "behavior")]


def _panels(n_levels: list[int]) -> tuple[Figure, NDArray[np.object_]]:
    """Create a row of two panels per number of levels, in which the matrix has room for its numbers."""
    heights = [max(PANEL_SIZE[1], n * _CELL_INCHES + 0.8) for n in n_levels]
    width = max(PANEL_SIZE[0], max(n_levels) * _CELL_INCHES + 0.6)
    figure, axes = panel_grid(len(heights), 2, height_ratios=heights, width_ratios=[width, PANEL_SIZE[0]])
    figure.set_size_inches(width + PANEL_SIZE[0], sum(heights) + 0.3)
    return figure, axes


def _plot_means(axis: Axes, rows: pd.DataFrame, levels: list[str]) -> None:
    """Plot mean distances as a matrix of levels."""
    means = np.full((len(levels), len(levels)), np.nan)
    is_separate = np.zeros(means.shape, dtype=bool)
    for row in rows.to_dict("records"):
        i, j = levels.index(row["level_a"]), levels.index(row["level_b"])
        means[i, i], means[j, j] = row["within_a"], row["within_b"]
        means[i, j] = means[j, i] = row["between"]
        is_separate[i, j] = is_separate[j, i] = row["q"] < row["significance"]
    axis.imshow(means, cmap="Blues", vmin=0, vmax=1.3 * np.nanmax(means))
    for (i, j), mean in np.ndenumerate(means):
        if np.isfinite(mean):
            text = f"{mean:.2g}{'*' if is_separate[i, j] else ''}"
            color = "white" if mean > 0.8 * np.nanmax(means) else "black"
            axis.text(j, i, text, ha="center", va="center", fontsize=5, color=color)
    axis.set_xticks(range(len(levels)), levels, rotation=90)
    axis.set_yticks(range(len(levels)), levels)


def _plot_networks(
    axis: Axes, results: ExperimentResults, metric: str, rows: pd.DataFrame, colors: Mapping[str, Any]
) -> None:
    """Plot the networks of all levels in a plane.

    Args:
        colors: color of each level.
    """
    matrix, labels = _joint_matrix(results, metric, rows, list(colors))
    # A pair of levels that the metric cannot compare has no distances.
    if np.isnan(matrix).any():
        axis.set_visible(False)
        return
    points = embed_distances(matrix)
    for index, (level, color) in enumerate(colors.items()):
        own = points[labels == index]
        axis.scatter(own[:, 0], own[:, 1], s=8, alpha=0.8, linewidth=0, color=color, label=level)
    axis.set_aspect("equal", adjustable="datalim")
    axis.set_box_aspect(1)
    axis.set(xlabel="MDS 1", ylabel="MDS 2")
    axis.locator_params(nbins=3)
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _joint_matrix(
    results: ExperimentResults, metric: str, rows: pd.DataFrame, levels: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """Return distances between the networks of all levels, and the index of each network's level.

    Distances within a level are taken from any of its pairs. Missing distances are NaN.
    """
    sizes = {row[f"level_{x}"]: row[f"networks_{x}"] for row in rows.to_dict("records") for x in "ab"}
    labels = np.repeat(range(len(levels)), [int(sizes[level]) for level in levels])
    matrix = np.full((len(labels), len(labels)), np.nan)
    for row in rows.to_dict("records"):
        pair = [np.flatnonzero(labels == levels.index(row[f"level_{x}"])) for x in "ab"]
        index = np.concatenate(pair)
        matrix[np.ix_(index, index)] = results.between_matrix(metric, row["condition_a"], row["condition_b"])
    return matrix, labels
