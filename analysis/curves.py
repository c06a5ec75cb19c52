"""Conditions that enter the trends of an experiment, and the curves of measures along its factor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import pandas as pd

from analysis.measures import ConditionData, CurveBuilder, DegeneracyMeasure
from analysis.results import ResultsFolder
from degen.statistics import MIN_NETWORKS, Bootstrap, FactorCurve, leave_one_out_curves
from launch.experiment import Experiment

Tasks = Mapping[str, Sequence[ConditionData]]
"""For each task its conditions, in the order of the factor."""


def conditions_by_task(experiment: Experiment, results: ResultsFolder, networks: pd.DataFrame) -> Tasks:
    """Return the converged networks of every condition, by task, in the order of the factor.

    Conditions of a factor with a number as value are sorted by the number, others by their order in the
    file of the experiment. This is the place to define other orders.
    """
    converged = networks[networks["status"] == "converged"].sort_values("seed")
    ordered = sorted(experiment.sorted_by_factor(experiment.conditions), key=lambda each: each.task_name)
    return {
        task: [
            ConditionData(c, converged[converged["condition"] == c.signature], results) for c in conditions
        ]
        for task, conditions in groupby(ordered, key=lambda condition: condition.task_name)
    }


def below_threshold(tasks: Tasks) -> Tasks:
    """Leave out the networks whose loss on fresh trials is not below the threshold."""
    return {
        task: [
            data.without(data.networks.loc[data.networks["test_loss_ratio"] >= 1, "seed"])
            for data in conditions
        ]
        for task, conditions in tasks.items()
    }


def with_enough_networks(tasks: Tasks) -> Tasks:
    """Leave out conditions with too few networks for a trend, then tasks with fewer than two conditions."""
    enough = {
        task: [data for data in conditions if len(data.seeds) >= MIN_NETWORKS]
        for task, conditions in tasks.items()
    }
    return {task: conditions for task, conditions in enough.items() if len(conditions) >= 2}


def curves_without_each_network(
    conditions: Sequence[ConditionData], build: CurveBuilder, bootstrap: Bootstrap
) -> dict[str, FactorCurve | None]:
    """Build the curve of one task without each network in turn (`leave_one_out_curves`)."""
    by_name = {f"{data.condition.task_name} {data.condition.name}": data for data in conditions}

    def build_without(left_out: Mapping[str, int | None]) -> FactorCurve:
        remaining = [
            by_name[name] if seed is None else by_name[name].without([seed])
            for name, seed in left_out.items()
        ]
        return build(remaining, bootstrap)

    return leave_one_out_curves({name: data.seeds for name, data in by_name.items()}, build_without)


def baseline_ratios(conditions: Sequence[ConditionData], measure: DegeneracyMeasure) -> list[float]:
    """Return the ratio of each condition's distances to their split-half baseline.

    Returns:
        One ratio per condition, or an empty list if the measure is not one metric with a baseline.
    """
    if len(measure.metrics) != 1:
        return []
    ratios = [data.baseline_ratio(measure.metrics[0]) for data in conditions]
    return [ratio for ratio in ratios if ratio is not None]
