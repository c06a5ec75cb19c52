"""Interface of the metrics of the analysis (`analysis.metrics`)."""

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
from degen.metrics.dsa import HalfDistances

States = dict[str, Tensor]
"""Arrays that `analysis.steps.activations` stores per condition, by their names in `ARRAYS` there."""

Hyperparameters = dict[str, int]
"""Hyperparameters that all networks of a task share, by name. Empty for most metrics."""


@dataclasses.dataclass(frozen=True)
class Distances:
    """Distances that a metric computes for a condition.

    Attributes:
        matrix: pairwise distances, (networks, networks).
        halves: distances between halves of the trials, within networks (split-half baseline) and between
            networks, or None if the metric has no baseline.
    """

    matrix: NDArray[np.float64]
    halves: HalfDistances | None = None


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
    def variant_of(self) -> str | None:
        """Name of the quantity that the metric measures with one of several settings, or None.

        All metrics of a quantity are drawn in one specification curve. Controls are no variants.
        """
        return None

    @property
    def max_networks(self) -> int | None:
        """Number of networks of a condition that the metric measures, the first seeds, or None for all."""
        return None

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

    def matrix(self, states: States, hyperparameters: Hyperparameters) -> NDArray[np.float64]:
        """Compute the matrix of `distances` alone, without a baseline."""
        return self.distances(states, hyperparameters).matrix
