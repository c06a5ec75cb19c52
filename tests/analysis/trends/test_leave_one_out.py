"""Influential networks of a trend, on simulated networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.results import ResultsFolder
from analysis.trends.condition_data import ConditionData
from analysis.trends.curves import curves_without_each_network
from analysis.trends.measures import MEASURES, CurveBuilder
from degen.condition import Condition
from degen.files import write_tensors
from degen.statistics import Bootstrap, Estimate, FactorCurve, Trend, decisive_networks, fit_trend
from degen.statistics.inference import PooledContrasts
from launch.experiment import experiment

BOOTSTRAP = Bootstrap(n_samples=500, level=0.95, seed=0)
SIGMA, MEAN = (MEASURES["behavior"][name].build_curve for name in ("sigma OOD", "mean OOD"))
TASK = "delayed_discrimination"
SIZES = (8, 11, 14)


@pytest.fixture(scope="module")
def conditions() -> list[Condition]:
    return experiment("memory_demand").conditions


BuildSources = Callable[..., list[ConditionData]]


@pytest.fixture
def sources(conditions, tmp_path) -> BuildSources:
    def sources(*losses: np.ndarray) -> list[ConditionData]:
        return [
            ConditionData(
                condition,
                pd.DataFrame({"seed": range(len(values)), "ood_loss": values}),
                ResultsFolder(tmp_path),
            )
            for condition, values in zip(conditions, losses, strict=False)
        ]

    return sources


def renamed(curve: FactorCurve | None, task: str) -> Any:
    """Rename the task of a curve, because all conditions here have the same task."""
    return curve and dataclasses.replace(curve, task=task)


def find(measure: CurveBuilder, **tasks: list[ConditionData]) -> tuple[Trend, dict[str, Trend]]:
    """Return the trend of all networks of these tasks, and the result of `decisive_networks`."""
    curves = {task: renamed(measure(data, BOOTSTRAP), task) for task, data in tasks.items()}
    without = {
        task: {
            network: renamed(curve, task)
            for network, curve in curves_without_each_network(data, measure, BOOTSTRAP).items()
        }
        for task, data in tasks.items()
    }
    whole = fit_trend(list(curves.values()), BOOTSTRAP, 999)
    fit = partial(fit_trend, bootstrap=BOOTSTRAP, n_permutations=999)
    return whole, decisive_networks(whole, curves, without, fit, 0.05)


def groups_with_outlier() -> list[np.ndarray]:
    """Return values with a weak trend, except for the outlying network 4 of the first condition."""
    generator = np.random.default_rng(37)
    falling = [scale * generator.standard_normal(n) for scale, n in zip((1, 0.9, 0.7), SIZES, strict=True)]
    falling[0][4] = 4.0
    return falling


def test_the_network_that_causes_a_trend_is_named(sources, conditions):
    whole, decide = find(SIGMA, **{TASK: sources(*groups_with_outlier())})
    assert whole.direction(0.05) == "\u2193"
    network, without = next(iter(decide.items()))
    assert network == f"{TASK} {conditions[0].name} seed 4"
    assert without.direction(0.05) == "-"
    assert without.networks == sum(SIZES) - 1
    assert abs(without.effect) < abs(whole.effect)


def test_the_network_that_hides_a_pooled_trend_is_named(sources, conditions):
    generator = np.random.default_rng(0)
    rising = [generator.normal(10 + index, 0.3, n) for index, n in enumerate(SIZES)]
    hidden = [values.copy() for values in rising]
    hidden[0][4] = 60
    whole, decide = find(MEAN, values=sources(*rising), second=sources(*hidden))
    assert whole.direction(0.05) == "-"
    assert list(decide) == [f"{TASK} {conditions[0].name} seed 4"]
    assert decide[f"{TASK} {conditions[0].name} seed 4"].direction(0.05) == "\u2191"


def test_no_network_is_decisive_for_a_strong_trend(sources):
    generator = np.random.default_rng(1)
    rising = [generator.normal(10 + 3 * index, 1, n) for index, n in enumerate(SIZES)]
    whole, decide = find(MEAN, **{TASK: sources(*rising)})
    assert whole.direction(0.05) == "\u2191"
    assert decide == {}


def test_the_most_influential_network_comes_first(sources):
    generator = np.random.default_rng(0)
    near = [generator.normal(10 + 0.55 * index, 1, 12) for index in range(3)]  # p near 0.03
    whole, decide = find(MEAN, **{TASK: sources(*near)})
    assert whole.direction(0.05) == "\u2191"
    assert len(decide) > 1
    moves = [abs(trend.effect - whole.effect) for trend in decide.values()]
    assert moves == sorted(moves, reverse=True)


@pytest.mark.parametrize(
    ("level", "measure"),
    [
        *(("dynamics", "DSA"), ("weights", "PIF / norms"), ("weights", "PIF / initial PIF")),
        *(("behavior", "sigma OOD"), ("behavior", "sigma / mean OOD"), ("behavior", "mean OOD")),
    ],
)
def test_leaving_out_equals_removing_the_network(conditions, tmp_path, level, measure):
    generator = np.random.default_rng(3)
    build = MEASURES[level][measure].build_curve

    def write(folder: Path, table: pd.DataFrame, condition: Condition, matrices: dict) -> ConditionData:
        remaining = table.index.to_numpy()
        for metric, matrix in matrices.items():
            arrays = {"distances": torch.from_numpy(matrix[np.ix_(remaining, remaining)].copy())}
            path = ResultsFolder(folder).matrix(metric, condition.signature)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(path, arrays, {"seeds": table["seed"].tolist()})
        return ConditionData(condition, table, ResultsFolder(folder))

    whole, without = [], []
    for index, condition in enumerate(conditions):
        columns = {name: generator.uniform(1, 2, 6) for name in ("ood_loss", "weight_norm")}
        table = pd.DataFrame({"seed": [0, 1, 3, 4, 6, 7], **columns})
        points = generator.standard_normal((3, 6))
        matrices = dict(
            zip(("dsa", "pif", "pif_initial"), np.abs(points[:, :, None] - points[:, None]), strict=True)
        )
        whole.append(write(tmp_path / "whole", table, condition, matrices))
        remaining = table[table["seed"] != 4] if index == 1 else table
        without.append(write(tmp_path / "without", remaining, condition, matrices))

    curve = curves_without_each_network(whole, build, BOOTSTRAP)[f"{TASK} {conditions[1].name} seed 4"]
    expected = build(without, BOOTSTRAP)
    np.testing.assert_array_equal(curve.values, expected.values)
    weights = np.array([[-1.0, 0.0, 1.0], [-1.0, 1.0, 0.0]])
    for result, wanted in zip(curve.bootstrapped(weights), expected.bootstrapped(weights), strict=True):
        np.testing.assert_array_equal(result, wanted)
    for actual, wanted in zip(curve.network_values, expected.network_values, strict=True):
        np.testing.assert_array_equal(actual, wanted)


def test_a_condition_of_five_is_left_out_with_any_of_them(sources, conditions):
    losses = [1 + np.arange(float(n)) for n in (6, 5, 7)]
    curves = curves_without_each_network(sources(*losses), MEAN, BOOTSTRAP)
    assert len(curves) == 6 + 5 + 7
    gone = curves[f"{TASK} {conditions[1].name} seed 2 and its condition"]
    np.testing.assert_array_equal(gone.values, [losses[0].mean(), losses[2].mean()])
    assert [name for name in curves if name.endswith("and its condition")] == [
        f"{TASK} {conditions[1].name} seed {seed} and its condition" for seed in range(5)
    ]
    of_two = sources(*losses[:2])
    curves = curves_without_each_network(of_two, MEAN, BOOTSTRAP)
    assert [name for name, curve in curves.items() if curve is None] == [
        f"{TASK} {conditions[1].name} seed {seed} and its condition" for seed in range(5)
    ]
    # Without it the task has no trend, but the other tasks still have.
    assert not any(name.endswith("and its condition") for name in find(MEAN, first=of_two)[1])
    rising = [10 + index + np.linspace(-0.1, 0.1, n) for index, n in enumerate(SIZES)]
    falling = [1000 + np.arange(6.0), 1 + np.arange(5.0)]
    decide = find(MEAN, first=sources(*falling), second=sources(*rising))[1]
    assert {trend.networks for name, trend in decide.items() if name.endswith("and its condition")} == {
        sum(SIZES)
    }


def trend(effect: float, low: float, high: float, test: Callable[[], tuple[float, float]]) -> Trend:
    contrasts = SimpleNamespace(intervals=[Estimate(effect, low, high)], p_value=test)
    return Trend(contrasts=cast(PooledContrasts, contrasts))


def test_a_direction_needs_an_interval_and_a_p():
    def fails() -> tuple[float, float]:
        raise AssertionError("the test takes time and is not needed if the interval contains zero")

    assert trend(0.1, -0.1, 0.3, fails).direction(0.05) == "-"
    assert trend(0.1, 0.05, 0.3, lambda: (0.05, 0.002)).direction(0.05) == "-"
    assert trend(0.1, 0.05, 0.3, lambda: (0.04, 0.002)).direction(0.05) == "\u2191"
    assert trend(-0.1, -0.3, -0.05, lambda: (0.04, 0.002)).direction(0.05) == "\u2193"
