"""Finished networks that an analysis does not measure are named, with the settings that differ."""

from __future__ import annotations

from pathlib import Path

import hydra
import pytest

from analysis.unmeasured import describe_unmeasured
from degen.storage import RunFolder
from launch.cli import CONF, command_line
from launch.experiment import Experiment, experiments
from tests.analysis.conftest import YAML, store


def compose(folder: Path, *overrides: str) -> Experiment:
    (folder / "experiment").mkdir(exist_ok=True)
    (folder / "experiment" / "tiny.yaml").write_text(YAML.replace("task.channels=1,2", "task.channels=1"))
    search_path = f"hydra.searchpath=[number://,'file://{folder}']"
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        (result,) = experiments("tiny", [search_path, *overrides])
    return result


def train(folder: Path, experiment: Experiment, seeds: list[int]) -> RunFolder:
    run = RunFolder.of(folder / "runs", experiment.conditions[0])
    run.create(bytes_needed=0)
    run.store_condition()
    for seed in seeds:
        store(run, seed, [9.0, 8.0])
    return run


def test_forgotten_settings_and_seeds_are_named(tmp_path, monkeypatch):
    measured, longer = compose(tmp_path), compose(tmp_path, "training.max_epochs=9")
    assert describe_unmeasured(measured, tmp_path / "runs") == []
    other = train(tmp_path, longer, [0, 1])
    missing = (
        f"missing: no finished network of {RunFolder.of(tmp_path / 'runs', measured.conditions[0]).path}"
    )
    line = f"not measured: 2 networks of {other.path}, with training.max_epochs=9 (here 6)"
    assert describe_unmeasured(measured, tmp_path / "runs") == [missing, line]
    run = train(tmp_path, measured, [0, 1, 9])
    arguments = ["--config-dir", "my_conf", "experiment=tiny", "results=there", "overrides=[]"]
    monkeypatch.setattr("sys.argv", ["analysis", *arguments])
    assert describe_unmeasured(measured, tmp_path / "runs", ["width=9", "seeds=7"]) == [
        f"not measured: 1 networks of other seeds in {run.path} (degen analyze --config-dir my_conf "
        'experiment=tiny \'overrides=["width=9","seeds=10"]\' results=there)',
        line,
    ]
    # Another width is another condition of the user's, not a forgotten setting.
    train(tmp_path, compose(tmp_path, "width=9"), [0])
    assert len(describe_unmeasured(measured, tmp_path / "runs")) == 2


def test_a_missing_condition_is_compared_with_the_most_similar(tmp_path):
    train(tmp_path, compose(tmp_path, "width=9", "training.max_epochs=9"), [0])
    similar = train(tmp_path, compose(tmp_path, "width=9"), [0])
    lines = describe_unmeasured(compose(tmp_path), tmp_path / "runs")
    settings = "parameterization.width=9 (here 8)"
    assert lines[1:] == [f"not measured: 1 networks of {similar.path}, with {settings}"]


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["--config-dir", "my conf", "experiment=mine"], "degen train --config-dir 'my conf' a=1"),
        (["experiment=mine"], "degen train a=1"),
    ],
)
def test_a_suggested_command_is_complete(monkeypatch, arguments, command):
    monkeypatch.setattr("sys.argv", ["analysis", *arguments])
    assert command_line("train", ["hydra.searchpath=[number://]", "a=1"]) == command


def test_an_experiment_with_many_other_settings_is_not_described(tmp_path):
    others = ("training.max_epochs=9", "training.batch_size=4", "task.n_steps=21", "training.patience=2")
    train(tmp_path, compose(tmp_path, *others), [0])
    assert describe_unmeasured(compose(tmp_path, "width=9"), tmp_path / "runs") == []
