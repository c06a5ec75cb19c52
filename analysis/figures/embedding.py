"""Multidimensional scaling of the distances between networks (as Fig. 3A of the paper)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.experiment_results import ExperimentResults
from analysis.figures.captions import caption, hyperparameters_caption
from analysis.figures.measure_labels import axis_label
from degen.condition import Condition
from degen.reporting.embedding import embed_distances
from degen.reporting.panels import hide, mark_empty, panel_grid, wrapped_panels
from degen.reporting.style import BLUE, PANEL_SIZE, Caption, add_caption, save_figure

Array = NDArray[np.float64]


def draw(
    distances: dict[str, Array], titles: dict[str, str], metric: str, caption: Caption, folder: Path
) -> list[Path]:
    """Draw the networks of each condition, all panels to one scale: tighter means less degenerate.

    Args:
        distances: matrix (networks, networks) by signature.
        titles: title of each panel by signature.
        metric: name of the metric.
        caption: networks behind the figure.
        folder: folder of the files.
    """
    figure, axes = wrapped_panels(len(distances), height=PANEL_SIZE[0] + 0.5)
    points = {signature: embed_distances(matrix) for signature, matrix in distances.items()}
    reach = 1.1 * max(np.abs(positions).max() for positions in points.values()) or 1.0
    for axis, (signature, positions) in zip(axes, points.items(), strict=True):
        axis.scatter(positions[:, 0], positions[:, 1], s=12, alpha=0.8, linewidth=0)
        axis.set(title=titles[signature], xlabel="MDS 1")
        axis.locator_params(nbins=3)
        _set_reach(axis, reach)
    axes[0].set_ylabel("MDS 2")
    figure.suptitle(f"{metric.upper()} distances by multidimensional scaling (MDS)")
    text = caption.explain(
        "all panels have the same scale: networks that are closer together are less degenerate"
    )
    return save_figure(add_caption(figure, text), folder, f"embedding-{metric}")


def plot_embeddings(results: ExperimentResults) -> Figure:
    """Plot DSA distances as points in a plane: one row per task, one column per condition.

    The panels of a task have equal axis limits, so that their spreads can be compared.
    """
    tasks = results.tasks
    figure, axes = panel_grid(len(tasks), max(len(results.conditions(task)) for task in tasks))
    for row, task in zip(axes, tasks, strict=True):
        _plot_task(row, results, task)
    for axis in axes[-1]:
        axis.set_xlabel("MDS 1")
    figure.suptitle(
        f"{axis_label('dsa', results)} by multidimensional scaling, one scale per row; "
        f"{results.experiment.label} from left to right"
    )
    text = caption(results).explain(
        "equal distances cannot be drawn in a plane, so compare the means",
        "split-half baseline: distance of a network from itself on other trials",
        *hyperparameters_caption(results),
    )
    return add_caption(figure, text)


def _plot_task(axes: NDArray[np.object_], results: ExperimentResults, task: str) -> None:
    conditions = results.conditions(task)
    matrices = [results.matrix("dsa", condition) for condition in conditions]
    points = [None if matrix is None else embed_distances(matrix) for matrix in matrices]
    reach = 1.15 * max(
        (np.abs(positions).max() for positions in points if positions is not None), default=1.0
    )
    axes[0].set_ylabel(f"{results.title(task)}\nMDS 2")
    for axis, condition, matrix, positions in zip(axes, conditions, matrices, points, strict=False):
        if matrix is None or positions is None:
            mark_empty(axis, "not measured")
            continue
        axis.scatter(positions[:, 0], positions[:, 1], s=10, alpha=0.8, linewidth=0, color=BLUE)
        _set_reach(axis, reach)
        axis.set_title(_embedding_title(results, condition, matrix))
        axis.locator_params(nbins=3)
    hide(axes[len(conditions) :])


def _embedding_title(results: ExperimentResults, condition: Condition, matrix: Array) -> str:
    mean = matrix.sum() / (len(matrix) * (len(matrix) - 1))
    table = results.degeneracy
    baseline = table[(table["measure"] == "dsa_null") & (table["condition"] == condition.signature)]["value"]
    split_half = f", split-half {baseline.iloc[0]:.2f}" if len(baseline) else ""
    return f"{results.tick(condition)} (n = {len(matrix)})\nmean {mean:.2f}{split_half}"


def _set_reach(axis: Axes, reach: float) -> None:
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
