"""Degeneracy of groups by one metric: distances, split-half baselines, intervals and group differences."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from degen.comparison.metrics import Metric
from degen.comparison.networks import Network
from degen.statistics import Bootstrap, Estimate, GroupDifference, Ratio, Separation

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Difference:
    """Difference between two groups.

    Attributes:
        first, second: names of the groups.
        separation: mean distance between networks of the two groups, and the test of any difference.
        ratio: degeneracy of the second group divided by that of the first, with interval and test.
    """

    first: str
    second: str
    separation: Separation
    ratio: Ratio


@dataclasses.dataclass(frozen=True)
class Measure:
    """Networks of all groups compared by one metric.

    Attributes:
        label: name of the metric in tables and figures.
        level: level of degeneracy: dynamics, representation, weights or behavior.
        networks: name of each network.
        groups: group of each network.
        distances: distances of all pairs of networks, (networks, networks).
        baselines: split-half baseline of each network, its distance from itself on disjoint trials,
            (networks,). None for metrics without baseline.
        losses: loss of each network, (networks,). None for other metrics.
        degeneracy: for each group the mean distance within the group with its interval. For losses it is
            their standard deviation.
        differences: difference of each pair of groups.
    """

    label: str
    level: str
    networks: list[str]
    groups: list[str]
    distances: Array
    baselines: Array | None
    losses: Array | None
    degeneracy: dict[str, Estimate]
    differences: list[Difference]

    @classmethod
    def from_distances(
        cls,
        metric: Metric,
        networks: Sequence[Network],
        distances: Array,
        baselines: Array | None,
        seed: int,
    ) -> Measure:
        """Estimate the degeneracy of each group and compare all pairs of groups.

        Args:
            metric: the metric of the distances.
            networks: network of each row.
            distances: symmetric, (networks, networks).
            baselines: (networks,), or None.
            seed: seed of bootstrap samples and permutations.
        """
        losses = None
        if metric.level == "behavior":
            losses = np.array([network.loss for network in networks], dtype=np.float64)
        data = distances if losses is None else losses
        groups = np.array([network.group for network in networks])
        names = list(dict.fromkeys(groups.tolist()))
        pairs = itertools.combinations(names, 2)
        return cls(
            metric.label,
            metric.level,
            [network.name for network in networks],
            groups.tolist(),
            distances,
            baselines,
            losses,
            {name: _degeneracy(data, groups == name, seed) for name in names},
            [_difference(data, distances, groups, first, second, seed) for first, second in pairs],
        )

    def is_in(self, group: str) -> NDArray[np.bool_]:
        """Return whether each network is in a group, (networks,)."""
        return np.array(self.groups) == group

    def mean_baseline(self, group: str) -> float:
        """Return the mean split-half baseline of a group, NaN for a metric without baseline."""
        return math.nan if self.baselines is None else float(self.baselines[self.is_in(group)].mean())

    def embedding(self) -> Array:
        """Embed all networks in a plane by multidimensional scaling.

        Returns:
            Centered positions (networks, 2), in units of the distances.
        """
        from degen.reporting.embedding import embed_distances  # scikit-learn takes a second to import

        return embed_distances(self.distances)


def _select(data: Array, members: NDArray[np.bool_]) -> Array:
    """Return the distances (n, n) or losses (n,) of the members."""
    return data[members] if data.ndim == 1 else data[np.ix_(members, members)]


def _degeneracy(data: Array, members: NDArray[np.bool_], seed: int) -> Estimate:
    """Estimate the mean distance of the members, or the standard deviation of their losses."""
    bootstrap = Bootstrap(n_samples=2000, level=0.95, seed=seed)
    if members.sum() < 2:
        return Estimate(math.nan, math.nan, math.nan)
    selected = _select(data, members)
    return bootstrap.deviation(selected) if data.ndim == 1 else bootstrap.mean_distance(selected)


def _difference(
    data: Array, distances: Array, groups: NDArray[np.str_], first: str, second: str, seed: int
) -> Difference:
    """Compare two groups by their distances, or by the standard deviations of their losses."""
    test = GroupDifference(seed=seed)
    members = np.isin(groups, [first, second])
    is_second = groups[members] == second
    selected = _select(data, members)
    ratio = test.deviation_ratio if data.ndim == 1 else test.distance_ratio
    separation = test.separation(_select(distances, members), is_second)
    return Difference(first, second, separation, ratio(selected, is_second))
