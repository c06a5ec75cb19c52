"""Environments of neurogym as tasks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from degen.errors import BadInputError
from degen.streams import Stream
from degen.tasks import Neurogym, Trials
from degen.tasks import neurogym as module
from degen.tasks.contract import require_valid
from tests.analysis.conftest import SMALL, run
from tests.conftest import TINY, task
from tests.in_process import rejection
from tests.test_readme import block

neurogym = pytest.importorskip("neurogym")

ENVIRONMENTS = [
    "PerceptualDecisionMaking-v0",
    "ContextDecisionMaking-v0",  # durations have generators of their own
    "ReachingDelayResponse-v0",  # actions are arrays of numbers
    "yang19.dms-v0",  # a schedule of two environments
    "perceptualdecisionmaking.ibl20-v0",  # a wrapper
]
environments = pytest.mark.parametrize("name", ENVIRONMENTS)


def environment(name: str, **settings: Any) -> Neurogym:
    return Neurogym(**{"env": name, "kwargs": None, "ood_kwargs": None, "n_steps": None} | settings)


def assert_equal(trials: Trials, others: Trials) -> None:
    assert trials.loss == others.loss
    assert all(torch.equal(trials.arrays[name], array) for name, array in others.arrays.items())


@environments
def test_environments_keep_the_contract_of_tasks(name):
    require_valid(environment(name))
    require_valid(environment(name), torch.float64)


@environments
def test_trials_do_not_depend_on_batch_size_or_other_keys(name):
    here, keys = environment(name), torch.tensor([[5, 6], [7, 8]])
    together = here.generate(9, Stream(keys))
    for position in ((0, 0), (0, 1), (1, 1)):
        alone = here.generate(3, Stream(keys[position]))
        assert_equal(alone, together.map(lambda array, position=position: array[position][:3]))
    assert not torch.equal(together.inputs[0, 0], together.inputs[0, 1])
    assert_equal(environment(name).generate(9, Stream(keys)), together)


def test_trials_are_those_of_neurogym():
    stream = Stream.named([4], "test")
    trials = environment("PerceptualDecisionMaking-v0").generate(6, stream)
    seed = Stream.named([4], "test").integers(0, 2**23 - 1, 3)[0].tolist()
    original = neurogym.make("PerceptualDecisionMaking-v0").unwrapped
    original.rng = np.random.RandomState([*seed, 0])
    for inputs, targets in zip(trials.inputs[0], trials.targets[0], strict=True):
        original.new_trial()
        assert np.array_equal(inputs.numpy(), original.ob)
        assert np.array_equal(targets.argmax(dim=-1).numpy(), original.gt)
        assert torch.equal(targets.sum(dim=-1), torch.ones(22))


def test_padding_has_no_weight():
    long = environment("ContextDecisionMaking-v0", n_steps=60)
    trials = long.generate(50, Stream.named([0], "test"))
    lengths = trials.mask[0].sum(dim=-1).long()
    assert lengths.unique().numel() > 5
    for inputs, mask, length in zip(trials.inputs[0], trials.mask[0], lengths, strict=True):
        assert mask[:length].eq(1).all()
        assert mask[length:].eq(0).all()
        assert inputs[length:].eq(0).all()
        assert inputs[length - 1, 0] == 0  # the fixation cue is off in the decision
        assert inputs[length - 2, 0] == 1 or inputs[:length, 0].eq(0).sum() > 1
    padded = environment("ContextDecisionMaking-v0", n_steps=70).generate(50, Stream.named([0], "test"))
    assert torch.equal(padded.inputs[:, :, :60], trials.inputs)


def test_trials_longer_than_the_samples_are_drawn_again(monkeypatch):
    monkeypatch.setattr(module, "_N_SAMPLES", 2)
    short = environment("ContextDecisionMaking-v0")
    trials = short.generate(200, Stream.named([0], "test"))
    n_steps = trials.inputs.shape[-2]
    monkeypatch.undo()
    all_trials = environment("ContextDecisionMaking-v0").generate(400, Stream.named([0], "test"))
    lengths = all_trials.mask[0].sum(dim=-1)
    assert n_steps < lengths.max()
    fitting = all_trials.inputs[0, lengths <= n_steps, :n_steps]
    assert len(fitting) > 50
    assert torch.equal(trials.inputs[0, : len(fitting)], fitting[:200])


def test_durations_do_not_depend_on_the_correct_choice():
    # Equal seeds of the two generators would make the first trial of every key long for one of the choices.
    first = environment("ContextDecisionMaking-v0").generate(1, Stream.named(range(1000), "test"))
    length = first.mask[:, 0].sum(dim=-1)
    last = (length - 1).long().view(-1, 1, 1).expand(-1, 1, 3)
    choice = first.targets[:, 0].gather(1, last).argmax(dim=-1)[:, 0].double()
    assert set(choice.tolist()) == {1.0, 2.0}
    correlation = np.corrcoef(length.numpy(), choice.numpy())[0, 1]
    assert abs(correlation) < 0.13  # four standard errors


def test_arrays_of_numbers_are_learned_with_the_squared_error():
    reaching = environment("ReachingDelayResponse-v0")
    trials = reaching.generate(3, Stream.named([0, 1], "test"))
    assert (trials.loss, reaching.n_outputs) == ("squared_error", 2)
    assert not trials.targets.eq(trials.targets.round()).all()


def test_ood_trials_have_other_arguments():
    longer = {"timing": {"stimulus": 4000}}
    here = environment("PerceptualDecisionMaking-v0", kwargs={"dt": 50}, ood_kwargs=longer)
    there = here.ood()
    assert there.kwargs == {"dt": 50} | longer
    assert [task.generate(2, Stream.named([0], "test")).inputs.shape[-2] for task in (here, there)] == [
        44,
        84,
    ]
    assert there.ood() is None
    require_valid(here)


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("GoNoGo-v0", {}, "task.env must be the name of an environment, such as GoNogo-v0,.*'GoNoGo-v0'."),
        ("absent:A-v0", {}, "task.env must be an environment of a module that .*, got 'absent:A-v0'."),
        ("Bandit-v0", {}, "task.env must be an environment whose trials have .*, got 'Bandit-v0'."),
        ("CartPole-v1", {}, "task.env must be an environment with trials .*, got 'CartPole-v1'."),
        ("Reaching1D-v0", {}, "ground truth of Reaching1D-v0 must be at most 2, the last class, got .*"),
        ("GoNogo-v0", {"kwargs": {"speed": 2}}, "GoNogo-v0 with task.kwargs must not fail, got TypeError.*"),
        ("GoNogo-v0", {"kwargs": 3}, "task.kwargs must be a mapping of arguments, or null, got 3."),
        ("GoNogo-v0", {"n_steps": 14}, "task.n_steps must be at least 15, the longest of .*, got 14."),
        ("GoNogo-v0", {"n_steps": 0}, "task.n_steps must be an integer of at least 1, got 0."),
    ],
)
def test_a_bad_environment_is_rejected_in_one_sentence(name, settings, sentence):
    with pytest.raises(BadInputError, match=f"^{sentence}$") as caught:
        environment(name, **settings).generate(9, Stream.named([0], "test"))
    assert "\n" not in str(caught.value)


def test_without_neurogym_the_error_says_what_to_type(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "neurogym.envs.registration", None)
    sentence = rejection(tmp_path, "launch.train", "task=neurogym")
    assert sentence == "neurogym must be installed for task=neurogym: pip install neurogym."


OWN = """
import gymnasium
import numpy as np
from neurogym import spaces
from neurogym.core import TrialEnv


class Repeat(TrialEnv):
    def __init__(self, dt=100, fault=""):
        super().__init__(dt=dt)
        self.fault = fault
        self.generator = np.random.default_rng()
        self.observation_space = spaces.Box(-np.inf, np.inf, shape=(1,), dtype=np.float32)
        self.action_space = spaces.Discrete(2)
        self.timing = {"stimulus": ("choice", [300, 500])}

    def _new_trial(self, **kwargs):
        choice = (np.random if self.fault else self.generator).uniform() < 0.5
        self.add_period("stimulus")
        self.add_ob(2.0 * choice - 1.0)
        self.set_groundtruth(int(choice))
        return {}


gymnasium.register("Repeat-v0", entry_point=Repeat)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "own_environments.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "own_environments:Repeat-v0"
    sys.modules.pop("own_environments", None)


def test_own_environments_are_seeded_and_checked(own):
    here = environment(own)
    require_valid(here)
    trials = here.generate(40, Stream.named([0], "test"))
    shown = trials.inputs[trials.mask > 0].squeeze(-1)
    assert torch.equal(shown > 0, trials.targets[trials.mask > 0].argmax(dim=-1) == 1)
    assert set(trials.mask.sum(dim=-1).flatten().tolist()) == {3.0, 5.0}
    assert here.variant == "own_environments-Repeat-v0"
    with pytest.raises(BadInputError, match=r"^Neurogym.generate must be a function of its stream alone"):
        require_valid(environment(own, kwargs={"fault": "global generator"}))


def test_the_configuration_selects_environment_and_arguments():
    here = task(
        "task=neurogym", "task.env=GoNogo-v0", "task.kwargs={dt:50,timing:{delay:1000}}", "task.n_steps=60"
    )
    assert here == environment("GoNogo-v0", kwargs={"dt": 50, "timing": {"delay": 1000}}, n_steps=60)


def test_the_example_of_the_page_runs(tmp_path, monkeypatch, capsys):
    page = "docs/neurogym.md"
    command = block(page, "sh", "seeds=4").removeprefix("degen train ").split()
    run(tmp_path, "launch.train", *command, *TINY[2:], "training.threshold=10")
    monkeypatch.chdir(tmp_path)
    exec(block(page, "python", "degen.load("), {})
    assert capsys.readouterr().out.startswith("tensor([0.")


def test_networks_are_trained_and_measured(tmp_path):
    given = ("task=neurogym", "task.env=GoNogo-v0", "task.ood_kwargs={timing:{delay:1000}}", *TINY[1:])
    given = ("-m", *given, "gamma=1,2", "seeds=3", "training.threshold=10", "training.patience=1")
    run(tmp_path, "launch.train", *given)
    printed = run(tmp_path, "analysis.__main__", *given, *SMALL, "metric=[dsa,svcca]").stdout
    assert "GoNogo-v0-standard-n8-gamma1" in printed
    (results,) = (path.parent for path in tmp_path.glob("results/*/manifest.json"))
    table = pd.read_csv(results / "degeneracy.csv")
    assert {"dsa", "svcca", "sigma_ood", "sigma_test"} <= set(table["measure"])
    assert table["value"].notna().all()
    losses = pd.read_parquet(results / "networks.parquet")
    assert losses["ood_loss"].between(0, 10).all()
