"""The metrics that an analysis can compute, each a `_target_` in `conf/metric/` with its settings."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from degen.errors import require, require_choice, require_integer, require_number
from degen.metrics import dsa, pif, representation

States = list[dict[str, Tensor]]
"""For each condition what `analysis.activations` stored, by the names of `analysis.activations.ARRAYS`."""


@dataclasses.dataclass(frozen=True)
class Distances:
    """What a metric finds for conditions of a task.

    Attributes:
        matrices: of each that was asked for, (networks, networks).
        null: likewise, (networks,), the distance of each network from itself on other trials.
        curve: what the settings were chosen on.
    """

    matrices: list[NDArray[np.float64]]
    null: list[NDArray[np.float64]] | None = None
    curve: pd.DataFrame | None = None


class Metric(ABC):
    """A distance between the networks of a condition, chosen and set in `conf/metric/`.

    Attributes:
        version: raised with every change of what is found, so that stored matrices are computed anew.
    """

    version: ClassVar[int] = 1

    @property
    @abstractmethod
    def level(self) -> str:
        """dynamics, weights or representation."""

    @abstractmethod
    def distances(self, states: States, which: Sequence[int]) -> Distances:
        """The matrices of conditions of a task.

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
        controlled: fit the effect of the inputs apart and align it too, so that the drive, which all networks
            of a task share, is not taken for their dynamics. Settings are chosen as without.
        seed: of the random starts.
    """

    score: str
    lowest_lag: int
    highest_lag: int
    ranks: list[int]
    variance: float
    held_out: float
    controlled: bool
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
        require(isinstance(self.controlled, bool), "metrics.dsa.controlled", self.controlled, "true or false")
        aligned = self.score != "wasserstein" or not self.controlled
        require(aligned, "metrics.dsa.score", self.score, "one with an alignment where controlled is true")
        require_integer("metrics.dsa.seed", self.seed, 0)

    @property
    def level(self) -> str:
        return "dynamics"

    def distances(self, states: States, which: Sequence[int]) -> Distances:
        networks = [network for condition in states for network in condition["hidden"]]
        choice = dsa.choose(
            networks,
            lags=range(self.lowest_lag, self.highest_lag + 1),
            ranks=self.ranks,
            variance=self.variance,
            held_out=self.held_out,
        )
        chosen = dataclasses.asdict(choice.settings)
        curve = choice.curve.assign(
            n_components=chosen["n_components"],
            chosen=(choice.curve["lag"] == chosen["lag"]) & (choice.curve["rank"] == chosen["rank"]),
        )
        wanted = [states[i] for i in which]
        matrices = [self._matrix(condition, choice.settings) for condition in wanted]
        null = [
            dsa.null_distances(
                condition["hidden"],
                choice.settings,
                score=self.score,
                seed=self.seed,
                inputs=condition["inputs"] if self.controlled else None,
            )
            for condition in wanted
        ]
        return Distances(matrices, null, curve)

    def _matrix(self, condition: dict[str, Tensor], settings: dsa.Settings) -> NDArray[np.float64]:
        if not self.controlled:
            operators = dsa.operators(condition["hidden"], settings)
            return dsa.distance_matrix(operators, score=self.score, seed=self.seed)
        operators, maps = dsa.controlled_operators(condition["hidden"], condition["inputs"], settings)
        return dsa.distance_matrix(operators, score=self.score, seed=self.seed, input_maps=maps)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PIF(Metric):
    """Permutation-invariant Frobenius distance of recurrent matrices, or the same without alignment.

    Other normalizations divide it by what alignment does not change (`analysis.measures`).

    Args:
        weights: recurrent (trained) or initial_recurrent.
        aligned: minimize over permutations of units.
        seed: of the random starts.
    """

    weights: str
    aligned: bool
    seed: int

    def __post_init__(self) -> None:
        require_choice("metrics.pif.weights", self.weights, ("recurrent", "initial_recurrent"))
        require(isinstance(self.aligned, bool), "metrics.pif.aligned", self.aligned, "true or false")
        require_integer("metrics.pif.seed", self.seed, 0)

    @property
    def level(self) -> str:
        return "weights"

    def distances(self, states: States, which: Sequence[int]) -> Distances:
        groups = [states[i][self.weights] for i in which]
        if self.aligned:
            return Distances([pif.distance_matrix(group, seed=self.seed) for group in groups])
        return Distances([pif.unaligned_distance_matrix(group) for group in groups])


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

    def distances(self, states: States, which: Sequence[int]) -> Distances:
        samples = [states[i]["hidden"].flatten(1, 2) for i in which]
        return Distances([representation.svcca(group, variance=self.variance) for group in samples])
