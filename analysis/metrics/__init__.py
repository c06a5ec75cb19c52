"""Metrics of the analysis. Files in `conf/metric/` name them in `_target_` and contain their options."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from analysis.metrics.dynamics import DSA, WeightedDSA
from analysis.metrics.interface import Distances, Hyperparameters, Metric, States
from analysis.metrics.literal_dsa import LiteralDSA
from degen.condition import Condition, build
from degen.errors import BadInputError, require, require_choice, require_integer, require_number
from degen.metrics import pif, representation

__all__ = [
    "DSA",
    "PIF",
    "SVCCA",
    "BalancedPIF",
    "Distances",
    "Hyperparameters",
    "LiteralDSA",
    "Metric",
    "States",
    "WeightedDSA",
    "build_metric",
]


def build_metric(name: str, node: Any, conditions: Sequence[Condition]) -> tuple[dict[str, Any], Metric]:
    """Return the complete configuration and the metric, which fits all conditions.

    Args:
        name: name of the metric.
        node: its configuration.

    Raises:
        BadInputError: an option is not allowed. The sentence contains the name of the metric.
    """
    field = f"metrics.{name}"
    try:
        config, metric = build(node, Metric, field)
        for condition in conditions:
            metric.require_fits(condition)
        return config, metric
    except BadInputError as error:
        if str(error).startswith(field):
            raise
        raise BadInputError(f"{field}.{error}") from None


@dataclasses.dataclass(frozen=True, kw_only=True)
class PIF(Metric):
    """Permutation-invariant Frobenius distance of effective recurrent matrices.

    The matrices of the gates of a gated cell are aligned by one permutation. `analysis.trends.measures` adds
    normalizations that do not depend on the alignment.

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
        is_supported = condition.model.blocks == 1 or self.solver == "faq"
        allowed = f"faq for {name} networks, which have a recurrent matrix per gate"
        require(is_supported, "solver", self.solver, allowed)

    def distances(self, states: States, hyperparameters: Hyperparameters) -> Distances:
        weights = states[self.weights].unflatten(1, (-1, states[self.weights].shape[-1]))
        if self.aligned:
            options: dict[str, Any] = {"signs": self.signs, "solver": self.solver}
            return Distances(pif.distance_matrix(weights, seed=self.seed, **options))
        return Distances(pif.unaligned_distance_matrix(weights))


@dataclasses.dataclass(frozen=True, kw_only=True)
class BalancedPIF(PIF):
    """PIF of balanced recurrent matrices, which does not depend on scales of units (`pif.balance`).

    Only for models with a homogeneous nonlinearity, such as ReLU.
    """

    def require_fits(self, condition: Condition) -> None:
        super().require_fits(condition)
        name = type(condition.model).__name__
        allowed = f"analysis.metrics.PIF for {name} networks, whose nonlinearity is not homogeneous"
        require(condition.model.is_homogeneous, "_target_", "analysis.metrics.BalancedPIF", allowed)

    def distances(self, states: States, hyperparameters: Hyperparameters) -> Distances:
        balanced = pif.balance(states[self.weights])
        return super().distances(states | {self.weights: balanced}, hyperparameters)


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
