"""Figure of clusters: networks of each condition in a plane, colored by cluster."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.experiment_results import ExperimentResults
from analysis.figures.captions import caption
from analysis.figures.measure_labels import measure_label
from degen.condition import Condition
from degen.reporting.embedding import embed_distances
from degen.reporting.panels import hide, mark_empty, panel_grid
from degen.reporting.style import PALETTE, add_caption

_MAX_COLUMNS = 4


def plot_solutions(results: ExperimentResults) -> Figure:
    """Plot the distances of the primary metric of dynamics: one panel per condition, new rows for each task.

    Colors are clusters. Titles contain their number, and p against one cluster.
    """
    rows = results.solutions[results.solutions["is_primary"]]
    by_condition = {row["condition"]: row for row in rows.to_dict("records")}
    all_conditions = {task: results.conditions(task) for task in results.tasks}
    n_columns = min(_MAX_COLUMNS, max(map(len, all_conditions.values())))
    n_rows = [math.ceil(len(conditions) / n_columns) for conditions in all_conditions.values()]
    figure, axes = panel_grid(sum(n_rows), n_columns)
    blocks = np.split(axes, np.cumsum(n_rows)[:-1])
    for block, (task, conditions) in zip(blocks, all_conditions.items(), strict=True):
        panels = block.ravel()
        panels[0].set_ylabel(f"{results.title(task)}\nMDS 2")
        for axis, condition in zip(panels, conditions, strict=False):
            _plot_condition(axis, results, condition, by_condition.get(condition.signature))
        hide(panels[len(conditions) :])
    metric = measure_label(rows["metric"].iloc[0])
    figure.suptitle(f"clusters of networks by {metric}")
    text = caption(results).show("colors: clusters", "p: of a single cluster")
    return add_caption(
        figure,
        text.explain(
            "MDS: positions by multidimensional scaling, with its own scale in each panel",
            "p is computed for each condition on its own",
        ),
    )


def _plot_condition(
    axis: Axes, results: ExperimentResults, condition: Condition, row: Mapping[Any, Any] | None
) -> None:
    matrix = None if row is None else results.matrix(row["metric"], condition)
    if row is None or matrix is None:
        mark_empty(axis, "not measured")
        return
    labels = np.array(row["labels"].split(), dtype=int)
    positions = embed_distances(matrix)
    for label, color in zip(range(1, row["clusters"] + 1), cycle(PALETTE), strict=False):
        x, y = positions[labels == label].T
        axis.scatter(x, y, s=10, alpha=0.8, linewidth=0, color=color)
    number = f"{row['clusters']} cluster{'s' if row['clusters'] > 1 else ''}"
    p = "too few networks" if np.isnan(row["p"]) else f"p = {row['p']:.2g}"
    axis.set(title=f"{results.experiment.label} = {results.tick(condition)}\n{number}, {p}", xlabel="MDS 1")
    axis.set_aspect("equal", adjustable="datalim")
    axis.locator_params(nbins=3)
