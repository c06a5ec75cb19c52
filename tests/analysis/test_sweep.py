"""A sweep on the command line is trained and measured without an experiment file."""

from __future__ import annotations

import html
import shlex
from pathlib import Path

import pandas as pd
import pytest

from analysis import figures
from analysis.figures import degeneracy
from analysis.settings import collect_sweep, sweep_arguments
from launch.sweep import sweep_experiment
from tests.analysis.conftest import SMALL, run
from tests.conftest import TINY
from tests.in_process import rejection

SWEEP = ("task.n_steps=20,24", "task.channels=1,2", *TINY[1:], "training.threshold=10", "training.patience=1")
"""Two fields: the length of a trial, and the number of inputs and outputs."""


def test_a_sweep_over_length_and_outputs_is_trained_and_measured(tmp_path):
    run(tmp_path, "launch.train", "-m", *SWEEP, "seeds=2")
    longer = ["task.n_steps=20,24,28", *SWEEP[1:], "seeds=2"]
    printed = run(tmp_path, "analysis.__main__", "-m", *longer, *SMALL, "metric=[dsa,svcca]").stdout
    (folder,) = (path.parent for path in tmp_path.glob("results/*/manifest.json"))
    assert folder.name.startswith("task.n_steps=20,24,28+task.channels=1,2+width=8+training.")
    table = pd.read_csv(folder / "degeneracy.csv")
    assert set(table["measure"]) >= {"dsa", "dsa_null", "svcca", "sigma_ood"}
    rows = table[table["measure"] == "dsa"]
    assert rows["factor_name"].eq("task.n_steps").all()
    cells = set(zip(rows["factor_value"], rows["task.channels"], strict=True))
    assert cells == {(20, 1), (20, 2), (24, 1), (24, 2)}
    assert "2bit-standard-n8-gamma1 channels=2 n_steps=24" in printed
    # Untrained conditions are named with the command that trains them.
    command = shlex.join(["degen", "train", "-m", *longer])
    assert f"to train what is missing: {command}\n" in printed
    written_by = html.escape(shlex.join(["degen", "analyze", "-m", *longer]))
    assert f"Written by <code>{written_by}</code>" in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        ({"task.channels": [1, 2, 1, 2]}, ["N-bit flip-flop, channels 1", "N-bit flip-flop, channels 2"]),
        # A field that changes with the factor does not separate lines.
        ({"task.n_steps": [20, 20, 40, 40], "task.channels": [1, 2, 1, 2]}, None),
        ({"task.n_steps": [20, 20, 40, 40]}, ["N-bit flip-flop"]),
    ],
)
def test_crossed_conditions_are_drawn_as_lines(fields, labels):
    table = pd.DataFrame({"task": "flip_flop", "position": [0, 0, 1, 1], "value": 1.0, **fields})
    expected = labels or ["N-bit flip-flop, channels 1", "N-bit flip-flop, channels 2"]
    lines = dict(degeneracy._lines(table))
    assert list(lines) == expected
    assert all(len(rows) == 4 / len(expected) for rows in lines.values())


def test_panels_of_crossed_conditions_have_different_titles():
    experiment = sweep_experiment(["gamma=1,2", "task.channels=1,2"])
    titles = list(figures._titles(experiment, experiment.conditions).values())
    assert titles[0] == "N-bit flip-flop\ngamma = 1\nchannels = 1"
    assert len(set(titles)) == 4
    one_factor = sweep_experiment(["gamma=1,2"])
    assert (
        list(figures._titles(one_factor, one_factor.conditions).values())[1] == "N-bit flip-flop\ngamma = 2"
    )


def test_an_untrained_sweep_is_rejected_with_a_command(tmp_path: Path):
    sentence = rejection(tmp_path, "analysis.__main__", "-m", "width=8,9", "gamma=2", "runs=mine")
    assert sentence.startswith("experiment must be one with finished networks below mine ")
    assert "(degen train -m width=8,9 gamma=2 runs=mine)" in sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flags", [(), ("-m",)])
def test_options_of_training_next_to_an_experiment_are_rejected(tmp_path, flags):
    sentence = rejection(tmp_path, "analysis.__main__", *flags, "experiment=demo", "width=64,128")
    assert sentence == "width must be given as 'overrides=[\"width=64,128\"]' here, got 'width=64,128'."


def test_a_misspelled_field_of_a_sweep_is_rejected(tmp_path):
    assert rejection(tmp_path, "analysis.__main__", "-m", "widht=8,9").startswith(
        "widht must be one of seeds"
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["-m", "gamma=1,2", "results=there", "--config-dir", "mine", "task.label='a b'"],
            [
                "--config-dir",
                "mine",
                "results=there",
                "~experiment",
                r"overrides=['gamma=1,2','task.label=\'a b\'']",
            ],
        ),
        (["experiment=demo", "results=there"], ["experiment=demo", "results=there"]),
        (["-m", "experiment=demo", "weights_at=converged,settled"], None),
        (["--help"], None),
    ],
)
def test_overrides_of_training_are_collected(arguments, expected):
    assert sweep_arguments(arguments) == (expected or arguments)


def test_fields_of_analysis_and_launcher_are_not_collected():
    own = [
        "bootstrap.level=0.9",
        "metrics.dsa.score=frobenius",
        "hydra/launcher=slurm_cpu",
        "submit.python=p",
    ]
    collected = collect_sweep([*own, "+further_ood.a={}", "width=8"])
    assert collected == [*own, "+further_ood.a={}", "~experiment", "overrides=['width=8']"]
