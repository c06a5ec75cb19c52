"""Hyperparameter selection: hyperparameters of a metric for the networks of a task.

An experiment selects hyperparameters on its own networks, before any distance is known. Experiments that are
to be compared share a selection on the networks of all of them (`share_hyperparameters`). Later analyses
reuse the stored selection. The selection is repeated only if the new analysis contains all networks used
before that still exist, and some networks were added or retrained. Other candidates or another probe give a
separate selection. Each experiment has a copy of the selection that its distances were computed with.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from torch import Tensor

from analysis.cache import cached, fingerprint, read_table, require_table
from analysis.metrics import Hyperparameters, Metric
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.trials import TrialSet
from degen.errors import BadInputError
from degen.files import read_entry, read_metadata
from launch.experiment import Experiment

Networks = dict[str, dict[str, Any]]
"""Seeds of networks and the fingerprint of their activations, by condition signature."""

logger = logging.getLogger(__name__)


class AnalyzedExperiment(NamedTuple):
    """An experiment whose activations are stored."""

    experiment: Experiment
    results: ResultsFolder


def select_hyperparameters(
    experiments: Sequence[AnalyzedExperiment],
    metrics: Mapping[str, tuple[dict[str, Any], Metric]],
    probe: TrialSet,
    targets: Sequence[ResultsFolder],
    *,
    shares: bool,
) -> list[BadInputError]:
    """Select and store hyperparameters for every metric and every task of the experiments.

    If a selection fails, its copies are deleted, because distances cannot be computed.

    Args:
        metrics: complete configuration and metric, by name.
        probe: trials on which the activations were computed.
        targets: results folders that receive a copy.
        shares: whether the experiments share one selection. Otherwise each target selects on its own.

    Returns:
        The reasons of failed selections.
    """
    if not shares:
        own = [analyzed for analyzed in experiments if analyzed.results in targets]
        return [
            error
            for analyzed in own
            for error in _select([analyzed], metrics, probe, [analyzed.results], is_shared=False)
        ]
    return _select(experiments, metrics, probe, targets, is_shared=True)


def _select(
    experiments: Sequence[AnalyzedExperiment],
    metrics: Mapping[str, tuple[dict[str, Any], Metric]],
    probe: TrialSet,
    targets: Sequence[ResultsFolder],
    *,
    is_shared: bool,
) -> list[BadInputError]:
    """Select and store the hyperparameters of experiments that share them."""
    errors = []
    for name, (config, metric) in metrics.items():
        if metric.selection_options is not None:
            by_task = list(_activations_by_task(experiments).items())
            for task, activations in track(f"hyperparameters: {name}", by_task, unit="tasks"):
                folders = [
                    analyzed.results for analyzed in experiments if task in _tasks(analyzed.experiment)
                ]
                copies = [folder.hyperparameters(name, task) for folder in folders if folder in targets]
                path, options = _selection(config, metric, probe, task, folders[0], is_shared)
                try:
                    curve = _load_or_select(path, options, metric, activations, folders[0])
                except BadInputError as error:
                    logger.info("not selected: %s of %s, %s", name, task, error)
                    errors.append(error)
                    _delete(copies)
                else:
                    _copy(curve, copies)
                    selected = format_hyperparameters(metric.selected(curve))
                    basis = _basis(curve, activations, path)
                    logger.info("hyperparameters: %s of %s, %s, %s", name, task, selected, basis)
                    for warning in curve.attrs["warnings"]:
                        logger.warning("hyperparameters: %s of %s: %s", name, task, warning)
    return errors


def _selection(
    config: Mapping[str, Any],
    metric: Metric,
    probe: TrialSet,
    task: str,
    results: ResultsFolder,
    is_shared: bool,
) -> tuple[Path, str]:
    """Return the path of a selection, and the fingerprint of the options that it depends on.

    Metrics of a class share selections: input_dsa and dsa select in the same way.
    """
    target = config["_target_"]
    options = fingerprint(target, metric.version, metric.selection_options, dataclasses.asdict(probe))
    metric_class = target.rpartition(".")[2].lower()
    return results.selection(metric_class, task, options, is_shared), options


def _copy(curve: pd.DataFrame, paths: Sequence[Path]) -> None:
    for path in paths:
        cached(path, curve.attrs["fingerprint"], lambda: curve)


def _delete(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def format_hyperparameters(hyperparameters: Hyperparameters) -> str:
    """Format hyperparameters for a reader."""
    return ", ".join(f"{name} {value}" for name, value in hyperparameters.items())


def _tasks(experiment: Experiment) -> set[str]:
    return {condition.task_name for condition in experiment.conditions}


def _basis(curve: pd.DataFrame, activations: dict[str, Path], path: Path) -> str:
    """Describe the networks that a selection is based on, and those of this analysis that it ignores."""
    used: Networks = curve.attrs["networks"]
    n_used = sum(len(networks["seeds"]) for networks in used.values())
    n_ignored = sum(
        len(set(networks["seeds"]) - set(used.get(signature, {"seeds": []})["seeds"]))
        for signature, networks in _read_networks(activations).items()
    )
    notice = f" (without {n_ignored} of these: delete {path} to select again)" if n_ignored else ""
    return f"on {n_used} networks{notice}"


def _load_or_select(
    path: Path, options: str, metric: Metric, activations: dict[str, Path], results: ResultsFolder
) -> pd.DataFrame:
    """Return the stored selection, or select and store it."""
    networks = _read_networks(activations)
    stored = read_table(path)
    if stored is not None and "networks" not in stored.attrs:
        allowed = "a selection that the analysis wrote"
        raise BadInputError(f"{path} must be {allowed}, got another table; delete it.")
    if stored is not None and not _contains(networks, stored.attrs["networks"], results):
        return stored

    def select() -> pd.DataFrame:
        curve = metric.select(LazyActivations(list(activations.values())))
        needed = iter(curve.attrs.pop("components_needed"))
        curve.attrs["networks"] = {
            signature: entry | {"components_needed": [next(needed) for _ in entry["seeds"]]}
            for signature, entry in networks.items()
        }
        return curve

    cached(path, fingerprint(options, networks), select)
    return require_table(path)


def _contains(networks: Networks, used: Networks, results: ResultsFolder) -> bool:
    """Return whether networks include all networks that a selection used and that still exist."""
    existing = _existing_networks(results)
    return all(
        {seed for seed in of_condition["seeds"] if (signature, seed) in existing}
        <= set(networks.get(signature, {"seeds": []})["seeds"])
        for signature, of_condition in used.items()
    )


def _activations_by_task(experiments: Sequence[AnalyzedExperiment]) -> dict[str, dict[str, Path]]:
    """Return the activations of every condition once, by task and condition signature."""
    paths: dict[str, dict[str, Path]] = {}
    for experiment, results in experiments:
        for condition in experiment.conditions:
            of_task = paths.setdefault(condition.task_name, {})
            of_task.setdefault(condition.signature, results.activations(condition.signature))
    # Sorted, so that sums over networks do not depend on the order of the experiments.
    return {task: dict(sorted(of_task.items())) for task, of_task in paths.items()}


def _read_networks(activations: dict[str, Path]) -> Networks:
    """Return the networks of activations, by condition signature."""
    stored = {signature: read_metadata(path) for signature, path in activations.items()}
    return {
        signature: {"seeds": metadata["seeds"], "fingerprint": metadata["fingerprint"]}
        for signature, metadata in stored.items()
    }


def _existing_networks(results: ResultsFolder) -> set[tuple[str, int]]:
    """Return condition and seed of the converged networks in the tables of all experiments.

    Activations do not tell: they may be deleted.
    """
    existing: set[tuple[str, int]] = set()
    for path in [*results.in_other_experiments(results.networks), results.networks]:
        table = read_table(path)
        if table is not None:
            converged = table[table["status"] == "converged"]
            existing |= set(zip(converged["condition"], converged["seed"].astype(int), strict=True))
    return existing


class LazyActivations(Sequence[Tensor]):
    """Hidden states (trials, time, units) of every network in files of activations.

    Each array is read when it is accessed: the arrays of a task may exceed the memory.
    """

    def __init__(self, paths: Sequence[Path]):
        self.entries = [(path, i) for path in paths for i in range(len(read_metadata(path)["seeds"]))]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: Any) -> Any:
        path, network = self.entries[index]
        return read_entry(path, "hidden", network)
