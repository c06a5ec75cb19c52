"""Metrics of the analysis. Files in `conf/metric/` name them in `_target_` and contain their options."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from degen.condition import Condition
from degen.errors import require, require_choice, require_integer, require_number
from degen.metrics import dsa, pif, representation

States = dict[str, Tensor]
"""Arrays that `analysis.steps.activations` stores per condition, by their names in `ARRAYS` there."""

Hyperparameters = dict[str, int]
"""Hyperparameters that all networks of a task share, by name. Empty for most metrics."""


@dataclasses.dataclass(frozen=True)
class Distances:
    """Distances that a metric computes for a condition.

    Attributes:
        matrix: pairwise distances, (networks, networks).
        null: distance of each network from itself on other trials (split-half baseline), (networks,).
    """

    matrix: NDArray[np.float64]
    null: NDArray[np.float64] | None = None


class Metric(ABC):
    """A distance between networks of a condition. Files in `conf/metric/` contain its options.

    Attributes:
        version: increase it whenever the distances change, so that stored matrices are computed again.
    """

    version: ClassVar[int] = 1

    @property
    @abstractmethod
    def level(self) -> str:
        """Level of the metric: dynamics, weights or representation."""

    def require_fits(self, condition: Condition) -> None:
        """Check that the metric applies to the networks of a condition.

        Raises:
            BadInputError: it does not.
        """
        return

    @property
    def selection_options(self) -> dict[str, Any] | None:
        """Options that `select` depends on, or None if the metric has no hyperparameters to select."""
        return None

    def select(self, hidden: Sequence[Tensor]) -> pd.DataFrame:
        """Select hyperparameters for all networks of a task, without computing distances.

        Args:
            hidden: hidden states (trials, time, units) of each network.

        Returns:
            One row per candidate, with its hyperparameters and scores. The boolean column `selected` is True
            in one row.

        Raises:
            BadInputError: no candidate fits all networks.
        """
        raise NotImplementedError

    def selected(self, curve: pd.DataFrame) -> Hyperparameters:
        """Read the selected hyperparameters from the table that `select` returned."""
        raise NotImplementedError

    @abstractmethod
    def distances(self, states: States, hyperparameters: Hyperparameters) -> Distances:
        """Compute the distances of all pairs of networks of a condition."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DSA(Metric):
    """Dynamical similarity analysis. Components, lag and rank are selected once for all networks of a task.

    Args:
        score: angular, frobenius, normalized or wasserstein.
        lowest_lag, highest_lag: range of candidate delay lags, both ends included.
        ranks: candidate operator sizes.
        variance: fraction of the variance that the principal components explain.
        held_out: fraction of the probe's trials on which candidates are compared.
        controlled: fit the effect of the inputs separately and align it too. The inputs are common to all
            networks of a task, and without this option they count as dynamics. The selection of
            hyperparameters ignores this option.
        seed: seed of the random initializations.
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
        has_alignment = self.score != "wasserstein" or not self.controlled
        require(has_alignment, "score", self.score, "a score with an alignment where controlled is true")
        require_integer("seed", self.seed, 0)

    @property
    def level(self) -> str:
        return "dynamics"

    @property
    def selection_options(self) -> dict[str, Any]:
        names = ("lowest_lag", "highest_lag", "ranks", "variance", "held_out")
        return {name: getattr(self, name) for name in names}

    def select(self, hidden: Sequence[Tensor]) -> pd.DataFrame:
        selection = dsa.select_hyperparameters(
            hidden,
            lags=range(self.lowest_lag, self.highest_lag + 1),
            ranks=self.ranks,
            variance=self.variance,
            held_out=self.held_out,
        )
        best, curve = selection.hyperparameters, selection.curve
        is_selected = (curve["lag"] == best.lag) & (curve["rank"] == best.rank)
        return curve.assign(n_components=best.n_components, selected=is_selected)

    def selected(self, curve: pd.DataFrame) -> Hyperparameters:
        (row,) = curve[curve["selected"]].to_dict("records")
        return {field.name: int(row[field.name]) for field in dataclasses.fields(dsa.Hyperparameters)}

    def distances(self, states: States, hyperparameters: Hyperparameters) -> Distances:
        selected, hidden = dsa.Hyperparameters(**hyperparameters), states["hidden"]
        inputs = states["inputs"] if self.controlled else None
        if inputs is None:
            operators, input_maps = dsa.operators(hidden, selected), None
        else:
            operators, input_maps = dsa.controlled_operators(hidden, inputs, selected)
        # Compute the split-half baseline first. It is fast, and raises an error early if the delay windows of
        # half of the trials do not have the selected rank.
        null = dsa.null_distances(hidden, selected, score=self.score, seed=self.seed, inputs=inputs)
        matrix = dsa.distance_matrix(operators, score=self.score, seed=self.seed, input_maps=input_maps)
        return Distances(matrix, null)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PIF(Metric):
    """Permutation-invariant Frobenius distance of recurrent matrices.

    `analysis.measures` adds normalizations that do not depend on the alignment.

    Args:
        weights: recurrent (trained) or initial_recurrent.
        aligned: minimize over permutations of units. False gives the plain Frobenius distance.
        signs: minimize over signs of units too. Only for models with an odd nonlinearity.
        solver: an entry of `pif.SOLVERS`.
        seed: seed of the random initializations.
    """

    version = 2

    weights: str
    aligned: bool
    signs: bool
    solver: str
    seed: int

    def __post_init__(self) -> None:
        require_choice("weights", self.weights, ("recurrent", "initial_recurrent"))
        require(isinstance(self.aligned, bool), "aligned", self.aligned, "true or false")
        require(isinstance(self.signs, bool), "signs", self.signs, "true or false")
        require_choice("solver", self.solver, pif.SOLVERS)
        is_possible = not self.signs or (self.aligned and self.solver == "faq")
        require(is_possible, "signs", self.signs, "false unless aligned is true and solver is faq")
        require_integer("seed", self.seed, 0)

    @property
    def level(self) -> str:
        return "weights"

    def require_fits(self, condition: Condition) -> None:
        name = type(condition.model).__name__
        allowed = (
            f"false for {name} networks, whose nonlinearity is not odd "
            f"(set is_odd = True in the class if it is, or select metrics: 'metric=[dsa,pif,svcca]')"
        )
        require(condition.model.is_odd or not self.signs, "signs", self.signs, allowed)

    def distances(self, states: States, hyperparameters: Hyperparameters) -> Distances:
        weights = states[self.weights]
        if self.aligned:
            options: dict[str, Any] = {"signs": self.signs, "solver": self.solver}
            return Distances(pif.distance_matrix(weights, seed=self.seed, **options))
        return Distances(pif.unaligned_distance_matrix(weights))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SVCCA(Metric):
    """Dissimilarity of hidden states, 1 - SVCCA, with the time steps of all trials as samples.

    Args:
        variance: fraction of the variance that the singular vectors explain.
    """

    variance: float

    def __post_init__(self) -> None:
        require_number("variance", self.variance, above=0.0, maximum=1.0)

    @property
    def level(self) -> str:
        return "representation"

    def distances(self, states: States, hyperparameters: Hyperparameters) -> Distances:
        return Distances(representation.svcca(states["hidden"].flatten(1, 2), variance=self.variance))
