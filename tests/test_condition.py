"""Conditions: what names them, what is refused, and that every file of conf/ builds one."""

from __future__ import annotations

import copy
import dataclasses
import functools
import hashlib
import itertools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from degen.condition import Condition, snake_case
from degen.errors import BadInputError
from degen.fields import neutral
from degen.storage import RunFolder
from degen.tasks import FlipFlop
from degen.training import NoPenalty, Regularizer
from launch.cli import CONF, compose
from launch.conditions import Experiment, distinct, experiment, experiments
from tests.conftest import build

if TYPE_CHECKING:
    from decimal import Decimal

BASE = compose("train", ["regularizer=l1", "parameterization=mup"])


def all_of(name: str, scale: str = "full") -> list[Experiment]:
    """Return the experiments of a file, composed once."""
    return _composed(name, scale)


@functools.cache
def _composed(name: str, scale: str) -> list[Experiment]:
    if name in ("paper", "appendix"):
        listed = compose("train", [f"experiment={name}"])["experiment"]["experiments"]
        return [one for each in listed for one in all_of(each, scale)]
    return experiments(name, [f"scale={scale}"])


def files(group: str) -> list[str]:
    return sorted(file.stem for file in (Path(CONF) / group).glob("*.yaml"))


def leaves(node: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of all values in a nested dictionary."""
    if not isinstance(node, dict):
        return [path]
    return [leaf for key, value in node.items() for leaf in leaves(value, (*path, key))]


def changed(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """BASE with another value at that path."""
    config = copy.deepcopy(BASE)
    node = config
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return config


class Weighed(Regularizer):
    """A user's own penalty, with a value left to its default."""

    def __init__(self, strength: float, power: float = 2.0):
        self.strength = strength
        self.power = power

    def __call__(self, recurrent):
        return self.strength * (recurrent.abs() ** self.power).sum(dim=(-2, -1))


class Hasty(Regularizer):
    """Its hint is known to type checkers only."""

    def __init__(self, strength: Decimal):
        self.strength = strength

    def __call__(self, recurrent):
        return recurrent.sum()


class Greedy(Regularizer):
    """One that must not come to life."""

    def __init__(self, strength: float = 1.0):
        raise AssertionError("called")

    def __call__(self, recurrent):
        return recurrent.sum()


def called(*arguments: object, **named: object) -> None:
    raise AssertionError("called")


OTHER = {
    "eps": 1e-7,
    "betas": [0.9, 0.99],
    "fresh_trials": False,
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
    "override", ["seeds=3", "device=cpu", "tf32=true", "runs=elsewhere", "checkpoint_seconds=1"]
)
def test_what_is_not_trained_does_not_change_the_signature(override):
    assert build(override).signature == build().signature


def test_a_changed_default_of_a_constructor_changes_the_signature(monkeypatch):
    config = changed(("regularizer",), {"_target_": f"{__name__}.Weighed", "strength": 1.0})
    before = Condition.from_config(config)
    assert before.config["regularizer"] == config["regularizer"] | {"power": 2.0}
    spelt_out = changed(("regularizer",), config["regularizer"] | {"power": 2})
    assert Condition.from_config(spelt_out).signature == before.signature
    monkeypatch.setattr(Weighed.__init__, "__defaults__", (3.0,))
    after = Condition.from_config(config)
    assert after.regularizer.power == 3
    assert after.signature != before.signature


def test_one_and_one_point_zero_are_the_same_condition():
    whole, real = (Condition.from_config(changed(("parameterization", "gamma"), gamma)) for gamma in (1, 1.0))
    assert whole.signature == real.signature
    assert build("gamma=1").signature == build("gamma=1.0").signature == build("gamma=1e0").signature


def test_the_order_of_keys_does_not_change_the_signature():
    backwards = {
        key: dict(reversed(node.items())) if isinstance(node, dict) else node for key, node in BASE.items()
    }
    assert Condition.from_config(backwards).signature == Condition.from_config(BASE).signature


def test_a_complete_configuration_builds_the_same_condition_again():
    for overrides in (
        (),
        ("task=path_integration", "regularizer=nuclear_norm"),
        ("dtype=float64", "gamma=0.5"),
    ):
        condition = build(*overrides)
        again = Condition.from_config(condition.config)
        assert again == condition
        assert again.name == condition.name


def test_the_name_is_readable_and_ends_with_the_signature():
    condition = build("task=flip_flop", "task.channels=2", "gamma=0.5", "width=32", "regularizer=l1")
    assert condition.task_name == "flip_flop"
    assert condition.name == f"2bit-standard-n32-gamma0.5-l11e-05-{condition.signature}"
    assert len(condition.signature) == 12
    assert [snake_case(name) for name in ("MuP", "NuclearNorm", "L1")] == ["mup", "nuclear_norm", "l1"]


def test_values_are_found_by_dotted_path():
    condition = build("task.channels=2", "gamma=0.5")
    assert (condition.value("task.channels"), condition.value("gamma")) == (2, 0.5)
    with pytest.raises(BadInputError, match=r"factor must be a field of condition .*, got 'task.bits'"):
        condition.value("task.bits")


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("task", "chanels"), 2, "task.chanels must be one of channels, n_steps, pulse_probability"),
        (("training", "schedule", "T_0"), 2, "training.schedule.T_0 must be absent (~"),
        (("regularizer", "power"), 2, "regularizer.power must be one of strength"),
        (("task",), {"_target_": "degen.tasks.FlipFlop", "channels": 1}, "task.n_steps is missing"),
        (("task", "channels"), "???", "task.channels is missing"),
        (("task", "channels"), "two", "task.channels must be an integer of at least 1, got 'two'"),
        (("task",), {"channels": 2}, "task must be a mapping with the key _target_"),
        (("task",), None, "task must be a mapping with the key _target_"),
        (("training", "schedule"), None, "training.schedule must be a mapping with the key _target_"),
        (("training", "threshold"), float("nan"), "training.threshold must be a plain value"),
        (("dtype",), "int8", "dtype must be one of float32, float64, got 'int8'"),
        (("task", "_target_"), "degen.tasks.Flop", "task._target_ must be the dotted name"),
        (("task", "_target_"), "nowhere.Task", "task._target_ must be the dotted name"),
        (("task", "_target_"), "FlipFlop", "task._target_ must be the dotted name"),
        (("task", "_target_"), "degen.tasks.Task", "task._target_ must be the dotted name"),
        (("task", "_target_"), "degen.training.L1", "task._target_ must be the dotted name"),
        (("task", "_target_"), f"{__name__}.called", "task._target_ must be the dotted name"),
        (("task", "_target_"), f"{__name__}.Greedy", "task._target_ must be the dotted name"),
        (
            ("regularizer", "_target_"),
            f"{__name__}.Hasty",
            "regularizer._target_ must be a class whose type hints are of what its module imports, got",
        ),
        (
            ("training", "schedule", "_target_"),
            f"{__name__}.Greedy",
            "training.schedule._target_ must be the dotted",
        ),
        (("training", "schedule", "_target_"), "os.system", "training.schedule._target_ must be the dotted"),
    ],
)
def test_what_is_misspelt_missing_or_of_another_kind_is_refused_in_one_sentence_and_never_called(
    path, value, sentence
):
    with pytest.raises(BadInputError) as caught:
        Condition.from_config(changed(path, value))
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["task", "parameterization", "training", "dtype"])
def test_every_part_must_be_given(name):
    config = {key: value for key, value in BASE.items() if key != name}
    with pytest.raises(BadInputError, match=f"^{name} must be given"):
        Condition.from_config(config)


# The files of conf/ -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", files("task"))
@pytest.mark.parametrize("parameterization", files("parameterization"))
@pytest.mark.parametrize("regularizer", files("regularizer"))
def test_every_task_parameterization_and_regularizer_build_a_condition(task, parameterization, regularizer):
    condition = build(f"task={task}", f"parameterization={parameterization}", f"regularizer={regularizer}")
    assert condition.task_name == task
    assert snake_case(type(condition.model).__name__) == parameterization
    assert snake_case(type(condition.regularizer).__name__) == {"none": "no_penalty"}.get(
        regularizer, regularizer
    )
    assert (condition.model.width, condition.model.gamma) == (128, 1)


def test_the_tables_of_the_specification_are_in_the_files():
    table = {  # learning rate, schedule, epochs, batch, time constant, threshold, time steps
        "flip_flop": (0.001, "Constant", 300, 256, 1.0, 0.001, 100),
        "delayed_discrimination": (0.001, "CosineAnnealingWarmRestarts", 500, 256, 0.1, 0.01, 60),
        "sine_wave": (0.0005, "Constant", 500, 32, 1.0, 0.05, 100),
        "path_integration": (0.001, "ReduceLROnPlateau", 1000, 64, 0.1, 0.05, 100),
    }
    assert sorted([*table, "lorenz96"]) == files("task")  # not one of the paper's four
    for task, row in table.items():
        condition = build(f"task={task}", "parameterization=mup")
        training = condition.training
        assert row == (
            training.optimizer.learning_rate,
            type(training.schedule).__name__,
            training.max_epochs,
            training.batch_size,
            condition.model.leak_rate,
            training.threshold,
            condition.task.n_steps,
        )
        assert (training.steps_per_epoch, training.patience, training.fresh_trials) == (128, 3, True)
    plateau = build("task=path_integration").training.schedule
    assert (plateau.factor, plateau.patience) == (0.5, 40)


@pytest.mark.parametrize("scale", files("scale"))
@pytest.mark.parametrize("name", files("experiment"))
def test_every_experiment_builds_conditions_that_differ_in_its_factor(name, scale):
    for swept in all_of(name, scale):
        assert len({condition.signature for condition in swept.conditions}) == len(swept.conditions)
        assert len({str(swept.value(condition)) for condition in swept.conditions}) > 1
        assert (swept.scale, swept.name in (name, *files("experiment"))) == (scale, True)
    lines = (Path(CONF) / "experiment" / f"{name}.yaml").read_text().splitlines()
    assert len(lines) <= 25


def test_the_paper_has_68_conditions_and_3400_networks_and_shared_ones_are_trained_once():
    paper = all_of("paper")
    counts = {one.name: len(one.swept) for one in paper}
    assert counts == {  # 15 + 15 + 12 + 26 (SPEC, section 5)
        "task_complexity": 12,
        "memory_demand": 2,
        "auxiliary_loss": 1,
        "feature_learning": 15,
        "network_size": 12,
        "low_rank": 13,
        "sparsity": 13,
    }
    assert sum(len(one.swept) * len(one.seeds) for one in paper) == 3400
    # gamma 1 at 128 units is both of feature_learning and of network_size, for four tasks; the conditions
    # that other experiments share are all own ones of task_complexity.
    assert len(distinct(paper)) == 68 - 4
    own = {condition.signature for condition in paper[0].swept}
    assert all(condition.signature in own for one in paper for condition in one.shared)


def test_an_axis_of_penalties_starts_at_none():
    (swept,) = all_of("low_rank")
    assert {swept.value(condition) for condition in swept.shared} == {0.0}
    assert all(swept.value(condition) > 0 for condition in swept.swept)


def test_a_scale_changes_no_condition_of_another():
    full = {condition.signature for condition in distinct(all_of("paper"))}
    reduced = distinct(all_of("paper", "reduced"))
    # Path integration is as in the paper but for its width, and both vary the width.
    shared = [condition for condition in reduced if condition.signature in full]
    assert [(one.task_name, one.model.width) for one in shared] == [
        ("path_integration", 64),
        ("path_integration", 128),
    ]
    for task in files("task"):
        assert build(f"task={task}").signature == build(f"task={task}", "scale=full").signature
    # A width that is asked for wins over that of the scale.
    assert build("task=sine_wave", "scale=reduced", "width=100").model.width == 100


def test_overrides_of_an_experiment_reach_every_condition_and_win():
    swept = experiment("demo", ["width=8", "seeds=[3,4]"])
    assert [condition.model.width for condition in swept.conditions] == [8] * len(swept.conditions)
    assert swept.seeds == [3, 4]
    with pytest.raises(BadInputError, match=r"experiment.grids must be conditions that differ"):
        experiment("demo", ["task.channels=1"])


def test_a_list_of_experiments_is_no_experiment():
    with pytest.raises(BadInputError, match="experiment must be a single one, not a list of them"):
        experiment("paper")


@pytest.mark.parametrize("group", ["width", "gamma"])
def test_a_number_with_a_file_is_the_number_of_its_name(group):
    for name in files(group):
        assert yaml.safe_load((Path(CONF) / group / f"{name}.yaml").read_text()) == {group: float(name)}
        assert build(f"{group}={name}").value(group) == float(name)


@given(width=st.integers(1, 5000), gamma=st.floats(1e-6, 1e6))
@settings(max_examples=15, deadline=None)
def test_width_and_gamma_take_any_number_that_has_no_file(width, gamma):
    condition = Condition.from_config(compose("train", [f"width={width}", f"gamma={gamma}"]))
    assert (condition.model.width, condition.model.gamma) == (width, gamma)


def test_no_file_of_a_group_is_left_out_of_these_tests():
    groups = {folder.name for folder in Path(CONF).iterdir() if folder.is_dir()}
    own = {"task", "parameterization", "regularizer", "experiment", "width", "gamma", "scale"}
    assert own <= groups
    # Those of the analysis and of launchers are tested there; tasks include the group training.
    assert groups - own <= {"metric", "hydra", "scale_overrides", "training"}


def test_a_constructor_has_no_argument_that_its_file_leaves_out_and_no_default():
    for task, parameterization in itertools.product(files("task"), files("parameterization")):
        composed = compose("train", [f"task={task}", f"parameterization={parameterization}"])
        complete = build(f"task={task}", f"parameterization={parameterization}").config
        for part, node in complete.items():
            assert set(leaves(node)) == set(leaves(composed[part])), part


@pytest.mark.parametrize(
    ("values", "in_tables", "order"),
    [
        ([3, 1.5, 2], [3, 1.5, 2], [1.5, 2, 3]),
        ([True, False], [True, False], [False, True]),
        (["small", "large"], ["small", "large"], ["small", "large"]),
        ([None, 1.5], ["null", "1.5"], [None, 1.5]),
        ([[2, 1], [1]], ["[2, 1]", "[1]"], [[2, 1], [1]]),
        ([1, "auto"], ["1", '"auto"'], [1, "auto"]),
        ([False, 0.5], ["false", "0.5"], [False, 0.5]),
    ],
    ids=str,
)
def test_values_of_a_factor_are_of_one_kind_in_tables_and_in_order_on_axes(values, in_tables, order):
    swept = [dataclasses.replace(build(), config={"task": {"factor": value}}) for value in values]
    of = Experiment("own", ["task.factor"], "", [], swept, [0], "full", False)
    assert [of.value_in_tables(condition) for condition in swept] == in_tables
    assert [of.value(condition) for condition in of.along_the_axis(swept)] == order


def test_the_long_training_has_the_papers_standard_conditions_without_path_integration():
    paper = distinct(all_of("paper"))
    wanted = {
        condition.signature
        for condition in paper
        if "Standard" in condition.value("parameterization._target_")
        and condition.task_name != "path_integration"
    }
    found = [condition.signature for condition in all_of("long_training")[0].conditions]
    assert len(found) == 33
    assert set(found) == wanted


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
def test_signatures_are_those_of_the_run_folders_that_exist(overrides):
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
    folder.describe()
    monkeypatch.setattr(module, "Task", Noisy)
    for options in ({}, {"noise_std": 0}, {"noise_std": 0.0, "bounds": [0.0, 1.0]}):
        after = Condition.from_config(own(Noisy, **options))
        assert after.signature == before.signature
        assert after.config["task"]["noise_std"] == 0.0
        assert RunFolder.open(folder.path).condition == after
    for options in ({"noise_std": 0.1}, {"bounds": [0, 2]}):
        assert Condition.from_config(own(Noisy, **options)).signature != before.signature


def test_a_part_that_is_neutral_is_left_out_and_may_be_missing():
    without = {key: value for key, value in compose("train", []).items() if key != "regularizer"}
    condition = Condition.from_config(without)
    assert condition.regularizer == NoPenalty()
    assert condition.signature == build().signature
    hashed = json.dumps(
        {key: value for key, value in condition.config.items() if key != "regularizer"},
        sort_keys=True,
        separators=(",", ":"),
    )
    assert condition.signature == hashlib.sha256(hashed.encode()).hexdigest()[:12]
