"""The main measures of an experiment: axes from zero, and bands that do not hide the values."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from analysis.experiment_results import ExperimentResults
from analysis.figures.measure_labels import axis_label
from analysis.figures.measures import main_names, plot_measures
from analysis.results import ResultsFolder
from tests.analysis.conftest import TINY
from tests.composed import experiment_of


def results_of(paper, name: str) -> ExperimentResults:
    return ExperimentResults(experiment_of(name, TINY), ResultsFolder(paper / "results" / name))


def test_weights_are_per_parameter_where_widths_are_compared(paper):
    assert main_names(results_of(paper, "network_size"))[-2:] == ["pif_per_parameter", "sigma_ood"]
    assert main_names(results_of(paper, "auxiliary_loss"))[-2:] == ["pif", "sigma_ood"]


def test_axes_start_at_zero_and_bands_are_cut(paper):
    results = results_of(paper, "auxiliary_loss")
    table = results.degeneracy
    table.loc[table["measure"] == "dsa", "high"] = 1000.0
    figure = plot_measures(["dsa", "pif"], results)
    # One task: panels side by side, each with its own label.
    assert len({axis.get_position().y0 for axis in figure.axes}) == 1
    assert [axis.get_xlabel() for axis in figure.axes] == [results.experiment.label] * 2
    for axis in figure.axes:
        values = [value for line in axis.lines for value in line.get_ydata()]
        bottom, top = axis.get_ylim()
        assert bottom == 0
        # Above the bands, the legend takes a quarter of the axis.
        assert max(values) < top <= 4 * max(values)
        ends = [band.get_clip_box().y1 for band in axis.collections]
        assert max(ends) <= axis.transData.transform((0, 3 * max(values)))[1] + 1e-6
    plt.close(figure)


def test_baselines_are_named_above_the_data(paper):
    results = results_of(paper, "network_size")
    measures = ["dsa", "pif_per_parameter", "sigma_ood", "kernel_alignment"]
    figure = plot_measures(measures, results)
    figure.draw_without_rendering()
    panels = [figure.axes[i * len(results.tasks)] for i in range(4)]
    names = [axis.get_legend().get_texts()[1].get_text() for axis in panels[:3]]
    assert names == ["split-half baseline", "initial weights", "ordinary trials"]
    assert panels[3].get_legend() is None
    for axis in panels[:3]:
        bottom = axis.get_legend().get_window_extent().y0
        values = np.concatenate([line.get_ydata() for line in axis.lines])
        assert axis.transData.transform((0, values.max()))[1] < bottom
        if axis.get_yscale() == "linear":
            assert all(band.get_clip_box().y1 < bottom for band in axis.collections)
    plt.close(figure)


def test_titles_of_axes_name_the_distance():
    labels = {name: axis_label(name) for name in ("pif", "pif_per_parameter", "pif_signed", "sigma_ood_long")}
    assert labels == {
        "pif": "PIF distance",
        "pif_per_parameter": "PIF distance / width\u00b2",
        "pif_signed": "PIF distance,\nsigned",
        "sigma_ood_long": "SD of OOD loss,\nlong",
    }
