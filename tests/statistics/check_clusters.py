"""Simulated error rates of `find_clusters`: part of `make check-statistics`.

It prints the tables of docs/solutions.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import pandas as pd

from tests.statistics.check import markdown
from tests.statistics.planted_solutions import (
    ONE_CLUSTER,
    PLANTED_KINDS,
    SEVERAL_CLUSTERS,
    Points,
    cluster_counts,
    split_rate,
)

NETWORKS = (8, 16, 32)


def rejection_table(populations: Mapping[str, Points], runs: int) -> pd.DataFrame:
    """Return the rate at which one cluster is rejected, by population and number of networks."""
    return pd.DataFrame(
        {"population": name} | {str(n): split_rate(draw, n, range(runs)) for n in NETWORKS}
        for name, draw in populations.items()
    )


def planted_table(runs: int) -> pd.DataFrame:
    """Return how often 16 networks of two kinds, or of one kind, are several clusters.

    DSA has a fifth of the simulations, because its distances take seconds.
    """
    return pd.DataFrame(
        {"distance": name, "of the first kind": n_first, "of the second kind": 16 - n_first}
        | cluster_counts(draw, 16, n_first, range(runs // 5 if name == "DSA" else runs))
        for name, draw in PLANTED_KINDS.items()
        for n_first in (8, 5, 16, 0)
    )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="simulations per entry")
    runs = parser.parse_args().runs
    for title, populations in (("one", ONE_CLUSTER), ("several", SEVERAL_CLUSTERS)):
        table = markdown(rejection_table(populations, runs))
        print(f"\nRejections of one cluster, populations of {title}\n\n{table}", flush=True)
    print(f"\nClusters of networks of planted kinds\n\n{markdown(planted_table(runs))}", flush=True)


if __name__ == "__main__":
    main()
