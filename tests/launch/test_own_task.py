"""A task of the user: a class and a YAML file in the user's folders, without changes to this repository."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import degen
from analysis import figures
from degen.errors import BadInputError
from degen.streams import Stream
from tests.conftest import ROOT, TINY, Launched

CLASS = '''
import dataclasses

from degen.errors import require_integer
from degen.tasks import Task, Trials
from laboratory.shift import EXTRA_DELAY


@dataclasses.dataclass(frozen=True, kw_only=True)
class DelayedEcho(Task):
    """Repeat the input of `delay` steps ago."""

    n_steps: int
    delay: int

    n_inputs = n_outputs = 1

    def __post_init__(self):
        require_integer("task.delay", self.delay, 0)

    def generate(self, n_trials, stream):
        inputs = stream.normal(n_trials, self.n_steps, 1)
        return Trials(inputs, inputs.roll(self.delay, dims=-2))

    def ood(self):
        return dataclasses.replace(self, delay=self.delay + EXTRA_DELAY)
'''

HELPER = "EXTRA_DELAY = 1\n"

METRIC = """
import dataclasses

from analysis.metrics import Distances, Metric


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mean(Metric):
    level = "representation"

    def distances(self, states, hyperparameters):
        means = states["hidden"].double().mean(dim=(1, 2, 3)).numpy()
        return Distances(1.0 * abs(means[:, None] - means))
"""

YAML = """
# @package _global_
defaults:
  - /training: adam
  - _self_

task:
  _target_: laboratory.echo.DelayedEcho
  n_steps: 100
  delay: 3

training:
  optimizer:
    learning_rate: 0.001
  schedule:
    _target_: degen.training.Constant
  max_epochs: 300
  batch_size: 256
  threshold: 0.001

leak_rate: 1.0
input_std: 1.0
"""

EXPERIMENT = """
# @package _global_
experiment: {factor: task.delay, label: delay, grids: [[task=echo, "task.delay=2,3", width=8]]}
seeds: 3
task: {n_steps: 20}
training: {batch_size: 8, steps_per_epoch: 4, threshold: 10.0, patience: 1, settle_epochs: 1}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's folder."""
    (tmp_path / "code" / "laboratory").mkdir(parents=True)
    (tmp_path / "code" / "laboratory" / "echo.py").write_text(CLASS)
    (tmp_path / "code" / "laboratory" / "shift.py").write_text(HELPER)
    (tmp_path / "code" / "laboratory" / "metrics.py").write_text(METRIC)
    (tmp_path / "settings" / "metric").mkdir(parents=True)
    metric = "# @package metrics.mean\n_target_: laboratory.metrics.Mean\n"
    (tmp_path / "settings" / "metric" / "mean.yaml").write_text(metric)
    (tmp_path / "settings" / "task").mkdir()
    (tmp_path / "settings" / "task" / "echo.yaml").write_text(YAML)
    return tmp_path


def train(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Train in a process as the user starts it."""
    environment = os.environ | {"PYTHONPATH": f"{home / 'code'}:{ROOT}"}
    # The option stands between overrides, which Hydra itself rejects.
    given = ("task=echo", "--config-dir", "settings", *TINY, *arguments)
    command = [sys.executable, "-m", "launch.train", *given]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)


@dataclasses.dataclass(frozen=True)
class OnPath:
    """Install a folder in a process as `PYTHONPATH` does, and leave out the figures of an analysis."""

    folder: Path

    def __call__(self) -> None:
        sys.path.insert(0, str(self.folder))
        figures.draw_all = lambda experiment, results: []


def run(home: Path, module: str, *arguments: str) -> Launched:
    given = ("experiment=echo", "--config-dir", "settings", *arguments)
    launched = Launched(given, home, before=OnPath(home / "code"), module=module)
    assert launched.wait() == 0, launched.stderr
    return launched


def analyze(home: Path, warning: str = "") -> str:
    settings = ("metric=[svcca,mean]", "ood.n_trials=8", "probe.n_trials=8", "feature_learning.n_trials=2")
    result = run(home, "analysis.__main__", *settings)
    assert warning in result.stderr if warning else result.stderr == ""
    return result.stdout


def test_an_own_task_trains_and_loads_if_its_module_is_found(home, monkeypatch):
    trained = train(home, "parameterization=mup", "task.delay=2", "seeds=2")
    assert (trained.returncode, trained.stderr) == (0, "")
    (folder,) = home.glob("runs/delayed_echo/*")
    with pytest.raises(BadInputError, match=r"task._target_ must be the dotted name of an importable"):
        degen.load(folder)
    monkeypatch.syspath_prepend(str(home / "code"))
    result = degen.load(folder)
    assert (result.task.delay, result.task.n_steps, result.seeds) == (2, 20, [0, 1])
    trials = result.task.generate(4, Stream.named(result.seeds, "probe"))
    assert torch.equal(trials.targets[..., 2:, :], trials.inputs[..., :-2, :])
    assert result.model(result.weights, trials).shape == (2, 4, 20, 1)


def test_changed_source_of_the_user_is_measured_again(home):
    (home / "settings" / "experiment").mkdir()
    (home / "settings" / "experiment" / "echo.yaml").write_text(EXPERIMENT)
    assert run(home, "launch.train").stderr == ""
    assert "networks: 6, 6 of them new" in analyze(home)
    assert "networks: 6, 0 of them new" in analyze(home)
    (home / "code" / "laboratory" / "shift.py").write_text(HELPER.replace("1", "2"))
    warning = "the code of laboratory.shift changed since networks were trained"
    printed = analyze(home, warning)
    assert "networks: 6, 6 of them new" in printed
    assert "activations: 2 conditions, 2 of them new" in printed
    (home / "code" / "laboratory" / "metrics.py").write_text(METRIC.replace("1.0 *", "2.0 *"))
    printed = analyze(home, warning)
    assert "distances: svcca of 2 conditions, 0 of them new" in printed
    assert "distances: mean of 2 conditions, 2 of them new" in printed
    again = run(home, "launch.train")
    assert "all 3 networks are finished" in again.stdout
    assert "the code of laboratory.shift changed since networks here were trained" in again.stderr


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("task.delay=-1", "error: task.delay must be an integer of at least 0, got -1.\n"),
        ("task.delai=1", "error: task.delai must be one of n_steps, delay (no such field), got 1.\n"),
    ],
)
def test_bad_input_of_an_own_task_is_one_sentence(home, argument, sentence):
    given = ("task=echo", "--config-dir", "settings", *TINY, argument)
    refused = Launched(given, home, before=OnPath(home / "code"))
    assert (refused.wait(), refused.stderr) == (2, sentence)
    assert not (home / "runs").exists()


def test_a_faulty_task_is_rejected_before_training(home):
    source = home / "code" / "laboratory" / "echo.py"
    source.write_text(CLASS.replace("n_inputs = n_outputs = 1", "n_inputs, n_outputs = 1, 2"))
    refused = Launched(("task=echo", "--config-dir", "settings", *TINY), home, before=OnPath(home / "code"))
    sentence = (
        "error: targets of DelayedEcho must be of shape (seeds, trials, time, n_outputs) = (2, 32, 20, 2)"
    )
    assert refused.wait() == 2
    assert refused.stderr.startswith(sentence)
    assert not (home / "runs").exists()


def test_a_class_with_the_name_of_one_of_degens_is_rejected(home):
    source = home / "code" / "laboratory" / "echo.py"
    source.write_text(CLASS + "\n\nclass FlipFlop(DelayedEcho):\n    pass\n")
    yaml = home / "settings" / "task" / "echo.yaml"
    yaml.write_text(YAML.replace("echo.DelayedEcho", "echo.FlipFlop"))
    refused = Launched(("task=echo", "--config-dir", "settings", *TINY), home, before=OnPath(home / "code"))
    assert refused.wait() == 2
    start = "error: _target_ must be a class with a name that degen does not use, "
    assert refused.stderr.startswith(start)
    assert refused.stderr.endswith("got 'laboratory.echo.FlipFlop'.\n")


def test_a_task_without_ood_is_measured_without_it(home):
    source = home / "code" / "laboratory" / "echo.py"
    source.write_text(CLASS.partition("    def ood")[0])
    (home / "settings" / "experiment").mkdir()
    # Five networks per condition are enough for a trend.
    (home / "settings" / "experiment" / "echo.yaml").write_text(EXPERIMENT.replace("seeds: 3", "seeds: 5"))
    assert "DelayedEcho has no ood()" in run(home, "launch.train").stdout
    assert "left out: OOD losses of delayed_echo, which has no ood()" in analyze(home)
    table = pd.read_csv(home / "results" / "echo" / "degeneracy.csv")
    behavior = set(table[table["level"] == "behavior"]["measure"])
    assert behavior == {"sigma_test", "sigma_log_test", "sigma_test_settled", "sigma_log_test_settled"} | {
        *("sigma_ood_noise", "sigma_log_ood_noise", "mean_ood_noise")
    }
    assert table["value"].notna().all()
    trends = pd.read_csv(home / "results" / "echo" / "trends.csv")
    assert set(trends["measure"]) == {"1 - SVCCA", "mean", "sigma_ood_noise", "sigma_log_ood_noise"}
