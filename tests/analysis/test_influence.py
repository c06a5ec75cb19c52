"""Which networks decide a trend, on simulated networks whose truth is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.leave_one_out import axes_without, deciding
from analysis.measures import MEASURES, ConditionData, CurveBuilder
from analysis.results import ResultsFolder
from degen.condition import Condition
from degen.files import write_tensors
from degen.statistics.bootstrap import Bootstrap
from degen.statistics.factor_curve import Axis
from degen.statistics.trend import Trend, trend
from launch.experiment import experiment

BOOTSTRAP = Bootstrap(n_samples=500, level=0.95, seed=0)
SIGMA, MEAN = (MEASURES["behaviour"][name].build_curve for name in ("sigma OOD", "mean OOD"))
TASK = "delayed_discrimination"
SIZES = (8, 11, 14)


@pytest.fixture(scope="module")
def conditions() -> list[Condition]:
    return experiment("memory_demand").conditions


Build = Callable[..., list[ConditionData]]


@pytest.fixture
def sources(conditions, tmp_path) -> Build:
    def sources(*losses: np.ndarray) -> list[ConditionData]:
        return [
            ConditionData(
                condition, pd.DataFrame({"seed": range(len(one)), "ood_loss": one}), ResultsFolder(tmp_path)
            )
            for condition, one in zip(conditions, losses, strict=False)
        ]

    return sources


def named(axis: Axis | None, task: str) -> Any:
    """The axis as of that task: the conditions here are all of one."""
    return axis and dataclasses.replace(axis, task=task)


def found(measure: CurveBuilder, **tasks: list[ConditionData]) -> tuple[Trend, dict[str, Trend]]:
    """The trend of all networks of these tasks, and what `deciding` returns."""
    axes = {task: named(measure(one, BOOTSTRAP), task) for task, one in tasks.items()}
    without = {
        task: {network: named(axis, task) for network, axis in axes_without(one, measure, BOOTSTRAP).items()}
        for task, one in tasks.items()
    }
    whole = trend(list(axes.values()), BOOTSTRAP, 999)
    return whole, deciding(whole, axes, without, BOOTSTRAP, 999, 0.05)


def made_by_one() -> list[np.ndarray]:
    """Deviations that hardly fall, but for network 4 of the first condition, far from the others."""
    generator = np.random.default_rng(37)
    falling = [scale * generator.standard_normal(n) for scale, n in zip((1, 0.9, 0.7), SIZES, strict=True)]
    falling[0][4] = 4.0
    return falling


def test_the_network_that_makes_a_trend_is_found_and_named(sources, conditions):
    whole, decide = found(SIGMA, **{TASK: sources(*made_by_one())})
    assert whole.direction(0.05) == "\u2193"
    assert list(decide) == [f"{TASK} {conditions[0].name} seed 4"]
    without = next(iter(decide.values()))
    assert without.direction(0.05) == "-"
    assert without.networks == sum(SIZES) - 1
    assert abs(without.effect) < abs(whole.effect)


def test_the_network_that_hides_a_trend_is_found_in_its_task_of_several(sources, conditions):
    generator = np.random.default_rng(0)
    rising = [generator.normal(10 + place, 0.3, n) for place, n in enumerate(SIZES)]
    hidden = [one.copy() for one in rising]
    hidden[0][4] = 60
    whole, decide = found(MEAN, one=sources(*rising), other=sources(*hidden))
    assert whole.direction(0.05) == "-"
    assert list(decide) == [f"{TASK} {conditions[0].name} seed 4"]
    assert decide[f"{TASK} {conditions[0].name} seed 4"].direction(0.05) == "\u2191"


def test_no_network_decides_a_strong_trend_of_networks_alike(sources):
    generator = np.random.default_rng(1)
    rising = [generator.normal(10 + 3 * place, 1, n) for place, n in enumerate(SIZES)]
    whole, decide = found(MEAN, **{TASK: sources(*rising)})
    assert whole.direction(0.05) == "\u2191"
    assert decide == {}


def test_the_one_that_moves_the_effect_farthest_comes_first(sources):
    generator = np.random.default_rng(0)
    near = [generator.normal(10 + 0.45 * place, 1, 12) for place in range(3)]  # p 0.04
    whole, decide = found(MEAN, **{TASK: sources(*near)})
    assert whole.direction(0.05) == "\u2191"
    assert len(decide) > 1
    moves = [abs(one.effect - whole.effect) for one in decide.values()]
    assert moves == sorted(moves, reverse=True)


@pytest.mark.parametrize(
    ("level", "measure"),
    [
        *(("dynamics", "DSA"), ("weights", "PIF / norms"), ("weights", "PIF / initial PIF")),
        *(("behaviour", "sigma OOD"), ("behaviour", "sigma / mean OOD"), ("behaviour", "mean OOD")),
    ],
)
def test_leaving_a_network_out_is_as_if_it_had_never_been_there(conditions, tmp_path, level, measure):
    generator = np.random.default_rng(3)
    make = MEASURES[level][measure].build_curve

    def write(folder: Path, table: pd.DataFrame, condition: Condition, matrices: dict) -> ConditionData:
        kept = table.index.to_numpy()
        for metric, matrix in matrices.items():
            arrays = {"distances": torch.from_numpy(matrix[np.ix_(kept, kept)].copy())}
            path = ResultsFolder(folder).matrix(metric, condition.signature)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(path, arrays, {"seeds": table["seed"].tolist()})
        return ConditionData(condition, table, ResultsFolder(folder))

    whole, without = [], []
    for place, condition in enumerate(conditions):
        columns = {name: generator.uniform(1, 2, 6) for name in ("ood_loss", "weight_norm")}
        table = pd.DataFrame({"seed": [0, 1, 3, 4, 6, 7], **columns})
        points = generator.standard_normal((3, 6))
        matrices = dict(
            zip(("dsa", "pif", "pif_initial"), np.abs(points[:, :, None] - points[:, None]), strict=True)
        )
        whole.append(write(tmp_path / "whole", table, condition, matrices))
        kept = table[table["seed"] != 4] if place == 1 else table
        without.append(write(tmp_path / "without", kept, condition, matrices))

    axis = axes_without(whole, make, BOOTSTRAP)[f"{TASK} {conditions[1].name} seed 4"]
    never = make(without, BOOTSTRAP)
    np.testing.assert_array_equal(axis.values, never.values)
    np.testing.assert_array_equal(axis.draws, never.draws)
    for one, other in zip(axis.numbers, never.numbers, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_condition_of_three_goes_with_any_of_them_and_an_axis_of_one_condition_with_it(sources, conditions):
    losses = [np.arange(float(n)) for n in (4, 3, 5)]
    axes = axes_without(sources(*losses), MEAN, BOOTSTRAP)
    assert len(axes) == 4 + 3 + 5
    gone = axes[f"{TASK} {conditions[1].name} seed 2 and its condition"]
    np.testing.assert_array_equal(gone.values, [losses[0].mean(), losses[2].mean()])
    assert [name for name in axes if name.endswith("and its condition")] == [
        f"{TASK} {conditions[1].name} seed {seed} and its condition" for seed in range(3)
    ]
    of_two = sources(*losses[:2])
    axes = axes_without(of_two, MEAN, BOOTSTRAP)
    assert [name for name, axis in axes.items() if axis is None] == [
        f"{TASK} {conditions[1].name} seed {seed} and its condition" for seed in range(3)
    ]
    # Without it there is no trend of that task alone; among several the others are left.
    assert not any(name.endswith("and its condition") for name in found(MEAN, one=of_two)[1])
    rising = [10 + place + np.linspace(-0.1, 0.1, n) for place, n in enumerate(SIZES)]
    falling = [1000 + np.arange(4.0), 1 + np.arange(3.0)]
    decide = found(MEAN, one=sources(*falling), other=sources(*rising))[1]
    assert {one.networks for name, one in decide.items() if name.endswith("and its condition")} == {
        sum(SIZES)
    }


def test_a_direction_takes_an_interval_without_zero_and_then_a_small_p_of_the_same_direction():
    def fails() -> tuple[float, float]:
        raise AssertionError("p takes time, and an interval with zero has decided")

    assert Trend(0.1, -0.1, 0.3, 1.0, 9, fails).direction(0.05) == "-"
    assert Trend(0.1, 0.05, 0.3, 1.0, 9, lambda: (0.05, 2.0)).direction(0.05) == "-"
    assert Trend(0.1, 0.05, 0.3, 1.0, 9, lambda: (0.04, 2.0)).direction(0.05) == "\u2191"
    assert Trend(0.1, 0.05, 0.3, 1.0, 9, lambda: (0.04, -2.0)).direction(0.05) == "-"
    assert Trend(-0.1, -0.3, -0.05, -1.0, 9, lambda: (0.04, -2.0)).direction(0.05) == "\u2193"
