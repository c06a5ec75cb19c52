"""The few ways in which the numbered figures are drawn, each from tables and matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.data import Data, note, task_words
from analysis.figures.embedding import embed
from analysis.figures.style import PANEL

MEASURES = {
    "dsa": "dynamical degeneracy\n(DSA)",
    "pif": "weight degeneracy\n(PIF)",
    "pif_parameters": "weight degeneracy\n(PIF / n\u00b2)",
    "sigma_ood": "behavioural degeneracy\n(s.d. of OOD loss)",
    "svcca": "representational\ndegeneracy (1 \u2212 SVCCA)",
    "weight_change": "weight change\n(Frobenius norm)",
    "participation": "participation ratio\nof singular values",
    "sparsity": "share of weights\nnear 0",
    "kernel_alignment": "kernel alignment",
    "representation_alignment": "representation\nalignment",
}
_BASELINES = {
    "pif": "pif_initial",
    "pif_parameters": "pif_initial",
    "dsa": "dsa_null",
    "sigma_ood": "sigma_test",
}
_BASELINE_WORDS = {
    "pif_initial": "at initialization",
    "dsa_null": "same network twice",
    "sigma_test": "on trials as in training",
}


def grid(rows: int, columns: int, **kind: Any) -> tuple[Figure, Any]:
    """A figure of so many panels, and their axes (rows, columns)."""
    size = (PANEL[0] * columns, PANEL[1] * rows + 0.3)
    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **kind)


def finish(figure: Figure, *data: Data, tasks: list[str] | None = None, has_bands: bool = False) -> Figure:
    """The figure with `note` below it."""
    width = int(figure.get_size_inches()[0] * 19)
    words, lines = note(*data, tasks=tasks, has_bands=has_bands).split(), [""]
    for word in words:
        lines = [*lines[:-1], f"{lines[-1]} {word}"] if len(lines[-1]) + len(word) < width else [*lines, word]
    figure.supxlabel("\n".join(line.strip() for line in lines), fontsize=6, color="0.35")
    return figure


def empty(axis: Axes, why: str) -> None:
    """A panel without data, and why."""
    axis.text(0.5, 0.5, why, ha="center", va="center", fontsize=7, color="0.4", transform=axis.transAxes)
    axis.set(xticks=[], yticks=[])


def levels(measures: Sequence[str], *data: Data, tasks: Sequence[str] | None = None) -> Figure:
    """Measures (rows) against the factor, a column for each task of each experiment.

    Bands are the bootstrap intervals of the degeneracy table; dashed lines are what a distance is to be
    compared with: initial weights, or a network against itself.
    """
    columns = [(one, task) for one in data for task in one.tasks if tasks is None or task in tasks]
    figure, axes = grid(len(measures), max(1, len(columns)))
    for column, (one, task) in enumerate(columns):
        axes[0, column].set_title(task_words(task) if len(data) == 1 else one.experiment.label, fontsize=8)
        for row, measure in enumerate(measures):
            _line(axes[row, column], one, task, measure)
        axes[-1, column].set_xlabel(one.experiment.label, fontsize=8)
    for row, measure in enumerate(measures):
        axes[row, 0].set_ylabel(MEASURES.get(measure, measure), fontsize=8)
    shown = sorted({task for _, task in columns})
    return finish(figure, *data, tasks=shown, has_bands=True)


def _line(axis: Axes, one: Data, task: str, measure: str) -> None:
    conditions = one.conditions(task)
    colors = sns.color_palette("colorblind")
    for name, color, style in ((measure, colors[0], "-"), (_BASELINES.get(measure, ""), "0.5", "--")):
        rows = _values(one, [c.signature for c in conditions], name, measure == "pif_parameters")
        if rows is None:
            continue
        axis.plot(range(len(rows)), rows["value"], style, color=color, marker="o", markersize=3)
        axis.fill_between(range(len(rows)), rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0)
        if style == "--":
            word = _BASELINE_WORDS[name]
            axis.annotate(word, (0, rows["value"].iloc[0]), fontsize=5.5, color="0.4", va="bottom")
    if not axis.lines:
        empty(axis, "not measured")
        return
    axis.set_xticks(range(len(conditions)), [one.tick(c) for c in conditions], fontsize=7)
    axis.tick_params(labelsize=7)
    axis.margins(x=0.12)


def _values(one: Data, signatures: list[str], measure: str, per_parameter: bool) -> pd.DataFrame | None:
    """Rows of the degeneracy table, one a condition, in that order; None where one is missing."""
    name = "pif" if measure == "pif_parameters" else measure
    table = one.degeneracy[one.degeneracy["measure"] == name].set_index("condition")
    if not set(signatures) <= set(table.index):
        return None
    rows = table.loc[signatures, ["value", "low", "high"]]
    if per_parameter:
        widths = {c.signature: c.model.width for c in one.experiment.conditions}
        rows = rows.div(pd.Series([widths[s] ** 2 for s in signatures], index=rows.index), axis=0)
    return rows


def embeddings(one: Data) -> Figure:
    """Networks of each condition (columns) and task (rows) in the plane, a scale for each task."""
    columns = max(len(one.conditions(task)) for task in one.tasks)
    figure, axes = grid(len(one.tasks), columns)
    for row, task in enumerate(one.tasks):
        conditions = one.conditions(task)
        matrices = [one.matrix("dsa", condition) for condition in conditions]
        places = [None if matrix is None else embed(matrix) for matrix in matrices]
        reach = 1.15 * max((np.abs(place).max() for place in places if place is not None), default=1.0)
        for axis, condition, place in zip(axes[row], conditions, places, strict=False):
            if place is None:
                empty(axis, "not measured")
                continue
            axis.scatter(*place.T, s=12, alpha=0.8, linewidth=0, color=sns.color_palette("colorblind")[0])
            axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
            axis.set_title(f"{task_words(task)}, {one.tick(condition)}", fontsize=7)
            axis.tick_params(labelsize=6)
        for axis in axes[row, len(conditions) :]:
            axis.set_visible(False)
    figure.suptitle(f"DSA, multidimensional scaling; {one.experiment.label} from left to right", fontsize=8)
    return finish(figure, one)


def seeds(columns: Sequence[str], one: Data, task: str) -> Figure:
    """Per-network values: each seed's connected along the factor (left), mean and interval (right)."""
    figure, axes = grid(len(columns), 2, sharey="row")
    conditions = one.conditions(task)
    places = {condition.signature: place for place, condition in enumerate(conditions)}
    for row, column in enumerate(columns):
        left, right = axes[row]
        if column not in one.networks or one.networks[column].isna().all() or not conditions:
            empty(left, "not measured")
            empty(right, "not measured")
        else:
            for _, network in one.networks[one.networks["condition"].isin(places)].groupby("seed"):
                # A line breaks where the seed did not converge.
                values = network.set_index("condition")[column].reindex(list(places))
                left.plot(range(len(places)), values, marker="o", markersize=2, lw=0.7)
            _line(right, one, task, column)
            left.set_xticks(range(len(conditions)), [one.tick(c) for c in conditions], fontsize=7)
            left.tick_params(labelsize=7)
        left.set_ylabel(MEASURES.get(column, column), fontsize=8)
    for axis, word in zip(axes[0], ("each network", "mean"), strict=True):
        axis.set_title(word, fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel(one.experiment.label, fontsize=8)
    figure.suptitle(task_words(task), fontsize=8)
    return finish(figure, one, tasks=[task], has_bands=True)


def behaviour(one: Data) -> Figure:
    """OOD losses: mean against standard deviation (above), and every network's (below), a column a task."""
    figure, axes = grid(2, len(one.tasks))
    for column, task in enumerate(one.tasks):
        conditions = one.conditions(task)
        above, below = axes[:, column]
        colors = sns.color_palette("viridis", len(conditions))
        for place, (condition, color) in enumerate(zip(conditions, colors, strict=True)):
            losses = one.networks.loc[one.networks["condition"] == condition.signature, "ood_loss"].to_numpy()
            above.scatter(losses.mean(), losses.std(), color=color, s=22, label=one.tick(condition))
            spread = np.random.default_rng(0).uniform(-0.18, 0.18, len(losses))
            below.scatter(place + spread, losses, color=color, s=7, alpha=0.7, linewidth=0)
            below.hlines(np.median(losses), place - 0.3, place + 0.3, color="black", linewidth=0.8)
        above.set_title(task_words(task), fontsize=8)
        above.set_xlabel("mean OOD loss", fontsize=7)
        above.legend(fontsize=5.5, frameon=False, title=one.experiment.label, title_fontsize=5.5)
        below.set_xticks(range(len(conditions)), [one.tick(c) for c in conditions], fontsize=7)
        below.set(yscale="log")
        below.set_xlabel(one.experiment.label, fontsize=8)
        for axis in (above, below):
            axis.tick_params(labelsize=7)
    axes[0, 0].set_ylabel("s.d. of OOD loss", fontsize=8)
    axes[1, 0].set_ylabel("OOD loss\n(bar: median)", fontsize=8)
    return finish(figure, one)
