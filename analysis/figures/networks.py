"""Values of single networks along a factor (as Figs. 16 to 23 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.experiment_results import ExperimentResults
from analysis.figures.measure_labels import axis_label
from analysis.figures.measures import measure_caption, plot_measure, set_factor_ticks
from degen.reporting.panels import mark_empty, panel_grid
from degen.reporting.style import add_caption


def plot_networks(measures: Sequence[str], results: ExperimentResults, task: str) -> Figure:
    """Plot each network's values, connected by seed (left), and their mean with its interval (right).

    Args:
        measures: columns of the table of networks.
        results: results of the experiment.
        task: name of the task.
    """
    figure, axes = panel_grid(len(measures), 2, sharey="row")
    for (left, right), measure in zip(axes, measures, strict=True):
        left.set_ylabel(axis_label(measure, results))
        values = results.networks.get(measure)
        if values is None or values.isna().all() or not results.conditions(task):
            mark_empty(left, "not measured")
            mark_empty(right, "not measured")
            continue
        _plot_seeds(left, results, task, measure)
        plot_measure(right, results, task, measure)
        # Single networks exceed the band of their mean, so both panels share the larger limit.
        right.set_ylim(0, 1.08 * max(left.dataLim.y1, right.dataLim.y1))
    for axis, title in zip(axes[0], ("each network", "mean"), strict=True):
        axis.set_title(title)
    for axis in axes[-1]:
        axis.set_xlabel(results.experiment.label)
    figure.suptitle(results.title(task))
    return add_caption(figure, measure_caption(measures, results, tasks=[task]))


def _plot_seeds(axis: Axes, results: ExperimentResults, task: str, measure: str) -> None:
    signatures = [condition.signature for condition in results.conditions(task)]
    networks = results.networks[results.networks["condition"].isin(signatures)]
    for _, network in networks.groupby("seed"):
        # The line has a gap where the seed did not converge.
        values = network.set_index("condition")[measure].reindex(signatures)
        axis.plot(range(len(signatures)), values, marker="o", markersize=2, lw=0.7)
    set_factor_ticks(axis, results, task)
