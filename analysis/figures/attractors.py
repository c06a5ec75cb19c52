"""Line attractors (Fig. 4C): trajectories with slow and fixed points, and their line measures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.experiment_results import ExperimentResults
from analysis.figures.captions import caption
from analysis.steps.line_attractors import MIN_RANK_CORRELATION, NEUTRAL_MODULUS
from degen.condition import Condition
from degen.reporting.panels import hide, jitter, mark_empty, panel_grid, use_log_ticks
from degen.reporting.style import PALETTE, add_caption, ordered_colors


def plot_attractors(results: ExperimentResults) -> Figure:
    """Plot trials, slow and fixed points of one network per condition (above), and line measures (below).

    The line measures are of all converged networks in the delay: the speed of their states, and the order of
    their slow points against the second eigenvalue. Line attractors lie in the gray area, and their line is
    straight, long and reached by the states (`analysis.steps.line_attractors`).
    """
    conditions = [condition for task in results.tasks for condition in results.conditions(task)]
    lines = results.line_attractors
    n_columns = max(2, len(conditions))
    figure, axes = panel_grid(1 if lines.empty else 2, n_columns)
    for axis, condition in zip(axes[0], conditions, strict=False):
        _plot_trajectories(axis, results, condition)
    hide(axes[0, len(conditions) :])
    axes[0, 0].set_ylabel("PC 2")
    text = caption(results).explain(
        "above: trials of the first seed with a line of slow points, or of the first seed",
        "PC: principal component of the states on the trials",
        "filled diamonds: stable fixed points",
    )
    text = text.show("trials: green with positive targets, pink with others")
    if not lines.empty:
        in_delay = lines[lines["period"] == "delay"]
        _plot_speeds(axes[1, 0], results, in_delay, conditions)
        _plot_lines(axes[1, 1], results, in_delay, conditions)
        hide(axes[1, 2:])
        text = text.show("f1: first stimulus", "gray area: line attractors")
        text = text.explain(f"line attractor: a line with a second eigenvalue below {NEUTRAL_MODULUS}")
    return add_caption(figure, text)


def _plot_trajectories(axis: Axes, results: ExperimentResults, condition: Condition) -> None:
    table = results.trajectories
    rows = table[table["condition"] == condition.signature]
    if rows.empty:
        mark_empty(axis, "not measured")
        return
    _plot_phase_plane(axis, rows)
    seed = rows["seed"].iloc[0]
    line = _line_label(results.line_attractors, condition, seed)
    axis.set_title(f"{results.tick(condition)} {results.experiment.label}\nseed {seed}{line}")


def _line_label(lines: pd.DataFrame, condition: Condition, seed: int) -> str:
    if lines.empty:
        return ""
    in_delay = lines[(lines["condition"] == condition.signature) & (lines["period"] == "delay")]
    return ", a line" if in_delay.set_index("seed")["is_line"].get(seed, False) else ", no line"


def _plot_phase_plane(axis: Axes, rows: pd.DataFrame) -> None:
    colors = PALETTE[2], PALETTE[4]
    for _, path in rows[rows["trial"].between(0, 29)].groupby("trial"):
        color = colors[0] if path["value"].iloc[0] > 0 else colors[1]
        axis.plot(path["x"], path["y"], color=color, linewidth=0.5, alpha=0.5)
    slow, fixed = rows[rows["kind"] == "slow"], rows[rows["kind"] == "fixed"]
    axis.scatter(slow["x"], slow["y"], color="black", s=5, zorder=3, linewidth=0)
    stable = np.where(fixed["value"] < 1, "black", "white")
    axis.scatter(fixed["x"], fixed["y"], c=stable, marker="D", s=20, zorder=4, edgecolor="black", linewidth=1)
    axis.set_xlabel(f"PC 1\nslow points (dots): {len(slow)}\nfixed points (diamonds): {len(fixed)}")


def _plot_speeds(
    axis: Axes, results: ExperimentResults, lines: pd.DataFrame, conditions: Sequence[Condition]
) -> None:
    colors = ordered_colors(len(conditions))
    for position, (condition, color) in enumerate(zip(conditions, colors, strict=True)):
        speeds = lines.loc[lines["condition"] == condition.signature, "speed"]
        positions = jitter(position, len(speeds), 0.12)
        axis.scatter(positions, speeds, color=color, s=12, alpha=0.8, linewidth=0)
    axis.set_xticks(range(len(conditions)), [results.tick(condition) for condition in conditions])
    axis.set_xlim(-0.5, len(conditions) - 0.5)
    use_log_ticks(axis)
    axis.set_xlabel(results.experiment.label)
    axis.set_ylabel("speed in the delay\n(median, per step)")


def _plot_lines(
    axis: Axes, results: ExperimentResults, lines: pd.DataFrame, conditions: Sequence[Condition]
) -> None:
    counts = []
    for condition, color in zip(conditions, ordered_colors(len(conditions)), strict=True):
        rows = lines[lines["condition"] == condition.signature]
        x, y = rows["rank_correlation"], rows["second_modulus"]
        axis.scatter(x, y, color=color, s=12, alpha=0.8, linewidth=0)
        numbers = f"{rows['is_line'].sum()} lines, {rows['is_attractor'].sum()} attractors"
        counts.append(f"{results.tick(condition)}: {numbers} of {len(rows)}")
    axis.axvline(MIN_RANK_CORRELATION, color="0.5", linestyle=":", linewidth=0.7)
    axis.axhline(NEUTRAL_MODULUS, color="0.5", linestyle=":", linewidth=0.7)
    bottom, right = axis.get_ylim()[0], max(1.0, axis.get_xlim()[1])
    axis.fill_between(
        [MIN_RANK_CORRELATION, right], bottom, NEUTRAL_MODULUS, color="0.9", zorder=0, linewidth=0
    )
    axis.set(ylim=(bottom, None), xlim=(None, right))
    axis.set_xlabel("rank correlation\nof position and f1")
    axis.set_ylabel("second eigenvalue\n(modulus, median)")
    axis.set_title("\n".join(counts), fontsize=6)
