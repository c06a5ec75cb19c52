"""Fig. 4C: trajectories with slow and fixed points, and whether those lie on a line, in numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.experiment_results import ExperimentResults
from analysis.figures.captions import caption
from analysis.figures.panels import empty, grid, log_ticks
from analysis.steps.line_attractors import MIN_RANK_CORRELATION, NEUTRAL_MODULUS
from degen.condition import Condition
from degen.reporting.style import finish


def attractors(one: ExperimentResults) -> Figure:
    """Trials, slow and fixed points of one network of each condition (above); lines in numbers (below).

    Below, of all converged networks in the delay: how fast states move, and how slow points are ordered by
    what is remembered against the second eigenvalue. A line attractor is in the grey area, and straight, long
    and reached by the states (`analysis.steps.line_attractors.measure_period`).
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
        seed = rows["seed"].iloc[0]
        has_line = _is_line(lines, condition, seed)
        axis.set_title(f"{one.tick(condition)} {one.experiment.label}\nseed {seed}{has_line}")
    axes[0, 0].set_ylabel("PC 2")
    for axis in axes[:, len(conditions) :].flat if lines.empty else axes[0, len(conditions) :]:
        axis.set_visible(False)
    if not lines.empty:
        _line_measures(axes[1], one, lines[lines["period"] == "delay"], conditions)
    first = "above: the first seed with a line of slow points, if any; trials by the sign of their target"
    cut = f"line attractor: a line, its second eigenvalue below {NEUTRAL_MODULUS}; f1: the first stimulus"
    return finish(figure, caption(one), first, *([] if lines.empty else [cut]))


def _is_line(lines: pd.DataFrame, condition: Condition, seed: int) -> str:
    if lines.empty:
        return ""
    held = lines[(lines["condition"] == condition.signature) & (lines["period"] == "delay")]
    return ", a line" if held.set_index("seed")["is_line"].get(seed, False) else ", no line"


def _phase_plane(axis: Axes, rows: pd.DataFrame) -> None:
    colors = sns.color_palette("colorblind")[2], sns.color_palette("colorblind")[4]
    for _, path in rows[rows["trial"].between(0, 29)].groupby("trial"):
        color = colors[0] if path["value"].iloc[0] > 0 else colors[1]
        axis.plot(path["x"], path["y"], color=color, linewidth=0.5, alpha=0.5)
    slow, fixed = rows[rows["kind"] == "slow"], rows[rows["kind"] == "fixed"]
    axis.scatter(slow["x"], slow["y"], color="black", s=5, zorder=3, linewidth=0)
    stable = np.where(fixed["value"] < 1, "black", "white")
    axis.scatter(fixed["x"], fixed["y"], c=stable, marker="D", s=20, zorder=4, edgecolor="black", linewidth=1)
    axis.set_xlabel(f"PC 1\n{len(slow)} slow (dots), {len(fixed)} fixed points\n(diamonds, filled if stable)")


def _line_measures(
    axes: Sequence[Axes], one: ExperimentResults, lines: pd.DataFrame, conditions: Sequence[Condition]
) -> None:
    speeds, places = axes[0], axes[1]
    found = []
    for place, (condition, color) in enumerate(
        zip(conditions, sns.color_palette("colorblind"), strict=False)
    ):
        rows = lines[lines["condition"] == condition.signature]
        spread = np.random.default_rng(0).uniform(-0.12, 0.12, len(rows))
        speeds.scatter(place + spread, rows["speed"], color=color, s=12, alpha=0.8, linewidth=0)
        places.scatter(
            rows["rank_correlation"], rows["second_modulus"], color=color, s=12, alpha=0.8, linewidth=0
        )
        counts = f"{rows['is_line'].sum()} lines, {rows['is_attractor'].sum()} attractors"
        found.append(f"{one.tick(condition)}: {counts} of {len(rows)}")
    speeds.set_xticks(range(len(conditions)), [one.tick(c) for c in conditions])
    speeds.set_xlim(-0.5, len(conditions) - 0.5)
    log_ticks(speeds)
    speeds.set_xlabel(one.experiment.label)
    speeds.set_ylabel("speed in the delay\n(median, a step)")
    places.axvline(MIN_RANK_CORRELATION, color="0.5", linestyle=":", linewidth=0.7)
    places.axhline(NEUTRAL_MODULUS, color="0.5", linestyle=":", linewidth=0.7)
    bottom, right = places.get_ylim()[0], max(1.0, places.get_xlim()[1])
    places.fill_between(
        [MIN_RANK_CORRELATION, right], bottom, NEUTRAL_MODULUS, color="0.9", zorder=0, linewidth=0
    )
    places.set(ylim=(bottom, None), xlim=(None, right))
    places.set_xlabel("rank correlation\nof place and f1")
    places.set_ylabel("second eigenvalue\n(modulus, median)")
    places.set_title("\n".join(found), fontsize=6)
    for axis in axes[2:]:
        axis.set_visible(False)
