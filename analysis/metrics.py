"""The metrics that an analysis can compute, each a `_target_` in `conf/metric/` with its settings."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from degen.errors import require, require_choice, require_integer, require_number
from degen.metrics import dsa, pif, representation

States = dict[str, Tensor]
"""Arrays that `analysis.steps.activations` stores per condition, by the names in `ARRAYS` there."""

Chosen = dict[str, int]
"""What all networks of a task share, by name; empty for most metrics."""


@dataclasses.dataclass(frozen=True)
class Distances:
    """What a metric finds for a condition.

    Attributes:
        matrix: (networks, networks).
        null: (networks,), the distance of each network from itself on other trials.
    """

    matrix: NDArray[np.float64]
    null: NDArray[np.float64] | None = None


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

    @property
    def chosen_by(self) -> dict[str, Any] | None:
        """The configuration on which `choose` depends; None for a metric that has nothing to choose."""
        return None

    def choose(self, hidden: Sequence[Tensor]) -> pd.DataFrame:
        """Choose what all networks of a task share.

        Args:
            hidden: states (trials, time, units) of each, before any distance is known.

        Returns:
            Every candidate, the column `chosen` true for one.

        Raises:
            BadInputError: no candidate fits all networks.
        """
        raise NotImplementedError

    def chosen(self, curve: pd.DataFrame) -> Chosen:
        """The choice in a table of `choose`."""
        raise NotImplementedError

    @abstractmethod
    def distances(self, states: States, chosen: Chosen) -> Distances:
        """The distances of all pairs of networks of a condition."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DSA(Metric):
    """Dynamical similarity analysis, with components, lag and rank chosen once for all networks of a task.

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
        require_choice("score", self.score, dsa.SCORES)
        require_integer("lowest_lag", self.lowest_lag, 1)
        require_integer("highest_lag", self.highest_lag, self.lowest_lag)
        listed = isinstance(self.ranks, list) and len(self.ranks) > 0
        require(listed, "ranks", self.ranks, "a list of at least one size")
        for rank in self.ranks:
            require_integer("ranks", rank, 1)
        require_number("variance", self.variance, above=0.0, maximum=1.0)
        require_number("held_out", self.held_out, above=0.0, maximum=0.9)
        require(isinstance(self.controlled, bool), "controlled", self.controlled, "true or false")
        aligned = self.score != "wasserstein" or not self.controlled
        require(aligned, "score", self.score, "one with an alignment where controlled is true")
        require_integer("seed", self.seed, 0)

    @property
    def level(self) -> str:
        return "dynamics"

    @property
    def chosen_by(self) -> dict[str, Any]:
        names = ("lowest_lag", "highest_lag", "ranks", "variance", "held_out")
        return {name: getattr(self, name) for name in names}

    def choose(self, hidden: Sequence[Tensor]) -> pd.DataFrame:
        selection = dsa.select_hyperparameters(
            hidden,
            lags=range(self.lowest_lag, self.highest_lag + 1),
            ranks=self.ranks,
            variance=self.variance,
            held_out=self.held_out,
        )
        selected, curve = selection.hyperparameters, selection.curve
        is_chosen = (curve["lag"] == selected.lag) & (curve["rank"] == selected.rank)
        return curve.assign(n_components=selected.n_components, chosen=is_chosen)

    def chosen(self, curve: pd.DataFrame) -> Chosen:
        (row,) = curve[curve["chosen"]].to_dict("records")
        return {field.name: int(row[field.name]) for field in dataclasses.fields(dsa.Hyperparameters)}

    def distances(self, states: States, chosen: Chosen) -> Distances:
        hyperparameters, hidden = dsa.Hyperparameters(**chosen), states["hidden"]
        inputs = states["inputs"] if self.controlled else None
        if inputs is None:
            operators, maps = dsa.operators(hidden, hyperparameters), None
        else:
            operators, maps = dsa.controlled_operators(hidden, inputs, hyperparameters)
        # First, for it is soon done, and half of the trials may lack the rank.
        null = dsa.null_distances(hidden, hyperparameters, score=self.score, seed=self.seed, inputs=inputs)
        matrix = dsa.distance_matrix(operators, score=self.score, seed=self.seed, input_maps=maps)
        return Distances(matrix, null)


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
        require_choice("weights", self.weights, ("recurrent", "initial_recurrent"))
        require(isinstance(self.aligned, bool), "aligned", self.aligned, "true or false")
        require_integer("seed", self.seed, 0)

    @property
    def level(self) -> str:
        return "weights"

    def distances(self, states: States, chosen: Chosen) -> Distances:
        weights = states[self.weights]
        if self.aligned:
            return Distances(pif.distance_matrix(weights, seed=self.seed))
        return Distances(pif.unaligned_distance_matrix(weights))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SVCCA(Metric):
    """1 - SVCCA of hidden states, time steps of all trials as samples.

    Args:
        variance: share of variance kept.
    """

    variance: float

    def __post_init__(self) -> None:
        require_number("variance", self.variance, above=0.0, maximum=1.0)

    @property
    def level(self) -> str:
        return "representation"

    def distances(self, states: States, chosen: Chosen) -> Distances:
        return Distances(representation.svcca(states["hidden"].flatten(1, 2), variance=self.variance))
