"""Metrics of dynamics: DSA and its variance-weighted form (`analysis.metrics`)."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from analysis.metrics.interface import Distances, Hyperparameters, Metric, States
from degen.condition import Condition
from degen.errors import require, require_choice, require_integer, require_number
from degen.metrics import dsa
from degen.streams import Stream

Operators = tuple[Tensor, Tensor | None]
"""Operators (networks, r, r), and input maps (networks, r, inputs) or None."""


class OperatorMetric(Metric):
    """A distance between operators that are fitted to the activations of each network.

    Attributes:
        score: an entry of `degen.metrics.dsa.SCORES`.
        seed: seed of the random initializations.
    """

    score: str
    seed: int

    @property
    def level(self) -> str:
        return "dynamics"

    @property
    def variant_of(self) -> str | None:
        return "DSA"

    @abstractmethod
    def fit(self, hidden: Tensor, inputs: Tensor, hyperparameters: Hyperparameters) -> Operators:
        """Fit the operators of all networks to hidden states (networks, trials, time, units)."""

    def distances(self, states: States, hyperparameters: Hyperparameters) -> Distances:
        hidden, inputs = states["hidden"], states["inputs"]
        # Compute the split-half baseline first. It is fast, and raises an error early if the delay windows of
        # half of the trials do not have the selected rank.
        first, second = (
            self.fit(hidden[:, half], inputs[half], hyperparameters) for half in dsa.matched_halves(inputs)
        )
        maps = None if first[1] is None or second[1] is None else (first[1], second[1])
        options: dict[str, Any] = {"score": self.score, "seed": self.seed}
        halves = dsa.half_distances(first[0], second[0], **options, input_maps=maps)
        return Distances(self.matrix(states, hyperparameters), halves)

    def matrix(self, states: States, hyperparameters: Hyperparameters) -> NDArray[np.float64]:
        operators, input_maps = self.fit(states["hidden"], states["inputs"], hyperparameters)
        return dsa.distance_matrix(operators, score=self.score, seed=self.seed, input_maps=input_maps)


class SelectingMetric(OperatorMetric):
    """A metric of operators whose components, lag and rank are selected for all networks of a task."""

    version = 2

    def selected(self, curve: pd.DataFrame) -> Hyperparameters:
        (row,) = curve[curve["selected"]].to_dict("records")
        return {field.name: int(row[field.name]) for field in dataclasses.fields(dsa.Hyperparameters)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DSA(SelectingMetric):
    """Dynamical similarity analysis. Components, lag and rank are selected once for all networks of a task.

    Args:
        score: angular, frobenius, normalized or wasserstein.
        lowest_lag, highest_lag: range of candidate delay lags, both ends included.
        ranks: candidate operator sizes.
        variance: fraction of the variance that the principal components explain.
        components: `most` or `least`, the number of components that any network of the task needs.
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
    components: str
    held_out: float
    controlled: bool
    seed: int

    def __post_init__(self) -> None:
        require_choice("score", self.score, dsa.SCORES)
        require_lags(self.lowest_lag, self.highest_lag)
        listed = isinstance(self.ranks, list) and len(self.ranks) > 0
        require(listed, "ranks", self.ranks, "a list of at least one size")
        for rank in self.ranks:
            require_integer("ranks", rank, 1)
        require_number("variance", self.variance, above=0.0, maximum=1.0)
        require_choice("components", self.components, dsa.COMPONENTS)
        require_number("held_out", self.held_out, above=0.0, maximum=0.9)
        require(isinstance(self.controlled, bool), "controlled", self.controlled, "true or false")
        has_alignment = self.score != "wasserstein" or not self.controlled
        require(has_alignment, "score", self.score, "a score with an alignment where controlled is true")
        require_integer("seed", self.seed, 0)

    def require_fits(self, condition: Condition) -> None:
        """Raise `BadInputError` unless the trials of a condition are longer than every candidate lag."""
        super().require_fits(condition)
        n_steps = condition.task.generate(2, Stream.named([0], "probe")).inputs.shape[-2]
        allowed = f"below the {n_steps} time steps of a trial of {condition.task_name}"
        require(self.highest_lag < n_steps, "highest_lag", self.highest_lag, allowed)

    @property
    def selection_options(self) -> dict[str, Any]:
        names = ("lowest_lag", "highest_lag", "ranks", "variance", "components", "held_out")
        return {name: getattr(self, name) for name in names}

    def select(self, hidden: Sequence[Tensor]) -> pd.DataFrame:
        selection = dsa.select_hyperparameters(
            hidden,
            lags=range(self.lowest_lag, self.highest_lag + 1),
            ranks=self.ranks,
            variance=self.variance,
            components=self.components,
            held_out=self.held_out,
        )
        return selection_table(selection)

    def fit(self, hidden: Tensor, inputs: Tensor, hyperparameters: Hyperparameters) -> Operators:
        selected = dsa.Hyperparameters(**hyperparameters)
        if self.controlled:
            return dsa.controlled_operators(hidden, inputs, selected)
        return dsa.operators(hidden, selected), None


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightedDSA(OperatorMetric):
    """Variance-weighted DSA, which has no hyperparameters to select (`degen.metrics.dsa.weighted_operators`).

    Args:
        form: map, flow or geometry. The last ignores the dynamics and serves as a comparison.
        score: angular, frobenius or normalized.
        variance: fraction of the variance of each network to include.
        controlled: fit the effect of the inputs separately (DMD with control) and align it too.
        seed: seed of the random initializations.
    """

    form: str
    score: str
    variance: float
    controlled: bool
    seed: int

    def __post_init__(self) -> None:
        require_choice("form", self.form, dsa.FORMS)
        require_choice("score", self.score, ("angular", "frobenius", "normalized"))
        require_number("variance", self.variance, above=0.0, maximum=1.0)
        require(isinstance(self.controlled, bool), "controlled", self.controlled, "true or false")
        has_dynamics = self.form != "geometry" or not self.controlled
        require(has_dynamics, "form", self.form, "map or flow where controlled is true")
        require_integer("seed", self.seed, 0)

    @property
    def variant_of(self) -> str | None:
        return None if self.form == "geometry" else "DSA"

    def fit(self, hidden: Tensor, inputs: Tensor, hyperparameters: Hyperparameters) -> Operators:
        drive = inputs if self.controlled else None
        return dsa.weighted_operators(hidden, form=self.form, variance=self.variance, inputs=drive)


def require_lags(lowest: int, highest: int) -> None:
    """Raise `BadInputError` unless the lags are a range of positive integers."""
    require_integer("lowest_lag", lowest, 1)
    require_integer("highest_lag", highest, lowest)


def selection_table(selection: dsa.Selection) -> pd.DataFrame:
    """Convert a selection to the table that `Metric.select` returns."""
    best, curve = selection.hyperparameters, selection.curve
    is_selected = (curve["lag"] == best.lag) & (curve["rank"] == best.rank)
    table = curve.assign(n_components=best.n_components, selected=is_selected)
    table.attrs["warnings"] = selection.warnings
    table.attrs["components_needed"] = selection.components_needed
    return table
