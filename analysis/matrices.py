"""Matrices: the distance of every pair of networks of a condition, for each metric. One loop serves all."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import groupby

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.results import Results, fingerprint, is_made_from, write_arrays, write_table
from degen.condition import Condition
from degen.errors import require, require_choice, require_integer, require_number
from degen.files import read_metadata, read_tensors
from degen.metrics import dsa, pif, representation
from launch.conditions import Experiment

States = list[dict[str, Tensor]]
"""For each condition what `analysis.activations` stored: `hidden`, `recurrent`, `initial_recurrent`."""


class Metric(ABC):
    """A distance between the networks of a condition, chosen and set in `conf/metric/`."""

    @property
    @abstractmethod
    def level(self) -> str:
        """dynamics, weights or representation."""

    @abstractmethod
    def distances(
        self, states: States, which: Sequence[int]
    ) -> tuple[list[NDArray[np.float64]], pd.DataFrame | None]:
        """Matrices (networks, networks) of some conditions of a task, and what the settings were chosen on.

        Args:
            states: of all conditions of the task: settings are chosen on all.
            which: positions of those whose matrices are computed.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class DSA(Metric):
    """Dynamical similarity analysis, with components, lag and rank chosen once for a task.

    Args:
        score: angular, frobenius, normalized or wasserstein.
        lowest_lag, highest_lag: delay lags tried, both included.
        ranks: operator sizes tried.
        variance: share of variance that the principal components hold.
        held_out: share of the probe's trials on which the choice is made.
        seed: of the random starts.
    """

    score: str
    lowest_lag: int
    highest_lag: int
    ranks: list[int]
    variance: float
    held_out: float
    seed: int

    def __post_init__(self) -> None:
        require_choice("metrics.dsa.score", self.score, dsa.SCORES)
        require_integer("metrics.dsa.lowest_lag", self.lowest_lag, 1)
        require_integer("metrics.dsa.highest_lag", self.highest_lag, self.lowest_lag)
        listed = isinstance(self.ranks, list) and len(self.ranks) > 0
        require(listed, "metrics.dsa.ranks", self.ranks, "a list of at least one size")
        for rank in self.ranks:
            require_integer("metrics.dsa.ranks", rank, 1)
        require_number("metrics.dsa.variance", self.variance, above=0.0, maximum=1.0)
        require_number("metrics.dsa.held_out", self.held_out, above=0.0, maximum=0.9)
        require_integer("metrics.dsa.seed", self.seed, 0)

    @property
    def level(self) -> str:
        return "dynamics"

    def distances(
        self, states: States, which: Sequence[int]
    ) -> tuple[list[NDArray[np.float64]], pd.DataFrame | None]:
        networks = [network for condition in states for network in condition["hidden"]]
        choice = dsa.choose(
            networks,
            lags=range(self.lowest_lag, self.highest_lag + 1),
            ranks=self.ranks,
            variance=self.variance,
            held_out=self.held_out,
        )
        operators = [dsa.operators(states[i]["hidden"], choice.settings) for i in which]
        matrices = [dsa.distance_matrix(group, score=self.score, seed=self.seed) for group in operators]
        chosen = dataclasses.asdict(choice.settings)
        curve = choice.curve.assign(
            n_components=chosen["n_components"],
            chosen=(choice.curve["lag"] == chosen["lag"]) & (choice.curve["rank"] == chosen["rank"]),
        )
        return matrices, curve


@dataclasses.dataclass(frozen=True, kw_only=True)
class PIF(Metric):
    """Permutation-invariant Frobenius distance of recurrent matrices, or the same without alignment.

    Args:
        weights: recurrent (trained) or initial_recurrent.
        normalization: frobenius, parameters or relative.
        aligned: minimize over permutations of units.
        seed: of the random starts.
    """

    weights: str
    normalization: str
    aligned: bool
    seed: int

    def __post_init__(self) -> None:
        require_choice("metrics.pif.weights", self.weights, ("recurrent", "initial_recurrent"))
        require_choice("metrics.pif.normalization", self.normalization, pif.NORMALIZATIONS)
        require(isinstance(self.aligned, bool), "metrics.pif.aligned", self.aligned, "true or false")
        require_integer("metrics.pif.seed", self.seed, 0)

    @property
    def level(self) -> str:
        return "weights"

    def distances(
        self, states: States, which: Sequence[int]
    ) -> tuple[list[NDArray[np.float64]], pd.DataFrame | None]:
        groups = [states[i][self.weights] for i in which]
        if self.aligned:
            matrices = [
                pif.distance_matrix(group, seed=self.seed, normalization=self.normalization)
                for group in groups
            ]
        else:
            matrices = [
                pif.unaligned_distance_matrix(group, normalization=self.normalization) for group in groups
            ]
        return matrices, None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SVCCA(Metric):
    """1 - SVCCA of hidden states, time steps of all trials as samples.

    Args:
        variance: share of variance kept.
    """

    variance: float

    def __post_init__(self) -> None:
        require_number("metrics.svcca.variance", self.variance, above=0.0, maximum=1.0)

    @property
    def level(self) -> str:
        return "representation"

    def distances(
        self, states: States, which: Sequence[int]
    ) -> tuple[list[NDArray[np.float64]], pd.DataFrame | None]:
        samples = [states[i]["hidden"].flatten(1, 2) for i in which]
        return [representation.svcca(group, variance=self.variance) for group in samples], None


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
    made_from = fingerprint(config, [read_metadata(source)["sha256"] for source in sources])
    targets = [results.matrix(name, condition.signature) for condition in conditions]
    which = [
        i
        for i, condition in enumerate(conditions)
        if only in (None, condition.signature) and not is_made_from(targets[i], made_from)
    ]
    if not which:
        return False
    stored = [read_tensors(source) for source in sources]
    found, curve = metric.distances([arrays for arrays, _ in stored], which)
    if curve is not None:
        targets[0].parent.mkdir(parents=True, exist_ok=True)
        write_table(results.choice(name, conditions[0].task_name), curve, made_from)
    for i, distances in zip(which, found, strict=True):
        arrays = {"distances": torch.from_numpy(distances)}
        metadata = {"seeds": stored[i][1]["seeds"], "metric": config, "level": metric.level}
        write_arrays(targets[i], arrays, metadata, made_from)
    return True
