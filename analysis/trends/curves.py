"""Conditions that enter the trends of an experiment, and the curves of measures along its factor."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from analysis.results import ResultsFolder
from analysis.trends.condition_data import ConditionData
from analysis.trends.design import Cell, Design, Term, compares_tasks, largest_grid
from analysis.trends.measures import CurveBuilder, DegeneracyMeasure
from analysis.trends.rows import POOLED
from degen.statistics import MIN_NETWORKS, Bootstrap, FactorCurve, leave_one_out_curves
from launch.experiment import Experiment

Tasks = Mapping[str, Sequence[ConditionData]]
"""For each task its conditions, in the order of the factors."""


def conditions_by_task(
    experiment: Experiment,
    design: Design,
    results: ResultsFolder,
    networks: pd.DataFrame,
    min_converged_fraction: float,
) -> Tasks:
    """Return the converged networks of every condition, by task, in the order of the factors.

    Conditions in which fewer than a fraction of the finished networks converged are left out: the remaining
    networks are a selection. If the task is the factor, all conditions belong to `POOLED`.
    """
    converged = networks[networks["status"] == "converged"].sort_values("seed")
    fractions = (networks["status"] == "converged").groupby(networks["condition"]).mean()
    tasks: dict[str, list[ConditionData]] = {}
    is_one_group = compares_tasks(experiment)
    for condition in sorted(experiment.conditions, key=lambda c: (c.task_name, design.order(c))):
        members = tasks.setdefault(POOLED if is_one_group else condition.task_name, [])
        if fractions.get(condition.signature, 0.0) >= min_converged_fraction:
            of_condition = converged[converged["condition"] == condition.signature]
            members.append(ConditionData(condition, of_condition, results))
    return tasks


def below_threshold(tasks: Tasks) -> Tasks:
    """Leave out the networks whose loss on fresh trials is not below the threshold."""
    return {
        task: [
            data.without(data.networks.loc[data.networks["test_loss_ratio"] >= 1, "seed"])
            for data in conditions
        ]
        for task, conditions in tasks.items()
    }


def select_conditions(tasks: Tasks, design: Design, term: Term) -> Tasks:
    """Return the conditions that a term compares, without tasks that have too few of them.

    Conditions with too few networks for an interval are left out. Of two crossed factors, levels are left out
    until every combination exists.
    """
    selected = {}
    for task, conditions in tasks.items():
        enough = [
            data
            for data in conditions
            if len(data.seeds) >= MIN_NETWORKS and design.is_compared(data.condition, term)
        ]
        selected[task] = _with_cells(enough, design, {design.cell(data.condition) for data in enough})
    return _with_two_levels(selected, design)


def shared_conditions(tasks: Tasks, design: Design) -> Tasks:
    """Return the conditions whose levels all tasks have, so that tasks can be pooled."""
    cells = [{design.cell(data.condition) for data in conditions} for conditions in tasks.values()]
    shared = set.intersection(*cells) if cells else set()
    return _with_two_levels(
        {task: _with_cells(conditions, design, shared) for task, conditions in tasks.items()}, design
    )


def _with_cells(
    conditions: Sequence[ConditionData], design: Design, cells: Collection[Cell]
) -> list[ConditionData]:
    """Return the conditions of some cells, which are all combinations of their levels."""
    grid = largest_grid(list(cells)) if design.is_crossed else cells
    return [data for data in conditions if design.cell(data.condition) in grid]


def _with_two_levels(tasks: Tasks, design: Design) -> Tasks:
    """Leave out tasks in which a factor has fewer than two levels."""
    enough = {}
    for task, conditions in tasks.items():
        levels = zip(*(design.cell(data.condition) for data in conditions), strict=True)
        if conditions and all(len(set(of_factor)) >= 2 for of_factor in levels):
            enough[task] = conditions
    return enough


def incomparable_tasks(tasks: Tasks, measure: DegeneracyMeasure) -> str:
    """Return why a measure cannot compare the tasks of conditions in one group, empty if it can."""
    for conditions in tasks.values():
        if len({data.condition.task_name for data in conditions}) <= 1:
            continue
        if measure.has_task_units:
            return "losses of different tasks have different scales"
        for metric in measure.metrics:
            settings = [data.hyperparameters(metric) for data in conditions]
            if any(other != settings[0] for other in settings[1:]):
                return f"hyperparameters of {metric} differ between the tasks"
    return ""


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
