"""The experiment of a sweep that is given on the command line."""

from __future__ import annotations

import pytest

from degen.errors import BadInputError
from launch.experiment import compose_sweep
from launch.sweep import sweep_experiment


def test_a_sweep_has_the_conditions_that_training_has():
    overrides = ["task.channels=1,2", "gamma=0.5,1", "parameterization=mup", "seeds=3,5"]
    experiment = sweep_experiment(overrides)
    trained = compose_sweep(overrides).conditions
    assert [c.signature for c in experiment.conditions] == [c.signature for c in trained]
    assert len(experiment.conditions) == 4
    assert experiment.seeds == [0, 1, 2, 3, 4]
    assert experiment.arguments == ["-m"]


@pytest.mark.parametrize(
    ("overrides", "factor", "label", "values"),
    [
        (["gamma=0.5,1", "task.channels=1,2"], "gamma", "gamma", [0.5, 0.5, 1.0, 1.0]),
        (["task.channels=1,2", "gamma=0.5,1"], "task.channels", "channels", [1, 1, 2, 2]),
        (["seeds=2,3", "width=range(8,17,8)"], "width", "width", [8, 16]),
        (["task=flip_flop,sine_wave", "width=8,9"], "width", "width", [8, 9, 8, 9]),
        (
            ["task=flip_flop,sine_wave"],
            "task",
            "task",
            ["FlipFlop", "SineWave"],
        ),
        (["parameterization=mup", "input_std=1,2"], "parameterization.input_std", "input std", [1.0, 2.0]),
        (
            ["parameterization=mup,standard"],
            "parameterization",
            "parameterization",
            ["MuP", "Standard"],
        ),
        (
            ["training.optimizer.learning_rate=0.1,0.2"],
            "training.optimizer.learning_rate",
            "learning rate",
            None,
        ),
        (["device=cpu,auto", "dtype=float32,float64"], "dtype", "dtype", ["float32", "float64"]),
        (["width=8"], "width", "width", [8]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and isinstance(value[0], str) else "",
)
def test_the_factor_is_the_first_swept_field(overrides, factor, label, values):
    experiment = sweep_experiment(overrides)
    assert (experiment.factor, experiment.label) == ([factor], label)
    result = [experiment.value(condition) for condition in experiment.conditions]
    assert result == (values or [0.1, 0.2])


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["parameterization=mup", "gamma=0.5,1", "seeds=8"], "gamma=0.5,1+parameterization=mup"),
        (["width=8", "gamma=0.5,1", "seeds=50"], "gamma=0.5,1+width=8"),
    ],
)
def test_the_results_folder_is_named_after_the_overrides(overrides, name):
    assert sweep_experiment(overrides).name == name


def test_names_of_long_sweeps_differ():
    overrides = [
        "width=8,9",
        *(f"training.{field}_epochs={n}" for field in ("max", "settle") for n in range(9)),
    ]
    names = {sweep_experiment([*overrides, f"training.patience={n}"]).name for n in (1, 2)}
    assert len(names) == 2
    assert all(name.startswith("width=8,9+training.max_epochs=0") and len(name) < 140 for name in names)


def test_a_sweep_of_experiments_is_rejected():
    with pytest.raises(BadInputError, match=r"an override of a sweep must be .*, got 'experiment=demo'"):
        sweep_experiment(["experiment=demo", "gamma=1,2"])
