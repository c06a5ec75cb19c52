"""Distance matrices of the networks of two levels of a factor together."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from analysis.cache import Arrays, cached, fingerprint
from analysis.metrics import Hyperparameters, Metric, States
from analysis.results import ResultsFolder
from analysis.steps.distances import read_hyperparameters
from analysis.trends.level_pairs import LevelPair
from degen.errors import BadInputError, require
from degen.files import read_metadata, read_tensors
from degen.statistics.jackknife import Array
from launch.provenance import source_digests


class LevelDistances(NamedTuple):
    """Distances between the networks of two levels.

    Attributes:
        matrix: pairwise distances, (networks, networks), or None if the metric cannot compare the levels.
        seeds: seeds of the networks of each level. Those of the first level come first in the matrix.
        hyperparameters: those of the metric.
        left_out: why there is no matrix.
    """

    matrix: Array | None
    seeds: tuple[list[int], list[int]]
    hyperparameters: Hyperparameters
    left_out: str = ""


def load_or_compute(
    results: ResultsFolder, name: str, config: dict[str, Any], metric: Metric, pair: LevelPair
) -> LevelDistances:
    """Return the distances between all networks of two levels. They are computed if they are not stored.

    Both levels have the hyperparameters that were selected for all networks of their task.

    Args:
        name: name of the metric.
        config: complete configuration of the metric.
    """
    try:
        # Conditions of a pair have one task, and therefore the same hyperparameters.
        selected = read_hyperparameters(results, name, metric, pair.data[0].condition)
    except BadInputError as error:
        return LevelDistances(None, ([], []), {}, str(error))
    path = results.between_distances(name, *pair.signatures)
    checksums = [read_metadata(results.activations(signature))["sha256"] for signature in pair.signatures]
    code = source_digests(config).values()  # of a metric of the user
    key = fingerprint(config, metric.version, selected, checksums, *code)
    cached(path, key, functools.partial(_compute, results, metric, selected, pair))
    tensors, metadata = read_tensors(path)
    matrix = tensors["distances"].numpy() if "distances" in tensors else None
    return LevelDistances(matrix, tuple(metadata["seeds"]), selected, metadata["left_out"])


def _compute(
    results: ResultsFolder, metric: Metric, hyperparameters: Hyperparameters, pair: LevelPair
) -> Arrays:
    stored = [read_tensors(results.activations(signature)) for signature in pair.signatures]
    first = slice(metric.max_networks)
    states = [
        {name: array if name == "inputs" else array[first] for name, array in arrays.items()}
        for arrays, _ in stored
    ]
    metadata: dict[str, Any] = {"seeds": [described["seeds"][first] for _, described in stored]}
    try:
        matrix = metric.matrix(_join(pair, metric, *states), hyperparameters)
    except BadInputError as error:
        return Arrays({}, metadata | {"left_out": str(error)})
    return Arrays({"distances": torch.from_numpy(matrix)}, metadata | {"left_out": ""})


class _JoinedStates(dict[str, Tensor]):
    """Arrays of the networks of two conditions, without those that cannot be joined."""

    def __missing__(self, name: str) -> Tensor:
        raise BadInputError(f"{name} weights must have one layout to be compared, got two layouts.")


def _join(pair: LevelPair, metric: Metric, first: States, second: States) -> States:
    """Return the arrays of the networks of both conditions, those of the first condition first.

    Networks with fewer units are padded with silent units. Recurrent weights are missing if their layouts
    differ.

    Raises:
        BadInputError: networks of the two conditions receive different inputs, or the metric compares weights
            whose layouts differ.
    """
    is_equal = torch.equal(first["inputs"], second["inputs"])
    require(is_equal, "inputs of the two levels", "different inputs", "equal to compare their networks")
    models = [data.condition.model for data in pair.data]
    shapes = [tuple(states["recurrent"].shape[1:]) for states in (first, second)]
    # Matrices of different gated cells belong to different gates.
    has_gates = shapes[0][0] > shapes[0][1]
    is_one_layout = shapes[0] == shapes[1] and (not has_gates or type(models[0]) is type(models[1]))
    names = [type(model).__name__ for model in models]
    allowed = f"of one layout to be compared, which {names[0]} and {names[1]} networks do not have"
    require(is_one_layout or metric.level != "weights", "recurrent matrices", shapes, allowed)
    width = max(states["hidden"].shape[-1] for states in (first, second))
    hidden = [pad(states["hidden"], (0, width - states["hidden"].shape[-1])) for states in (first, second)]
    weights = ("recurrent", "initial_recurrent") if is_one_layout else ()
    joined = {name: torch.cat([first[name], second[name]]) for name in weights}
    return _JoinedStates(joined, hidden=torch.cat(hidden), inputs=first["inputs"])
