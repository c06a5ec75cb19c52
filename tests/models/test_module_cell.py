"""Cells written as modules: agreement with the cells of degen, and the example of docs/cells.md."""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import degen
from degen.condition import Condition
from degen.models import GRU, ModuleCell
from degen.storage import RunFolder
from degen.streams import Stream
from degen.training import Ensemble
from degen.training.gradients import loss_and_gradients
from launch.train import train_condition
from tests.conftest import Launched, build
from tests.training.members import SMALL, assert_identical, trained

PAGE = Path(__file__).parents[2] / "docs/cells.md"


def block(language: str, holding: str) -> str:
    """The fenced block of that language on the page that holds that text."""
    result = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (only,) = [text for text in result if holding in text]
    return only


@dataclasses.dataclass(frozen=True, kw_only=True)
class TorchGRU(ModuleCell):
    """torch.nn.GRUCell."""

    def make_cell(self, n_inputs):
        return nn.GRUCell(n_inputs, self.width)

    def recurrent(self, parameters):
        return parameters["cell.weight_hh"]


@pytest.fixture(autouse=True)
def _ignore_slow_path():
    # torch has no batching rule of its GRU cell, and says so.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        yield


def test_a_module_equals_the_cell_with_its_weights():
    task, stream = build("task.n_steps=12").task, Stream.named([0, 1], "weights", dtype=torch.float64)
    mine, other = TorchGRU(width=8, gamma=2.0), GRU(width=8, gamma=2.0)
    weights = mine.initialize(task, stream)
    hidden_bias = weights["cell.bias_hh"]
    copied = {
        "recurrent": weights["cell.weight_hh"],
        "input": weights["cell.weight_ih"],
        "bias": weights["cell.bias_ih"] + torch.cat((hidden_bias[:, :16], 0 * hidden_bias[:, 16:]), dim=1),
        "recurrent_bias": hidden_bias[:, 16:],
    } | {name: weights[name] for name in ("output", "output_bias")}
    trials = task.generate(5, Stream.named([0, 1], "trials", dtype=torch.float64))
    penalty = build("regularizer=l1").regularizer
    result = loss_and_gradients(mine, penalty, weights, trials)
    expected = loss_and_gradients(other, penalty, copied, trials)
    assert torch.allclose(result.losses, expected.losses, rtol=1e-12)
    assert torch.allclose(result.penalties, expected.penalties, rtol=1e-12)
    for name, same in (("recurrent", "cell.weight_hh"), ("input", "cell.weight_ih"), ("output", "output")):
        assert torch.allclose(result.gradients[same], expected.gradients[name], rtol=1e-10, atol=1e-14)


def test_initial_weights_depend_on_the_seed_only():
    task, model = build().task, TorchGRU(width=8, gamma=1.0)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    both = model.initialize(task, Stream.named([3, 4], "weights"))
    assert torch.equal(torch.get_rng_state(), state)
    alone = model.initialize(task, Stream.named([4], "weights"))
    assert all(torch.equal(both[name][1:], alone[name]) for name in both)
    assert not torch.equal(*both["cell.weight_hh"])
    double = model.initialize(task, Stream.named([4], "weights", dtype=torch.float64))
    assert all(torch.allclose(double[name].float(), alone[name], rtol=1e-6) for name in double)


def test_networks_of_a_module_do_not_depend_on_the_ensemble_size():
    config = build(*SMALL).config
    target = {"_target_": f"{__name__}.TorchGRU", "width": 6, "gamma": 1.0}
    condition = Condition.from_config(config | {"parameterization": target})
    together = trained(condition, [0, 1, 2])
    assert_identical(trained(condition, [1])[1], together[1])
    assert condition.label == "3bit-torchgru-n6-gamma1"


def test_an_interrupted_module_resumes(tmp_path):
    target = {"_target_": f"{__name__}.TorchGRU", "width": 6, "gamma": 1.0}
    condition = Condition.from_config(build(*SMALL).config | {"parameterization": target})
    folder = RunFolder.of(tmp_path, condition)
    folder.create(bytes_needed=0)
    started = Ensemble.new([0, 1], condition.task, condition.model, dtype=condition.dtype)
    folder.checkpoints.write(started)
    train_condition(folder, [0, 1], torch.device("cpu"), checkpoint_seconds=600)
    uninterrupted = trained(condition, [0, 1])
    for network in degen.load(folder.path).networks:
        final = uninterrupted[network.seed].parameters
        assert all(torch.equal(network.weights[name], weights) for name, weights in final.items())


def test_the_cell_of_the_documentation_trains(tmp_path):
    (tmp_path / "my_conf/parameterization").mkdir(parents=True)
    (tmp_path / "my_cells.py").write_text(block("python", "class MyCell"))
    (tmp_path / "my_conf/parameterization/my_cell.yaml").write_text(block("yaml", "my_cells."))
    (line,) = block("sh", "my_cell task=flip_flop width=32").splitlines()
    words = [word for word in line.split()[2:] if not word.startswith("seeds=")]
    small = ("seeds=2", "task.n_steps=10", "training.max_epochs=2", "training.steps_per_epoch=2")
    launched = Launched(("train", *words, *small), tmp_path, module="launch.command")
    assert launched.wait() == 0, launched.stderr
    sys.path.insert(0, str(tmp_path))
    try:
        (folder,) = (tmp_path / "runs/flip_flop").iterdir()
        run = degen.load(folder)
    finally:
        sys.path.remove(str(tmp_path))
    assert run.model.recurrent(run.weights).shape == (2, 64, 32)
    train, analyze = block("sh", "feature_learning.weights").replace("\\\n", "").splitlines()
    shared = ("seeds=2", "width=6", *small[1:], "training.threshold=10", "training.patience=1")
    short = ("metrics.dsa.highest_lag=2", "metrics.dsa.ranks=[2]", "permutation_test.n_permutations=19")
    short = (*short, "probe.n_trials=8", "ood.n_trials=8", "bootstrap.n_samples=100")
    for line, further in ((train, ()), (analyze, short)):
        given = [word for word in shlex.split(line)[1:] if not word.startswith(("seeds=", "width="))]
        launched = Launched((*given, *shared, *further), tmp_path, module="launch.command")
        assert launched.wait() == 0, launched.stderr
    assert len(list(tmp_path.glob("results/*/manifest.json"))) == 1


def test_the_parameterizations_of_the_documentation_exist():
    page = PAGE.read_text()
    for name in (path.stem for path in (PAGE.parents[1] / "conf/parameterization").glob("*.yaml")):
        assert f"`{name}`" in page, name
