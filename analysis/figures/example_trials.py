"""Example trials of each task, with the outputs of a trained network (as Fig. 2 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.experiment_results import ExperimentResults
from analysis.figures.captions import scale_in_short
from degen.reporting.panels import add_legend_above_data, mark_empty, panel_grid
from degen.reporting.style import PALETTE, Caption, add_caption

_INPUTS = {
    "flip_flop": ["pulses"],
    "delayed_discrimination": ["stimulus f1", "stimulus f2"],
    "sine_wave": ["frequency (Hz)"],
    # Path integration by its heading.
    "velocity": ["velocity x", "velocity y"],
    "angle": ["direction (rad)", "speed"],
}
"""Names of the inputs of the paper's tasks with one channel or two dimensions."""
_OUTPUTS = {
    "flip_flop": ["last pulse"],
    "delayed_discrimination": ["sign(f2 \u2212 f1)"],
    "sine_wave": ["sine wave"],
    "path_integration": ["position x", "position y"],
}
"""Names of their outputs."""


def plot_example_trials(results: ExperimentResults) -> Figure:
    """Plot inputs (above), and targets and outputs (below) of one trial, one column per task."""
    figure, axes = panel_grid(2, len(results.tasks), sharex="col")
    for (above, below), task in zip(axes.T, results.tasks, strict=True):
        _plot_task(above, below, results, task)
        below.set_xlabel("time step")
    axes[0, 0].set_ylabel("input")
    axes[1, 0].set_ylabel("output")
    text = Caption().show("one trial of one trained network per task", scale_in_short(results))
    return add_caption(figure, text.explain(*_networks(results)))


def _plot_task(above: Axes, below: Axes, results: ExperimentResults, task: str) -> None:
    conditions = {condition.signature: condition for condition in results.conditions(task)}
    rows = results.example_trials[results.example_trials["condition"].isin(conditions)]
    if rows.empty:
        mark_empty(above, "not measured")
        mark_empty(below, "not measured")
        return
    condition = conditions[rows["condition"].iloc[0]]
    above.set_title(f"{results.title(task)}\n{results.experiment.label} = {results.tick(condition)}")
    heading = getattr(condition.task, "heading", task)
    inputs = _plot_channels(above, rows[rows["kind"] == "input"], "-")
    for line in inputs:
        line.set_drawstyle("steps-mid")
    add_legend_above_data(above, inputs, _names("input", _INPUTS.get(heading, []), len(inputs)))
    outputs = _plot_channels(below, rows[rows["kind"] == "output"], "-")
    target = _plot_channels(below, rows[rows["kind"] == "target"], ":", "black")[0]
    names = _names("channel", _OUTPUTS.get(task, []), len(outputs))
    add_legend_above_data(below, [*outputs, target], [*(f"output: {name}" for name in names), "target"])


def _plot_channels(axis: Axes, rows: pd.DataFrame, style: str, color: str | None = None) -> list[Line2D]:
    """Plot one line per channel, in the colors of channels unless a color is given."""
    colors = cycle([color] if color else PALETTE)
    axis.axhline(0, color="0.85", linewidth=0.6, zorder=0)
    return [
        axis.plot(channel["step"], channel["value"], style, color=line_color)[0]
        for (_, channel), line_color in zip(rows.groupby("channel"), colors, strict=False)
    ]


def _names(kind: str, names: Sequence[str], number: int) -> list[str]:
    return list(names) if len(names) == number else [f"{kind} {i + 1}" for i in range(number)]


def _networks(results: ExperimentResults) -> list[str]:
    """Name the network of each task."""
    table = results.example_trials.reindex(columns=["condition", "seed"])
    seeds = dict(zip(table["condition"], table["seed"], strict=True))
    conditions = [condition for task in results.tasks for condition in results.conditions(task)]
    return [f"{c.label}: seed {seeds[c.signature]}" for c in conditions if c.signature in seeds]
