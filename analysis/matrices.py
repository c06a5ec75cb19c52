"""Matrices: the distance of every pair of networks of a condition, for each metric. One loop serves all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch

from analysis.metrics import Metric
from analysis.results import Results, fingerprint, is_made_from, read_table, write_arrays, write_table
from degen.condition import Condition
from degen.files import read_metadata, read_tensors
from launch.conditions import Experiment


def matrices(
    experiment: Experiment,
    results: Results,
    metrics: dict[str, tuple[dict, Metric]],
    only: str | None = None,
) -> None:
    """Store the distance matrices of every condition, task by task, for each metric.

    Args:
        metrics: name to completed configuration and metric.
        only: the signature of the one condition whose matrices are wanted.
    """
    by_task = groupby(sorted(experiment.conditions, key=_task), key=_task)
    groups = {task: list(conditions) for task, conditions in by_task}
    for name, (config, metric) in metrics.items():
        fresh = [
            task
            for task, conditions in groups.items()
            if _compute(results, name, config, metric, conditions, only)
        ]
        print(
            f"matrices: {name} of {len(experiment.conditions)} conditions, "
            f"{len(fresh)} of {len(groups)} tasks new",
            flush=True,
        )


def _task(condition: Condition) -> str:
    return condition.task_name


def _compute(
    results: Results,
    name: str,
    config: dict,
    metric: Metric,
    conditions: Sequence[Condition],
    only: str | None,
) -> bool:
    """Compute and store one metric of one task's conditions; False where that is there already."""
    sources = [results.activations(condition.signature) for condition in conditions]
    made_from = fingerprint(config, metric.version, [read_metadata(source)["sha256"] for source in sources])
    targets = [results.matrix(name, condition.signature) for condition in conditions]
    which = [
        i
        for i, condition in enumerate(conditions)
        if only in (None, condition.signature) and not is_made_from(targets[i], made_from)
    ]
    # One file for all conditions of a task: that of other conditions may lie there beside these matrices.
    choice = results.choice(name, conditions[0].task_name)
    is_other_choice = choice.exists() and read_table(choice, made_from) is None
    if not which and not is_other_choice:
        return False
    stored = [read_tensors(source) for source in sources]
    found = metric.distances([arrays for arrays, _ in stored], which)
    if found.curve is not None:
        choice.parent.mkdir(parents=True, exist_ok=True)
        write_table(choice, found.curve, made_from)
    for index, i in enumerate(which):
        arrays = {"distances": torch.from_numpy(found.matrices[index])}
        if found.null is not None:
            arrays["null"] = torch.from_numpy(found.null[index])
        metadata = {
            "seeds": stored[i][1]["seeds"],
            "metric": config,
            "version": metric.version,
            "level": metric.level,
        }
        write_arrays(targets[i], arrays, metadata, made_from)
    return True
