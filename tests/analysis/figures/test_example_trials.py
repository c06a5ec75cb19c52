"""Example trials show inputs, targets and the output of the stored network."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch

import degen
from analysis.experiment_results import ExperimentResults
from analysis.figures.example_trials import plot_example_trials
from analysis.labels import TASKS
from analysis.results import ResultsFolder
from analysis.trials import TrialSet
from degen.storage import RunFolder
from tests.analysis.conftest import TINY
from tests.composed import experiment_of


def test_panels_show_a_trial_of_a_trained_network(paper):
    experiment = experiment_of("network_size", TINY)
    results = ExperimentResults(experiment, ResultsFolder(paper / "results" / "network_size"))
    figure = plot_example_trials(results)
    above, below = np.split(np.array(figure.axes), 2)
    assert [axis.get_title().splitlines()[0] for axis in above] == [
        "3-bit flip-flop",
        *list(TASKS.values())[1:],
    ]
    legends = [[text.get_text() for text in axis.get_legend().get_texts()] for axis in (above[1], below[1])]
    assert legends == [["stimulus f1", "stimulus f2"], ["output: sign(f2 \u2212 f1)", "target"]]
    condition = results.conditions("delayed_discrimination")[0]
    trials = TrialSet(n_trials=8, seed=0).draw(condition.task, "probe", condition.dtype)
    network = degen.load(RunFolder.of(paper / "runs", condition).path).networks[0]
    with torch.no_grad():
        output = condition.model(network.weights, trials)[0, 0, :, 0]
    drawn = [line.get_ydata() for line in below[1].lines if len(line.get_ydata()) == len(output)]
    np.testing.assert_allclose(drawn, [output, trials.targets[0, 0, :, 0]], rtol=1e-6)
    plt.close(figure)
