"""Comparison of groups of networks: distances of all pairs, degeneracy of each group, group differences."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from degen.comparison.measure import Measure
from degen.comparison.metrics import METRICS, Data, naming
from degen.comparison.networks import Groups, Network, to_networks
from degen.comparison.notes import find_notes
from degen.comparison.result import Comparison
from degen.errors import BadInputError, require, require_choice, require_integer
from degen.metrics import dsa
from degen.metrics.arrays import Array


def compare(
    hidden: Groups,
    *,
    weights: Groups | None = None,
    inputs: Array | None = None,
    losses: Mapping[str, Any] | None = None,
    metrics: Sequence[str] | None = None,
    hyperparameters: dsa.Hyperparameters | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare groups of networks at each level of degeneracy.

    Distances are computed for all pairs of networks, within groups and between them. Hyperparameters of DSA
    are selected on all networks together. Networks may differ in size. DSA also compares networks with
    different trials, such as recordings.

    Args:
        hidden: for each group the hidden states, as an array (networks, trials, time, units) or a list of
            arrays (trials, time, units). A group may have one network.
        weights: recurrent weights of some groups, (networks, units, units), of one size for all networks.
            Needed for `pif`.
        inputs: inputs of the trials, (trials, time, inputs), which all networks share. Needed for
            `input_dsa`.
        losses: losses of some groups, (networks,), for example on out-of-distribution trials. Needed for
            `losses`.
        metrics: names of metrics: dsa, input_dsa, svcca, pif, losses. By default every metric that the
            arguments allow.
        hyperparameters: hyperparameters of DSA, None to select them.
        seed: seed of initializations, bootstrap samples and permutations.

    Raises:
        BadInputError: an argument has another shape, is not finite, names an unknown group or metric, or
            does not allow a requested metric. The message names the network.

    Examples:
        >>> import numpy as np
        >>> random = np.random.default_rng(0)
        >>> slow, fast = (0.1 * random.standard_normal((2, 5, 40, 30, 4)))
        >>> for t in range(1, 30):
        ...     slow[:, :, t] += 0.95 * slow[:, :, t - 1]
        ...     fast[:, :, t] += 0.2 * fast[:, :, t - 1]
        >>> result = compare({"slow": slow, "fast": fast}, metrics=["dsa"])
        >>> result.measures["dsa"].distances.shape
        (10, 10)
        >>> result.differences()["p"].item() < 0.02
        True
    """
    networks = to_networks(hidden, weights, losses, inputs)
    return compare_networks(
        networks,
        metrics=metrics,
        required=("input_dsa", "pif", "losses"),
        hyperparameters=hyperparameters,
        seed=seed,
    )


def compare_networks(
    networks: Sequence[Network],
    *,
    metrics: Sequence[str] | None = None,
    required: Collection[str] = (),
    hyperparameters: dsa.Hyperparameters | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare networks that have their group, as `compare` compares arrays.

    Args:
        networks: networks of all groups.
        metrics: names of metrics, None for every metric that the networks allow.
        required: metrics that must be possible if `metrics` is None and a network has what they need. Others
            are skipped if impossible.
        hyperparameters: hyperparameters of DSA, None to select them.
        seed: seed of initializations, bootstrap samples and permutations.

    Raises:
        BadInputError: there are fewer than two networks, or a requested metric is impossible.
    """
    require_integer("seed", seed, 0)
    require(len(networks) >= 2, "number of networks", len(networks), "at least 2 to compute a distance")
    possible, skipped = _select_metrics(networks, metrics, required)
    if hyperparameters is not None:
        _require_possible(hyperparameters, networks)
    data = Data(networks, hyperparameters, seed)
    measures = {}
    for name in possible:
        members = [network for network in networks if METRICS[name].applies_to(network)]
        with naming(members):
            distances, baselines = METRICS[name].measure(members, data)
        measures[name] = Measure.from_distances(METRICS[name], members, distances, baselines, seed)
    groups = {network.group: sum(other.group == network.group for other in networks) for network in networks}
    used = data.hyperparameters if {"dsa", "input_dsa"} & measures.keys() else None
    return Comparison(measures, skipped, groups, used, find_notes(networks, measures))


def require_metrics(metrics: Sequence[str] | None) -> None:
    """Raise `BadInputError` unless `metrics` is None or a list of names of metrics."""
    names = ", ".join(METRICS)
    if isinstance(metrics, str):
        raise BadInputError(f"metrics must be a list of {names}, such as ['dsa'], got {metrics!r}.")
    for name in metrics or ():
        require_choice("metrics", name, tuple(METRICS))
    require(metrics is None or len(metrics) > 0, "metrics", metrics, f"one or more of {names}")


def _require_possible(hyperparameters: dsa.Hyperparameters, networks: Sequence[Network]) -> None:
    """Raise `BadInputError` if a network is too small or its trials too short for the hyperparameters."""
    is_allowed = isinstance(hyperparameters, dsa.Hyperparameters)
    allowed = "dsa.Hyperparameters(n_components=..., lag=..., rank=...) of degen.metrics"
    require(is_allowed, "hyperparameters", hyperparameters, allowed)
    n_components, lag = hyperparameters.n_components, hyperparameters.lag
    for network in networks:
        _, time, units = network.hidden.shape
        allowed = f"at most the {units} units of {network.name}"
        require(n_components <= units, "n_components", n_components, allowed)
        require(lag < time, "lag", lag, f"below the {time} time steps of {network.name}")


def _select_metrics(
    networks: Sequence[Network], metrics: Sequence[str] | None, required: Collection[str]
) -> tuple[list[str], dict[str, str]]:
    """Return the metrics to compute, and why others are skipped although networks have what they need."""
    require_metrics(metrics)
    possible, skipped = [], {}
    for name in METRICS if metrics is None else dict.fromkeys(metrics):
        metric = METRICS[name]
        members = [network for network in networks if metric.applies_to(network)]
        if not members and metrics is None:
            continue
        if len(members) < 2:
            obstacle = f"{metric.needs} must be given for at least 2 networks, got {len(members)}."
        else:
            obstacle = metric.obstacle(members)
        if not obstacle:
            possible.append(name)
        elif metrics is not None or name in required:
            raise BadInputError(f"metric {name}: {obstacle}")
        else:
            skipped[name] = obstacle
    return possible, skipped
