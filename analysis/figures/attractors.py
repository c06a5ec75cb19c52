"""Fig. 4C: trajectories with slow and fixed points, and whether those lie on a line, in numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.data import Data
from analysis.figures.panels import empty, finish, grid
from analysis.line_attractors import NEUTRAL, ORDERED
from degen.condition import Condition


def attractors(one: Data) -> Figure:
    """Trials, slow and fixed points of one network of each condition (above); lines in numbers (below).

    Below, of all converged networks in the delay: how fast states move, and how slow points are ordered by
    what is remembered against the second eigenvalue; those to the right below lie on a line attractor.
    """
    table = one.trajectories
    conditions = [c for task in one.tasks for c in one.conditions(task)]
    lines = one.line_attractors
    figure, axes = grid(1 if lines.empty else 2, max(2, len(conditions)))
    for axis, condition in zip(axes[0], conditions, strict=False):
        rows = table[table["condition"] == condition.signature]
        if rows.empty:
            empty(axis, "not measured")
            continue
        _phase_plane(axis, rows)
        axis.set_title(
            f"{one.tick(condition)} {one.experiment.label}: seed {rows['seed'].iloc[0]}", fontsize=7
        )
    axes[0, 0].set_ylabel("PC 2", fontsize=7)
    for axis in axes[:, len(conditions) :].flat if lines.empty else axes[0, len(conditions) :]:
        axis.set_visible(False)
    if not lines.empty:
        _line_measures(axes[1], one, lines[lines["period"] == "delay"], conditions)
    return finish(figure, one)


def _phase_plane(axis: Axes, rows: pd.DataFrame) -> None:
    colors = sns.color_palette("colorblind")
    for _, path in rows[rows["trial"].between(0, 29)].groupby("trial"):
        color = colors[0] if path["value"].iloc[0] > 0 else colors[1]
        axis.plot(path["x"], path["y"], color=color, linewidth=0.5, alpha=0.5)
    slow, fixed = rows[rows["kind"] == "slow"], rows[rows["kind"] == "fixed"]
    axis.scatter(slow["x"], slow["y"], color="black", s=5, zorder=3, linewidth=0)
    stable = np.where(fixed["value"] < 1, "black", "white")
    axis.scatter(fixed["x"], fixed["y"], c=stable, marker="D", s=20, zorder=4, edgecolor="black", linewidth=1)
    words = f"PC 1 ({len(slow)} slow points, dots;\n{len(fixed)} fixed points, diamonds, filled if stable)"
    axis.set_xlabel(words, fontsize=6)
    axis.tick_params(labelsize=6)


def _line_measures(
    axes: Sequence[Axes], one: Data, lines: pd.DataFrame, conditions: Sequence[Condition]
) -> None:
    speeds, places = axes[0], axes[1]
    for place, (condition, color) in enumerate(
        zip(conditions, sns.color_palette("colorblind"), strict=False)
    ):
        rows = lines[lines["condition"] == condition.signature]
        spread = np.random.default_rng(0).uniform(-0.12, 0.12, len(rows))
        speeds.scatter(place + spread, rows["speed"], color=color, s=12, alpha=0.8, linewidth=0)
        found = f"{one.tick(condition)}: {rows['is_attractor'].sum()} of {len(rows)} line attractors"
        places.scatter(
            rows["ordered"], rows["second"], color=color, s=12, alpha=0.8, linewidth=0, label=found
        )
    speeds.set_xticks(range(len(conditions)), [one.tick(c) for c in conditions], fontsize=7)
    speeds.set(xlim=(-0.5, len(conditions) - 0.5), yscale="log")
    speeds.tick_params(axis="y", which="both", labelsize=7)
    speeds.set_xlabel(one.experiment.label, fontsize=7)
    speeds.set_ylabel("speed in the delay\n(median, a step)", fontsize=7)
    places.axvline(ORDERED, color="0.5", linestyle=":", linewidth=0.7)
    places.axhline(NEUTRAL, color="0.5", linestyle=":", linewidth=0.7)
    places.set_xlabel("rank correlation of place and f1", fontsize=7)
    places.set_ylabel("second eigenvalue\n(modulus, median)", fontsize=7)
    places.legend(fontsize=5.5, frameon=False, loc="lower left")
    for axis in axes:
        axis.tick_params(labelsize=6)
    for axis in axes[2:]:
        axis.set_visible(False)
