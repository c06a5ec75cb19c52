"""Signatures: the settings that change them, and those of existing run folders."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from degen.condition import Condition
from degen.fields import neutral
from degen.storage import RunFolder
from degen.tasks import FlipFlop
from degen.training import NoPenalty, Regularizer
from launch.config import compose
from tests.composed import BASE, changed, files, leaves
from tests.conftest import build

if TYPE_CHECKING:
    pass


class Weighed(Regularizer):
    """A user's own penalty, with a value left to its default."""

    def __init__(self, strength: float, power: float = 2.0):
        self.strength = strength
        self.power = power

    def __call__(self, recurrent):
        return self.strength * (recurrent.abs() ** self.power).sum(dim=(-2, -1))


OTHER = {
    "eps": 1e-7,
    "betas": [0.9, 0.99],
    "fresh_trials": False,
    "input_noise": 0.1,
    "weight_decay": 0.1,
    "dtype": "float64",
}
"""Another value where twice the value, or one more, is not allowed."""


@pytest.mark.parametrize(
    "path",
    [path for path in leaves(Condition.from_config(BASE).config) if path[-1] != "_target_"],
    ids=".".join,
)
def test_any_changed_value_changes_the_signature(path):
    value: Any = BASE
    for key in path:
        value = value[key]
    other = OTHER.get(path[-1], value / 2 if isinstance(value, float) else None)
    if other is None:
        other = value + 1
    assert Condition.from_config(changed(path, other)).signature != Condition.from_config(BASE).signature


def test_another_class_changes_the_signature():
    signatures = {build(f"regularizer={name}", "width=8").signature for name in files("regularizer")}
    assert len(signatures) == len(files("regularizer")) == 3


@pytest.mark.parametrize(
    "override",
    ["seeds=3", "device=cpu", "tf32=true", "runs=elsewhere", "checkpoint_seconds=1", "snapshots=[1]"],
)
def test_run_settings_do_not_change_the_signature(override):
    assert build(override).signature == build().signature


def test_a_changed_constructor_default_changes_the_signature(monkeypatch):
    config = changed(("regularizer",), {"_target_": f"{__name__}.Weighed", "strength": 1.0})
    before = Condition.from_config(config)
    assert before.config["regularizer"] == config["regularizer"] | {"power": 2.0}
    spelt_out = changed(("regularizer",), config["regularizer"] | {"power": 2})
    assert Condition.from_config(spelt_out).signature == before.signature
    monkeypatch.setattr(Weighed.__init__, "__defaults__", (3.0,))
    after = Condition.from_config(config)
    assert after.regularizer.power == 3
    assert after.signature != before.signature


def test_1_and_1_0_have_equal_signatures():
    whole, real = (Condition.from_config(changed(("parameterization", "gamma"), gamma)) for gamma in (1, 1.0))
    assert whole.signature == real.signature
    assert build("gamma=1").signature == build("gamma=1.0").signature == build("gamma=1e0").signature


def test_the_order_of_keys_does_not_change_the_signature():
    backwards = {
        key: dict(reversed(node.items())) if isinstance(node, dict) else node for key, node in BASE.items()
    }
    assert Condition.from_config(backwards).signature == Condition.from_config(BASE).signature


# Signatures that last ---------------------------------------------------------------------------------------


SIGNATURES = {
    (): "7d393bef766c",
    ("task=delayed_discrimination", "task.channels=2", "regularizer=nuclear_norm"): "19bf79cac4de",
    ("task=sine_wave", "parameterization=mup", "gamma=2", "regularizer=l1"): "dab2f50581c3",
    ("task=path_integration", "width=64", "dtype=float64"): "f5e9bd4ccf8d",
    ("task=lorenz96",): "8cb9474d635d",
}
"""Signatures of conditions, never to change: run folders are found by them."""


@pytest.mark.parametrize("overrides", SIGNATURES, ids=" ".join)
def test_signatures_of_existing_run_folders_are_unchanged(overrides):
    assert build(*overrides).signature == SIGNATURES[overrides]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noiseless(FlipFlop):
    """A user's task in its first version."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noisy(FlipFlop):
    """Its second version, with two new options that are off."""

    noise_std: float = neutral(0.0)
    bounds: tuple[float, float] = neutral((0, 1))


def own(target: type, **options: Any) -> dict[str, Any]:
    """A configuration with a class of this module as its task, under the name of the first version."""
    task = {key: value for key, value in compose("train", [])["task"].items() if key != "_target_"}
    return compose("train", []) | {"task": {"_target_": f"{__name__}.Task", **task, **options}}


def test_a_new_option_that_is_off_finds_the_old_run_folder(tmp_path, monkeypatch):
    module = sys.modules[__name__]
    monkeypatch.setattr(module, "Task", Noiseless, raising=False)
    before = Condition.from_config(own(Noiseless))
    folder = RunFolder.of(tmp_path, before)
    folder.create(0)
    folder.store_condition()
    monkeypatch.setattr(module, "Task", Noisy)
    for options in ({}, {"noise_std": 0}, {"noise_std": 0.0, "bounds": [0.0, 1.0]}):
        after = Condition.from_config(own(Noisy, **options))
        assert after.signature == before.signature
        assert after.config["task"]["noise_std"] == 0.0
        assert RunFolder.open(folder.path).condition == after
    for options in ({"noise_std": 0.1}, {"bounds": [0, 2]}):
        assert Condition.from_config(own(Noisy, **options)).signature != before.signature


def without(names: tuple[str, ...], node: Any) -> Any:
    """A nested dictionary without these keys."""
    if not isinstance(node, dict):
        return node
    return {key: without(names, value) for key, value in node.items() if key not in names}


def test_a_neutral_part_may_be_missing():
    partial = {key: value for key, value in compose("train", []).items() if key != "regularizer"}
    condition = Condition.from_config(partial)
    assert condition.regularizer == NoPenalty()
    assert condition.signature == build().signature
    options_that_are_off = ("initial_gain", "initial_rank", "input_noise", "weight_decay")
    hashed = json.dumps(
        without(options_that_are_off, {k: v for k, v in condition.config.items() if k != "regularizer"}),
        sort_keys=True,
        separators=(",", ":"),
    )
    assert condition.signature == hashlib.sha256(hashed.encode()).hexdigest()[:12]
