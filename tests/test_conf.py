"""The files of conf/ build conditions, and the experiments have the conditions of the paper."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from degen.condition import Condition, snake_case
from degen.errors import BadInputError
from launch.config import CONF, compose
from launch.experiment import Experiment, experiment, unique_conditions
from tests.composed import all_of, files, leaves
from tests.conftest import build, composed


@pytest.mark.parametrize(
    ("task", "parameterization", "regularizer"),
    [
        *itertools.product(files("task"), files("parameterization"), ["none"]),
        *itertools.product(["sine_wave"], ["standard", "gru"], ["l1", "nuclear_norm"]),
    ],
)
def test_every_combination_of_parts_builds_a_condition(task, parameterization, regularizer):
    condition = build(f"task={task}", f"parameterization={parameterization}", f"regularizer={regularizer}")
    assert condition.task_name == task
    assert snake_case(type(condition.model).__name__) == parameterization
    assert snake_case(type(condition.regularizer).__name__) == {"none": "no_penalty"}.get(
        regularizer, regularizer
    )
    assert (condition.model.width, condition.model.gamma) == (128, 1)


def test_files_have_the_values_of_the_specification():
    table = {  # learning rate, schedule, epochs, batch, time constant, threshold, time steps
        "flip_flop": (0.001, "Constant", 300, 256, 1.0, 0.001, 100),
        "delayed_discrimination": (0.001, "CosineAnnealingWarmRestarts", 500, 256, 0.1, 0.01, 60),
        "sine_wave": (0.0005, "Constant", 500, 32, 1.0, 0.05, 100),
        "path_integration": (0.001, "ReduceLROnPlateau", 1000, 64, 0.1, 0.05, 100),
    }
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


def test_files_have_the_values_of_the_pilot():
    page = (Path(CONF).parent / "docs" / "tasks.md").read_text()
    names = "context_integration|ring_integration|delayed_match"
    rows = re.findall(rf"^\| `({names})` \| ([\d.]+) \| ([\d.]+) \|", page, re.MULTILINE)
    assert len(rows) == 3
    for task, learning_rate, threshold in rows:
        training = build(f"task={task}").training
        assert float(learning_rate) == training.optimizer.learning_rate
        assert float(threshold) == training.threshold


@pytest.mark.parametrize("scale", files("scale"))
@pytest.mark.parametrize("name", files("experiment"))
def test_conditions_of_every_experiment_differ_in_its_factor(name, scale):
    for swept in all_of(name, scale):
        assert len({condition.signature for condition in swept.conditions}) == len(swept.conditions)
        assert len({str(swept.value(condition)) for condition in swept.conditions}) > 1
        assert (swept.scale, swept.name in (name, *files("experiment"))) == (scale, True)
    lines = (Path(CONF) / "experiment" / f"{name}.yaml").read_text().splitlines()
    assert len(lines) <= 25


def test_the_paper_has_68_conditions_trained_once_each():
    paper = all_of("paper")
    counts = {swept_experiment.name: len(swept_experiment.swept) for swept_experiment in paper}
    assert counts == {  # 15 + 15 + 12 + 26 (docs/specification.md, section 5)
        "task_complexity": 12,
        "memory_demand": 2,
        "auxiliary_loss": 1,
        "feature_learning": 15,
        "network_size": 12,
        "low_rank": 13,
        "sparsity": 13,
    }
    assert (
        sum(len(swept_experiment.swept) * len(swept_experiment.seeds) for swept_experiment in paper) == 3400
    )
    # gamma 1 at 128 units is both of feature_learning and of network_size, for four tasks; the conditions
    # that other experiments share are all own ones of task_complexity.
    assert len(unique_conditions(paper)) == 68 - 4
    own = {condition.signature for condition in paper[0].swept}
    assert all(
        condition.signature in own for swept_experiment in paper for condition in swept_experiment.baseline
    )


def test_penalty_sweeps_start_without_penalty():
    (swept,) = all_of("low_rank")
    assert {swept.value(condition) for condition in swept.baseline} == {0.0}
    assert all(swept.value(condition) > 0 for condition in swept.swept)


def test_the_reduced_scale_changes_only_its_conditions():
    full = {condition.signature for condition in unique_conditions(all_of("paper"))}
    reduced = unique_conditions(all_of("paper", "reduced"))
    # Path integration is as in the paper but for its width, and both vary the width.
    shared = [condition for condition in reduced if condition.signature in full]
    assert [(condition.task_name, condition.model.width) for condition in shared] == [
        ("path_integration", 64),
        ("path_integration", 128),
    ]
    for task in files("task"):
        assert build(f"task={task}").signature == build(f"task={task}", "scale=full").signature
    # A width that is asked for wins over that of the scale.
    assert build("task=sine_wave", "scale=reduced", "width=100").model.width == 100


def test_overrides_of_an_experiment_reach_every_condition():
    swept = experiment("demo", ["width=8", "seeds=[3,4]"])
    assert [condition.model.width for condition in swept.conditions] == [8] * len(swept.conditions)
    assert swept.seeds == [3, 4]
    with pytest.raises(BadInputError, match=r"experiment.grids must be conditions that differ"):
        experiment("demo", ["task.channels=1"])


def test_a_list_of_experiments_is_not_a_single_experiment():
    with pytest.raises(BadInputError, match="experiment must be a single experiment, not a list"):
        experiment("paper")


@pytest.mark.parametrize("group", ["width", "gamma"])
def test_number_files_contain_the_number_of_their_name(group):
    for name in files(group):
        assert yaml.safe_load((Path(CONF) / group / f"{name}.yaml").read_text()) == {group: float(name)}
        assert build(f"{group}={name}").value(group) == float(name)


@given(width=st.integers(1, 5000), gamma=st.floats(1e-6, 1e6))
@settings(max_examples=15, deadline=None)
def test_width_and_gamma_take_any_number_that_has_no_file(width, gamma):
    condition = Condition.from_config(compose("train", [f"width={width}", f"gamma={gamma}"]))
    assert (condition.model.width, condition.model.gamma) == (width, gamma)


def test_every_file_of_a_group_is_tested():
    groups = {folder.name for folder in Path(CONF).iterdir() if folder.is_dir()}
    own = {"task", "parameterization", "regularizer", "experiment", "width", "gamma", "scale"}
    assert own <= groups
    # Those of the analysis and of launchers are tested there; tasks include the group training.
    assert groups - own <= {"metric", "hydra", "scale_overrides", "training"}


def test_files_set_every_argument_and_constructors_no_default():
    for task, parameterization in itertools.product(files("task"), files("parameterization")):
        overrides = f"task={task}", f"parameterization={parameterization}", "regularizer=none"
        for part, node in build(*overrides).config.items():
            assert set(leaves(node)) == set(leaves(composed(*overrides)[part])), part


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
def test_factor_values_have_one_type_and_are_sorted(values, in_tables, order):
    swept = [dataclasses.replace(build(), config={"task": {"factor": value}}) for value in values]
    of = Experiment("own", ["task.factor"], "", [], swept, [0], "full", False)
    assert [of.table_value(condition) for condition in swept] == in_tables
    assert [of.value(condition) for condition in of.sorted_by_factor(swept)] == order


def test_long_training_has_the_papers_33_standard_conditions():
    paper = unique_conditions(all_of("paper"))
    wanted = {
        condition.signature
        for condition in paper
        if "Standard" in condition.value("parameterization._target_")
        and condition.task_name != "path_integration"
    }
    result = [condition.signature for condition in all_of("long_training")[0].conditions]
    assert len(result) == 33
    assert set(result) == wanted
