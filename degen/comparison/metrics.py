"""Metrics of a comparison, and the reasons why a metric cannot be applied to given networks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degen.comparison.networks import Network
from degen.errors import BadInputError
from degen.metrics import dsa, pif, representation

Measured = tuple[NDArray[np.float64], NDArray[np.float64] | None]


@dataclasses.dataclass(frozen=True)
class Data:
    """Networks and settings of a comparison.

    Attributes:
        networks: networks of all groups.
        given: hyperparameters of DSA, or None to select them on all networks together.
        seed: seed of the random initializations of the metrics.
    """

    networks: Sequence[Network]
    given: dsa.Hyperparameters | None
    seed: int

    @cached_property
    def hyperparameters(self) -> dsa.Hyperparameters:
        """Hyperparameters of DSA, which all networks share."""
        if self.given is not None:
            return self.given
        hidden = [network.hidden for network in self.networks]
        shortest = min(states.shape[1] for states in hidden)
        # Half of the shortest trial at most: all candidates are fitted on the steps after the longest lag.
        lags = range(1, min(30, shortest // 2) + 1)
        return dsa.select_hyperparameters(hidden, lags=lags).hyperparameters


@dataclasses.dataclass(frozen=True)
class Metric:
    """A distance between networks.

    Attributes:
        label: name in tables and figures.
        level: level of degeneracy.
        needs: what the metric needs of a network.
        applies_to: whether a network has it.
        obstacle: returns why the metric cannot be applied to networks together, empty if it can.
        measure: computes distances (networks, networks) and split-half baselines (networks,) or None, of the
            networks that the metric applies to.
    """

    label: str
    level: str
    needs: str
    applies_to: Callable[[Network], bool]
    obstacle: Callable[[Sequence[Network]], str]
    measure: Callable[[Sequence[Network], Data], Measured]


def _measure_dsa(networks: Sequence[Network], data: Data) -> Measured:
    halves = zip(*map(_halves, networks), strict=True)
    first, second = (dsa.operators(half, data.hyperparameters) for half in halves)
    baselines = dsa.half_distances(first, second, seed=data.seed).within
    operators = dsa.operators([network.hidden for network in networks], data.hyperparameters)
    return dsa.distance_matrix(operators, seed=data.seed), baselines


def _measure_input_dsa(networks: Sequence[Network], data: Data) -> Measured:
    hidden, inputs = [network.hidden for network in networks], _inputs(networks[0])
    (first, first_maps), (second, second_maps) = (
        dsa.controlled_operators([states[half] for states in hidden], inputs[half], data.hyperparameters)
        for half in dsa.matched_halves(inputs)
    )
    maps = first_maps, second_maps
    baselines = dsa.half_distances(first, second, seed=data.seed, input_maps=maps).within
    operators, input_maps = dsa.controlled_operators(hidden, inputs, data.hyperparameters)
    return dsa.distance_matrix(operators, seed=data.seed, input_maps=input_maps), baselines


def _halves(network: Network) -> tuple[Tensor, Tensor]:
    """Return the hidden states of two halves of the trials, which have similar inputs if these are given."""
    if network.inputs is None:
        return network.hidden[::2], network.hidden[1::2]
    first, second = dsa.matched_halves(network.inputs)
    return network.hidden[first], network.hidden[second]


def _measure_svcca(networks: Sequence[Network], data: Data) -> Measured:
    return representation.svcca([network.hidden for network in networks]), None


def _measure_pif(networks: Sequence[Network], data: Data) -> Measured:
    weights = [_weights(network) for network in networks]
    # The matrices of gates are below each other.
    stacks = [matrix.unflatten(0, (-1, matrix.shape[1])) for matrix in weights]
    return pif.distance_matrix(stacks, seed=data.seed), None


def _measure_losses(networks: Sequence[Network], data: Data) -> Measured:
    losses = np.array([network.loss for network in networks], dtype=np.float64)
    return np.abs(np.subtract.outer(losses, losses)), None


def _no_obstacle(networks: Sequence[Network]) -> str:
    return ""


def _input_obstacle(networks: Sequence[Network]) -> str:
    first = networks[0]
    for network in networks:
        if not torch.equal(_inputs(network), _inputs(first)):
            names = f"{network.name} and {first.name}"
            return f"inputs must be equal for all networks, got different inputs for {names}."
    return ""


def _inputs(network: Network) -> Tensor:
    assert network.inputs is not None  # `_has_inputs`
    return network.inputs


def _weights(network: Network) -> Tensor:
    assert network.recurrent is not None  # `_has_weights`
    return network.recurrent


def _trial_obstacle(networks: Sequence[Network]) -> str:
    first = networks[0]
    for network in networks:
        if network.hidden.shape[:2] != first.hidden.shape[:2]:
            return (
                f"trials and time steps must be equal for all networks, because the metric pairs them, got "
                f"{tuple(first.hidden.shape[:2])} for {first.name} and {tuple(network.hidden.shape[:2])} for "
                f"{network.name}."
            )
    return ""


def _weight_obstacle(networks: Sequence[Network]) -> str:
    shapes = [(network.name, tuple(_weights(network).shape)) for network in networks]
    first_name, first = shapes[0]
    for name, shape in shapes:
        if min(shape) == 0 or shape[0] % shape[1]:
            return (
                f"recurrent weights of {name} must be of shape (units, units) or (gates * units, units), got "
                f"shape {shape}."
            )
        if shape != first:
            return (
                f"recurrent weights must be of one size for all networks, got {first} for {first_name} and "
                f"{shape} for {name}."
            )
    return ""


def _has_hidden(network: Network) -> bool:
    return True


def _has_inputs(network: Network) -> bool:
    return network.inputs is not None


def _has_weights(network: Network) -> bool:
    return network.recurrent is not None


def _has_loss(network: Network) -> bool:
    return network.loss is not None


METRICS = {
    "dsa": Metric("DSA", "dynamics", "hidden states", _has_hidden, _no_obstacle, _measure_dsa),
    "input_dsa": Metric("input DSA", "dynamics", "inputs", _has_inputs, _input_obstacle, _measure_input_dsa),
    "svcca": Metric(
        "1 - SVCCA", "representation", "hidden states", _has_hidden, _trial_obstacle, _measure_svcca
    ),
    "pif": Metric("PIF", "weights", "recurrent weights", _has_weights, _weight_obstacle, _measure_pif),
    "losses": Metric("losses", "behavior", "losses", _has_loss, _no_obstacle, _measure_losses),
}
"""All metrics by name. The distance of losses is their absolute difference."""


@contextmanager
def naming(networks: Sequence[Network]) -> Iterator[None]:
    """Replace the positions of networks in messages of metrics by names."""
    try:
        yield
    except BadInputError as error:
        message = re.sub(r"network (\d+)\b", lambda match: networks[int(match[1])].name, str(error))
        raise BadInputError(message) from error
