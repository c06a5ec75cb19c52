"""Out-of-distribution (OOD) losses of all networks (as Figs. 11 to 15 of the paper)."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.experiment_results import ExperimentResults
from analysis.figures.captions import caption
from analysis.figures.measures import set_factor_ticks
from degen.reporting.panels import jitter, panel_grid, use_few_x_ticks, use_linear_ticks, use_log_ticks
from degen.reporting.style import add_caption, ordered_colors


def plot_behavior(results: ExperimentResults) -> Figure:
    """Plot the mean OOD loss against its standard deviation (above) and all losses (below), by task."""
    figure, axes = panel_grid(2, len(results.tasks))
    for (above, below), task in zip(axes.T, results.tasks, strict=True):
        _plot_task(above, below, results, task)
        above.set_title(results.title(task))
        above.set_xlabel("mean OOD loss")
        below.set_xlabel(results.experiment.label)
    axes[0, 0].set_ylabel("SD of OOD loss")
    axes[1, 0].set_ylabel("OOD loss\n(each network)")
    return add_caption(figure, caption(results).show("bar: median", "colors: conditions"))


def _plot_task(above: Axes, below: Axes, results: ExperimentResults, task: str) -> None:
    conditions = results.conditions(task)
    colors = ordered_colors(len(conditions))
    networks = results.networks
    for position, (condition, color) in enumerate(zip(conditions, colors, strict=True)):
        losses = networks.loc[networks["condition"] == condition.signature, "ood_loss"].to_numpy()
        above.scatter(losses.mean(), losses.std(), color=color, s=16)
        below.scatter(jitter(position, len(losses), 0.18), losses, color=color, s=6, alpha=0.7, linewidth=0)
        below.hlines(np.median(losses), position - 0.3, position + 0.3, color="black", linewidth=0.8)
    above.margins(x=0.1)
    use_linear_ticks(above, headroom=1.12)
    use_few_x_ticks(above)
    set_factor_ticks(below, results, task)
    use_log_ticks(below)
