"""Conditions: construction, names and rejected configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from degen.condition import Condition, snake_case
from degen.errors import BadInputError
from degen.training import Regularizer
from tests.composed import BASE, changed
from tests.conftest import build

if TYPE_CHECKING:
    from decimal import Decimal


class Hasty(Regularizer):
    """Its hint is known to type checkers only."""

    def __init__(self, strength: Decimal):
        self.strength = strength

    def __call__(self, recurrent):
        return recurrent.sum()


class Greedy(Regularizer):
    """A regularizer that must not be instantiated."""

    def __init__(self, strength: float = 1.0):
        raise AssertionError("called")

    def __call__(self, recurrent):
        return recurrent.sum()


def called(*arguments: object, **named: object) -> None:
    raise AssertionError("called")


def test_a_complete_configuration_rebuilds_the_condition():
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


def test_values_are_read_by_dotted_path():
    condition = build("task.channels=2", "gamma=0.5")
    assert (condition.value("task.channels"), condition.value("gamma")) == (2, 0.5)
    assert condition.value("parameterization") == "Standard"
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
            "regularizer._target_ must be a class whose type hints use names that its module imports, got",
        ),
        (
            ("training", "schedule", "_target_"),
            f"{__name__}.Greedy",
            "training.schedule._target_ must be the dotted",
        ),
        (("training", "schedule", "_target_"), "os.system", "training.schedule._target_ must be the dotted"),
    ],
)
def test_a_bad_configuration_is_rejected_before_any_call(path, value, sentence):
    with pytest.raises(BadInputError) as caught:
        Condition.from_config(changed(path, value))
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["task", "parameterization", "training", "dtype"])
def test_every_part_is_required(name):
    config = {key: value for key, value in BASE.items() if key != name}
    with pytest.raises(BadInputError, match=f"^{name} must be given"):
        Condition.from_config(config)
