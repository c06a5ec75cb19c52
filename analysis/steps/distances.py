"""Distance matrices: the distance of every pair of networks of a condition, for each metric."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from analysis.cache import Arrays, cached, fingerprint, read_fingerprint, require_table
from analysis.metrics import Hyperparameters, Metric
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.steps.hyperparameters import format_hyperparameters
from degen.condition import Condition
from degen.errors import BadInputError
from degen.files import read_metadata, read_tensors
from launch.experiment import Experiment
from launch.provenance import source_digests

MIN_BASELINE_RATIO = 2.0
"""Ratio of distances to their split-half baseline below which the analysis warns."""

logger = logging.getLogger(__name__)


def compute_distances(
    experiment: Experiment,
    results: ResultsFolder,
    metrics: Mapping[str, tuple[dict[str, Any], Metric]],
    signature: str | None = None,
) -> list[BadInputError]:
    """Store the distance matrices of every condition for each metric, with the selected hyperparameters.

    If a metric cannot measure a condition, the other metrics are still computed.

    Args:
        metrics: name to the complete configuration and the metric.
        signature: signature of the only condition to compute, None for all.

    Returns:
        One error for each condition that a metric could not measure.
    """
    conditions = [c for c in experiment.conditions if signature in (None, c.signature)]
    errors: list[BadInputError] = []
    for name, (config, metric) in metrics.items():
        n_measured = n_computed = 0
        for condition in track(f"distances: {name}", conditions):
            try:
                n_computed += _store_matrix(results, name, config, metric, condition)
                n_measured += 1
                _warn_near_baseline(name, condition, results.matrix(name, condition.signature))
            except BadInputError as error:
                # A matrix of other settings must not be taken for one of this analysis.
                results.matrix(name, condition.signature).unlink(missing_ok=True)
                logger.info("not measured: %s of %s, %s", name, condition.name, error)
                errors.append(error)
        logger.info("distances: %s of %d conditions, %d of them new", name, n_measured, n_computed)
    return errors


def _store_matrix(
    results: ResultsFolder, name: str, config: dict[str, Any], metric: Metric, condition: Condition
) -> bool:
    """Store a matrix and return whether it was computed, rather than stored here or in another experiment."""
    target = results.matrix(name, condition.signature)
    activations = results.activations(condition.signature)
    hyperparameters = read_hyperparameters(results, name, metric, condition)
    checksum = read_metadata(activations)["sha256"]
    code = source_digests(config).values()  # of a metric of the user
    key = fingerprint(config, metric.version, hyperparameters, checksum, *code)
    if read_fingerprint(target) != key:
        copy = _find_copy(results, target, key)
        if copy is not None:
            cached(target, key, lambda: copy)

    def compute() -> Arrays:
        try:
            return _compute_matrix(activations, config, metric, hyperparameters)
        except BadInputError as error:
            raise _explain(error, name, condition, hyperparameters) from error

    return cached(target, key, compute)


def _find_copy(results: ResultsFolder, target: Path, key: str) -> Arrays | None:
    """Return the matrix of another experiment that contains the same condition."""
    for path in results.in_other_experiments(target):
        with contextlib.suppress(BadInputError):
            tensors, metadata = read_tensors(path)
            if metadata.pop("fingerprint", None) == key:
                del metadata["sha256"]
                return Arrays(tensors, metadata)
    return None


def _compute_matrix(
    activations: Path, config: dict[str, Any], metric: Metric, hyperparameters: Hyperparameters
) -> Arrays:
    states, stored = read_tensors(activations)
    first = slice(metric.max_networks)
    states = {name: array if name == "inputs" else array[first] for name, array in states.items()}
    distances = metric.distances(states, hyperparameters)
    tensors = {"distances": torch.from_numpy(distances.matrix)}
    if distances.halves is not None:
        tensors["null"] = torch.from_numpy(distances.halves.within)
        tensors["half_distances"] = torch.from_numpy(distances.halves.between)
    metadata = {
        "seeds": stored["seeds"][first],
        "max_networks": metric.max_networks,
        "metric": config,
        "version": metric.version,
        "level": metric.level,
        "variant_of": metric.variant_of,
        "hyperparameters": hyperparameters,
        "baseline_ratio": None if distances.halves is None else distances.halves.baseline_ratio,
    }
    return Arrays(tensors, metadata)


def _warn_near_baseline(name: str, condition: Condition, matrix: Path) -> None:
    """Log a warning if the distances of a condition are below `MIN_BASELINE_RATIO` times the baseline."""
    ratio = read_metadata(matrix)["baseline_ratio"]
    if ratio is not None and ratio < MIN_BASELINE_RATIO:
        message = "%s of %s: distances are %.1f times the split-half baseline, below %g"
        logger.warning(message, name, condition.name, ratio, MIN_BASELINE_RATIO)


def _explain(
    error: BadInputError, name: str, condition: Condition, hyperparameters: Hyperparameters
) -> BadInputError:
    """Add the metric, the condition and the hyperparameters to an error."""
    message = f"{name} of {condition.name}: {str(error).removesuffix('.')}"
    ways = (
        "analyze the experiment without share_hyperparameters, or delete the files in hyperparameters/ to "
        "select again for all experiments"
    )
    hint = f", with {format_hyperparameters(hyperparameters)} ({ways})" if hyperparameters else ""
    return BadInputError(f"{message}{hint}.")


def read_hyperparameters(
    results: ResultsFolder, name: str, metric: Metric, condition: Condition
) -> Hyperparameters:
    """Return the hyperparameters that a metric uses for a condition, empty if it has none to select.

    Raises:
        BadInputError: the selection failed.
    """
    if metric.selection_options is None:
        return {}
    return metric.selected(require_table(results.hyperparameters(name, condition.task_name)))
