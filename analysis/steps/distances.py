"""Matrices: the distance of every pair of networks of a condition, for each metric. One loop serves all."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from analysis.metrics import Chosen, Metric
from analysis.results import Results, fingerprint, is_made_from, read_table, write_arrays
from analysis.steps.hyperparameters import settings_text
from degen.condition import Condition
from degen.errors import BadInputError
from degen.files import read_metadata, read_tensors
from launch.experiment import Experiment


def matrices(
    experiment: Experiment,
    results: Results,
    metrics: dict[str, tuple[dict[str, Any], Metric]],
    only: str | None = None,
) -> list[BadInputError]:
    """Store the distance matrices of every condition for each metric, by the settings of `choices`.

    A metric that cannot measure a condition does not keep the other metrics from it.

    Args:
        metrics: name to completed configuration and metric.
        only: the signature of the one condition whose matrices are wanted.

    Returns:
        Why a condition could not be measured.
    """
    wanted = [condition for condition in experiment.conditions if only in (None, condition.signature)]
    rejected: list[BadInputError] = []
    for name, (config, metric) in metrics.items():
        computed = n_rejected = 0
        for condition in wanted:
            try:
                computed += _compute(results, name, config, metric, condition)
            except BadInputError as error:
                # A matrix of other settings must not be taken for one of this analysis.
                results.matrix(name, condition.signature).unlink(missing_ok=True)
                print(f"not measured: {name} of {condition.name}, {error}", flush=True)
                rejected.append(error)
                n_rejected += 1
        n_measured = len(wanted) - n_rejected
        print(f"matrices: {name} of {n_measured} conditions, {computed} of them new", flush=True)
    return rejected


def _compute(
    results: Results, name: str, config: dict[str, Any], metric: Metric, condition: Condition
) -> bool:
    """Compute and store one metric of one condition; False where that is there already, here or beside."""
    source = results.activations(condition.signature)
    target = results.matrix(name, condition.signature)
    chosen = _chosen(results, name, metric, condition)
    made_from = fingerprint(config, metric.version, chosen, read_metadata(source)["sha256"])
    if is_made_from(target, made_from):
        return False
    for same in results.beside(target):
        # Another experiment has this condition, too.
        with contextlib.suppress(BadInputError):
            arrays, known = read_tensors(same)
            if known.pop("made_from") == made_from:
                del known["sha256"]
                write_arrays(target, arrays, known, made_from)
                return False
    states, stored = read_tensors(source)
    try:
        found = metric.distances(states, chosen)
    except BadInputError as error:
        words = f"{name} of {condition.name}: {str(error).removesuffix('.')}"
        ways = "give the experiment results of its own, or delete what is in choices/ to choose anew for all"
        hint = f", by {settings_text(chosen)} ({ways})" if chosen else ""
        raise BadInputError(f"{words}{hint}.") from error
    arrays = {"distances": torch.from_numpy(found.matrix)}
    if found.null is not None:
        arrays["null"] = torch.from_numpy(found.null)
    known = {"metric": config, "version": metric.version, "level": metric.level, "chosen": chosen}
    write_arrays(target, arrays, {"seeds": stored["seeds"]} | known, made_from)
    return True


def _chosen(results: Results, name: str, metric: Metric, condition: Condition) -> Chosen:
    if metric.chosen_by is None:
        return {}
    path = results.choice(name, condition.task_name)
    curve = read_table(path)
    if curve is None:
        raise BadInputError(
            f"{path} must hold the settings of {name}, got no such file: run the analysis again."
        )
    return metric.chosen(curve)
