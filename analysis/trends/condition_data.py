"""Networks and distance matrices of a condition, from which its degeneracy is computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.results import ResultsFolder
from degen.condition import Condition
from degen.errors import require
from degen.files import read_metadata, read_tensors
from degen.statistics.jackknife import Array


@dataclasses.dataclass(frozen=True)
class ConditionData:
    """Networks and distance matrices of a condition.

    Attributes:
        condition: the condition.
        networks: one row per converged network, sorted by seed.
        results: the folder that contains the matrices.
        left_out: seeds of networks that are excluded from all values.
    """

    condition: Condition
    networks: pd.DataFrame
    results: ResultsFolder
    left_out: frozenset[int] = frozenset()

    @property
    def seeds(self) -> list[int]:
        """Seeds of the included networks."""
        return [seed for seed in self.networks["seed"] if seed not in self.left_out]

    def without(self, seeds: Iterable[int]) -> ConditionData:
        """Return the condition without the networks of some seeds."""
        return dataclasses.replace(self, left_out=self.left_out | set(seeds))

    def covered_by(self, metric: str) -> ConditionData:
        """Return the data of the networks that a metric measures: all, or the first seeds.

        Raises:
            BadInputError: the file of distances is missing or belongs to other networks.
        """
        path = self.results.matrix(metric, self.condition.signature)
        metadata = read_metadata(path) if path.exists() else {}
        networks = self.networks[: metadata.get("max_networks")]
        seeds = networks["seed"].tolist()
        allowed = f"of seeds {seeds}, as in the table of networks (degen analyze makes it)"
        require(metadata.get("seeds") == seeds, str(path), metadata.get("seeds"), allowed)
        return dataclasses.replace(self, networks=networks)

    def matrix(self, metric: str) -> Array:
        """Return the pairwise distances (networks, networks) of the networks in `covered_by(metric)`.

        Raises:
            BadInputError: the file is missing or belongs to other networks.
        """
        included = self.covered_by(metric)._is_included
        arrays, _ = read_tensors(self.results.matrix(metric, self.condition.signature))
        return arrays["distances"].numpy()[np.ix_(included, included)]

    def hyperparameters(self, metric: str) -> dict[str, Any]:
        """Return the hyperparameters of a metric's distances, empty if it has none."""
        settings: dict[str, Any] = read_metadata(self.results.matrix(metric, self.condition.signature)).get(
            "hyperparameters", {}
        )
        return settings

    def baseline_ratio(self, metric: str) -> float | None:
        """Return the distance between networks over the split-half baseline, both from half of the trials.

        Returns:
            None if the metric has no baseline.

        Raises:
            BadInputError: the file is missing or belongs to other networks.
        """
        included = self.covered_by(metric)._is_included
        arrays, _ = read_tensors(self.results.matrix(metric, self.condition.signature))
        if "half_distances" not in arrays:
            return None
        between, within = (arrays[name].numpy()[included].mean() for name in ("half_distances", "null"))
        return float(between / within)

    def column(self, name: str) -> Array:
        """Return a column (networks,) of the table of networks.

        Raises:
            BadInputError: the table has no such column.
        """
        allowed = f"with the column {name}, as the table of degeneracy (degen analyze makes both)"
        require(name in self.networks, str(self.results.networks), list(self.networks), allowed)
        return self.networks[name].to_numpy(np.float64)[self._is_included]

    @property
    def _is_included(self) -> NDArray[np.bool_]:
        return ~self.networks["seed"].isin(self.left_out).to_numpy(bool)
