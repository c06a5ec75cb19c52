"""True coverage of the 95 % intervals, measured by `make check-statistics` (docs/statistics.md)."""

from __future__ import annotations

import math
from typing import Literal

from degen.statistics.bootstrap import MIN_NETWORKS

Kind = Literal["distance", "deviation", "mean"]
"""Statistic of an interval: mean distance, standard deviation or mean."""

SIMULATED_LEVEL = 0.95
"""Nominal level of the simulated intervals."""

NETWORKS = (5, 8, 16, 32, 50)

WORST_COVERAGE: dict[Kind, tuple[float, ...]] = {
    "distance": (0.86, 0.82, 0.84, 0.89, 0.89),
    "deviation": (0.89, 0.80, 0.79, 0.82, 0.84),
    "mean": (0.89, 0.89, 0.89, 0.92, 0.93),
}
"""Coverage under the worst of the simulated populations, for the numbers of `NETWORKS`."""


def true_coverage(kind: Kind, n_networks: int) -> float:
    """Return the coverage of the 95 % interval under the worst of the simulated populations.

    Args:
        kind: statistic of the interval.
        n_networks: number of networks. The next smaller simulated number is used.

    Returns:
        The coverage, or NaN for fewer than `MIN_NETWORKS` networks, which have no interval.

    Examples:
        >>> true_coverage("deviation", 4)
        nan
    """
    if n_networks < MIN_NETWORKS:
        return math.nan
    return max(
        (number, coverage)
        for number, coverage in zip(NETWORKS, WORST_COVERAGE[kind], strict=True)
        if number <= n_networks
    )[1]
