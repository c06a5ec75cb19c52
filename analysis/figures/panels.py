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
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from analysis.experiment_results import ExperimentResults
from analysis.figures.captions import caption, hyperparameters_caption
from analysis.figures.embedding import embed
from degen.reporting.style import PANEL, finish

MEASURES = {
    "dsa": "dynamical degeneracy",
    "pif": "weight degeneracy\nPIF",
    "pif_parameters": "weight degeneracy\nPIF / n\u00b2",
    "sigma_ood": "behavioural degeneracy\ns.d. of OOD loss",
    "svcca": "representational\ndegeneracy, 1 \u2212 SVCCA",
    "weight_change": "weight change\n(Frobenius norm)",
    "participation_ratio": "participation ratio\nof singular values",
    "near_zero_fraction": "share of weights below\n1 % of the largest",
    "kernel_alignment": "kernel alignment",
    "representation_alignment": "representation\nalignment",
}
_BASELINES = {
    "pif": ("pif_initial", "of initial weights"),
    "pif_parameters": ("pif_initial", "of initial weights"),
    "dsa": ("dsa_null", "one network, half its\ntrials on each side"),
    "sigma_ood": ("sigma_test", "of loss on ordinary trials"),
}
_BLUE, _GREY = sns.color_palette("colorblind")[0], "0.5"
_STEPS = [1, 2, 5, 10]
_FEW = 20
"""Fewer networks have intervals of a standard deviation that are too narrow (docs/paper.md, Statistics)."""


def grid(rows: int, columns: int, **kind: Any) -> tuple[Figure, Any]:
    """A figure of so many panels, and their axes (rows, columns)."""
    size = (PANEL[0] * columns, PANEL[1] * rows + 0.3)
    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **kind)


def empty(axis: Axes, why: str) -> None:
    """A panel without data, and why."""
    axis.text(0.5, 0.5, why, ha="center", va="center", color="0.4", transform=axis.transAxes)
    axis.set(xticks=[], yticks=[])


def levels(measures: Sequence[str], *data: ExperimentResults, tasks: Sequence[str] | None = None) -> Figure:
    """Measures (rows) against the factor, a column for each task of each experiment.

    Bands are the bootstrap intervals of the degeneracy table; grey lines are what a distance is to be
    compared with: initial weights, or a network against itself. A condition of which networks are left out
    is hollow, and says how many are there.
    """
    columns = [(one, task) for one in data for task in one.tasks if tasks is None or task in tasks]
    figure, axes = grid(len(measures), max(1, len(columns)))
    for column, (one, task) in enumerate(columns):
        axes[0, column].set_title(one.title(task))
        for row, measure in enumerate(measures):
            _line(axes[row, column], one, task, measure)
        axes[-1, column].set_xlabel(one.experiment.label)
    for row, measure in enumerate(measures):
        word = _BASELINES.get(measure, ("", ""))[1]
        grey = f"\ngrey: {word}" if word else ""
        units = dict.fromkeys(one.dsa_label for one in data if measure == "dsa" and one.dsa_label)
        scores = f"\n{', '.join(units)}" if units else ""
        axes[row, 0].set_ylabel(MEASURES.get(measure, measure) + scores + grey)
    return finish(figure, *_notes(measures, *data, tasks=tasks))


def _notes(
    measures: Sequence[str], *data: ExperimentResults, tasks: Sequence[str] | None = None
) -> list[str]:
    """What stands under a figure of these measures."""
    words = [caption(*data, tasks=tasks, has_bands=True)]
    most = max((one.degeneracy["networks"].max() for one in data if len(one.degeneracy)), default=_FEW)
    if "sigma_ood" in measures and most < _FEW:
        words.append("bands of a standard deviation are too narrow with so few networks")
    return [*words, hyperparameters_caption(*data, tasks=tasks)] if "dsa" in measures else words


def _line(axis: Axes, one: ExperimentResults, task: str, measure: str) -> None:
    conditions = one.conditions(task)
    places = np.arange(len(conditions))
    is_scale = all(type(one.experiment.value(condition)) in (int, float) for condition in conditions)
    is_log = measure == "pif_parameters"
    for name, color, style in ((_BASELINES.get(measure, ("",))[0], _GREY, "--"), (measure, _BLUE, "-")):
        rows = _values(one, [c.signature for c in conditions], name, is_log)
        if rows is None:
            continue
        if is_scale:
            axis.plot(places, rows["value"], style, color=color)
            axis.fill_between(places, rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0)
        else:
            # With and without: nothing lies between.
            axis.vlines(places, rows["low"], rows["high"], color=color, linewidth=1.2)
        for is_whole in (True, False):
            chosen = (rows["networks"] == len(one.experiment.seeds)).to_numpy() == is_whole
            fill = color if is_whole else "white"
            axis.plot(places[chosen], rows["value"][chosen], "o", ms=3, mew=0.8, mec=color, mfc=fill)
    if not axis.lines:
        empty(axis, "not measured")
        return
    _factor_ticks(axis, one, task)
    axis.margins(x=0.12)
    if is_log:
        log_ticks(axis)
    else:
        axis.set_ylim(0, 1.08 * axis.dataLim.y1 if np.isfinite(axis.dataLim.y1) else None)
        axis.yaxis.set_major_locator(MaxNLocator(4, steps=_STEPS))


def _factor_ticks(axis: Axes, one: ExperimentResults, task: str) -> None:
    """The factor's values, evenly spaced, and under them the networks where some are left out."""
    conditions = one.conditions(task)
    axis.set_xticks(range(len(conditions)), [one.tick_with_networks(c) for c in conditions])


def log_ticks(axis: Axes) -> None:
    """A logarithmic y axis with a few labels, also where it holds less than a power of ten."""
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    few = LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 100 else (1.0,))
    axis.yaxis.set_major_locator(MaxNLocator(4, steps=_STEPS) if high / low < 5 else few)
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())


def _values(
    one: ExperimentResults, signatures: list[str], measure: str, per_parameter: bool
) -> pd.DataFrame | None:
    """Rows of the degeneracy table, one a condition, in that order; None where one is missing."""
    name = "pif" if measure == "pif_parameters" else measure
    table = one.degeneracy[one.degeneracy["measure"] == name].set_index("condition")
    if not set(signatures) <= set(table.index):
        return None
    rows = table.loc[signatures, ["value", "low", "high", "networks"]]
    if per_parameter:
        widths = {c.signature: c.model.width for c in one.experiment.conditions}
        weights = pd.Series([widths[s] ** 2 for s in signatures], index=rows.index)
        rows[["value", "low", "high"]] = rows[["value", "low", "high"]].div(weights, axis=0)
    return rows


def embeddings(one: ExperimentResults) -> Figure:
    """Networks of each condition (columns) and task (rows) in the plane, a scale for each task."""
    columns = max(len(one.conditions(task)) for task in one.tasks)
    figure, axes = grid(len(one.tasks), columns)
    for row, task in enumerate(one.tasks):
        conditions = one.conditions(task)
        matrices = [one.matrix("dsa", condition) for condition in conditions]
        places = [None if matrix is None else embed(matrix) for matrix in matrices]
        reach = 1.15 * max((np.abs(place).max() for place in places if place is not None), default=1.0)
        axes[row, 0].set_ylabel(f"{one.title(task)}\nMDS 2")
        for axis, condition, matrix, place in zip(axes[row], conditions, matrices, places, strict=False):
            if matrix is None or place is None:
                empty(axis, "not measured")
                continue
            axis.scatter(*place.T, s=10, alpha=0.8, linewidth=0, color=_BLUE)
            axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
            mean = matrix.sum() / (len(matrix) * (len(matrix) - 1))
            floor = _values(one, [condition.signature], "dsa_null", False)
            itself = "" if floor is None else f", itself {floor['value'].iloc[0]:.2f}"
            axis.set_title(f"{one.tick(condition)} (n = {len(matrix)})\nmean {mean:.2f}{itself}")
            axis.locator_params(nbins=3)
        for axis in axes[row, len(conditions) :]:
            axis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("MDS 1")
    figure.suptitle(
        f"{one.dsa_label or 'DSA'} by multidimensional scaling, one scale a row; "
        f"{one.experiment.label} from left to right"
    )
    # Eight points at equal distances are a ring in the plane, with one in the middle.
    flat = "distances that are all alike cannot be drawn in a plane: the means tell more"
    flat += "; itself: one network, half its trials on each side"
    return finish(figure, caption(one), flat, hyperparameters_caption(one))


def seeds(columns: Sequence[str], one: ExperimentResults, task: str) -> Figure:
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
            _factor_ticks(left, one, task)
            _line(right, one, task, column)
            # One scale for both: single networks are above the band of their mean.
            right.set_ylim(0, 1.08 * max(left.dataLim.y1, right.dataLim.y1))
        left.set_ylabel(MEASURES.get(column, column))
    for axis, word in zip(axes[0], ("each network", "mean"), strict=True):
        axis.set_title(word)
    for axis in axes[-1]:
        axis.set_xlabel(one.experiment.label)
    figure.suptitle(one.title(task))
    return finish(figure, *_notes(columns, one, tasks=[task]))


def behaviour(one: ExperimentResults) -> Figure:
    """OOD losses: mean against standard deviation (above), and every network's (below), a column a task."""
    figure, axes = grid(2, len(one.tasks))
    for column, task in enumerate(one.tasks):
        conditions = one.conditions(task)
        above, below = axes[:, column]
        colors = sns.color_palette("viridis", len(conditions))
        for place, (condition, color) in enumerate(zip(conditions, colors, strict=True)):
            losses = one.networks.loc[one.networks["condition"] == condition.signature, "ood_loss"].to_numpy()
            above.scatter(losses.mean(), losses.std(), color=color, s=16)
            spread = np.random.default_rng(0).uniform(-0.18, 0.18, len(losses))
            below.scatter(place + spread, losses, color=color, s=6, alpha=0.7, linewidth=0)
            below.hlines(np.median(losses), place - 0.3, place + 0.3, color="black", linewidth=0.8)
        above.set_title(one.title(task))
        above.set_xlabel("mean OOD loss")
        above.margins(x=0.1)
        above.set_ylim(0, 1.12 * above.dataLim.y1 if np.isfinite(above.dataLim.y1) else None)
        above.xaxis.set_major_locator(MaxNLocator(2, steps=_STEPS))
        above.ticklabel_format(axis="x", scilimits=(-3, 4))
        above.yaxis.set_major_locator(MaxNLocator(4, steps=_STEPS))
        _factor_ticks(below, one, task)
        log_ticks(below)
        below.set_xlabel(one.experiment.label)
    axes[0, 0].set_ylabel("s.d. of OOD loss")
    axes[1, 0].set_ylabel("OOD loss\n(bar: median)")
    return finish(figure, caption(one), "colours above as below")
