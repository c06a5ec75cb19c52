"""Simulated coverage of intervals, false positives and power of tests: `make check-statistics`.

It prints the tables of docs/statistics.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd

from degen.statistics import (
    Bootstrap,
    Estimate,
    JointTest,
    Trend,
    distance_curve,
    fit_contrast,
    fit_crossed,
    fit_trend,
)
from degen.statistics.coverage import NETWORKS
from degen.statistics.joint_test import NO_DIRECTION
from tests.statistics.nulls import NULLS, deviation_null
from tests.statistics.simulated import (
    POPULATIONS,
    relative_distances,
    true_moments,
    values,
)

SAMPLES = 499
"""Bootstrap samples and permutations of a simulation, fewer than in an analysis to save time."""

KINDS = ("distance", "deviation", "mean")


def interval(kind: str, population: str, networks: int, run: int) -> tuple[Estimate, float]:
    """Return an interval of simulated networks, and the true value."""
    generator = np.random.default_rng([run, networks, POPULATIONS.index(population)])
    bootstrap = Bootstrap(n_samples=SAMPLES, level=0.95, seed=run)
    if kind == "distance":
        return bootstrap.mean_distance(relative_distances(population, generator, networks)), 1.0
    sample, (mean, deviation) = values(population, generator, networks), true_moments(population)
    if kind == "mean":
        return bootstrap.mean(sample), mean
    return bootstrap.deviation(sample), deviation


def coverage(kind: str, population: str, networks: int, runs: Sequence[int]) -> float:
    """Return how often the 95 % interval contains the true value.

    Args:
        kind: statistic of the interval.
        population: one of `POPULATIONS`.
        networks: number of networks.
        runs: seeds of the simulations.
    """
    covered = 0
    for run in runs:
        (_, low, high), true = interval(kind, population, networks, run)
        covered += low <= true <= high
    return covered / len(runs)


def coverage_table(runs: int) -> pd.DataFrame:
    """Return the coverage of each kind of interval, by population (rows) and networks (columns)."""
    rows = [
        {"interval": kind, "population": population}
        | {str(networks): coverage(kind, population, networks, range(runs)) for networks in NETWORKS}
        for kind in KINDS
        for population in POPULATIONS
    ]
    return pd.DataFrame(rows)


def rates(name: str, networks: int, runs: Sequence[int]) -> tuple[float, float]:
    """Return how often a trend has a direction, and how often its interval excludes zero, under a null.

    A direction needs p below 0.05, which is not computed where the interval contains zero.
    """
    significant = excluded = 0
    for run in runs:
        generator = np.random.default_rng([run, networks, *name.encode()])
        bootstrap = Bootstrap(n_samples=SAMPLES, level=0.95, seed=run)
        trend = fit_trend(NULLS[name](generator, networks, bootstrap), bootstrap, SAMPLES)
        excluded += trend.excludes_zero
        significant += trend.direction(0.05) != NO_DIRECTION
    return significant / len(runs), excluded / len(runs)


def false_positive_table(runs: int) -> pd.DataFrame:
    """Return the rate of trends with a direction, and in brackets of intervals without zero."""
    rows = []
    for name in NULLS:
        row = {"null hypothesis": name}
        for networks in (5, 8, 16, 50):
            result, excluded = rates(name, networks, range(runs if networks < 50 else runs // 2))
            row[str(networks)] = f"{result:.3f} ({excluded:.3f})"
        rows.append(row)
    return pd.DataFrame(rows)


def trend(kind: str, shape: float, networks: int, change: float, run: int) -> Trend:
    """Return the trend of four conditions, of which the last differs from the first by a log change."""
    generator = np.random.default_rng([run, networks, int(10 * shape)])
    bootstrap = Bootstrap(n_samples=SAMPLES, level=0.95, seed=run)
    changes = np.linspace(0, change, 4)
    if kind == "sigma":
        curves = deviation_null((shape,) * 4, changes=changes)(generator, networks, bootstrap)
    else:
        population = f"log-normal {shape}" if shape else "normal"
        scaled = [np.exp(change) * relative_distances(population, generator, networks) for change in changes]
        curves = [distance_curve(scaled, [range(networks)] * 4, bootstrap, "flip_flop")]
    return fit_trend(curves, bootstrap, SAMPLES)


def detectable_table(runs: int) -> pd.DataFrame:
    """Return the median detectable change over four conditions as a factor, and in brackets its power."""
    rows = []
    for kind in ("distances", "sigma"):
        for shape in (0.0, 0.5, 1.0):
            row = {"trend of": kind, "population": f"log-normal {shape:g}" if shape else "normal"}
            for networks in (8, 16, 32, 50):
                unchanged = [trend(kind, shape, networks, 0.0, run) for run in range(runs // 2)]
                change = float(np.median([trend.detectable_change for trend in unchanged]))
                result = [trend(kind, shape, networks, change, runs + run) for run in range(runs)]
                power = np.mean([trend.direction(0.05) != NO_DIRECTION for trend in result])
                row[str(networks)] = f"{np.exp(change):.3g} ({power:.2f})"
            rows.append(row)
    return pd.DataFrame(rows)


LEVELS: dict[str, tuple[str, Sequence[float]]] = {
    "three levels, none differs": ("levels", (0, 0, 0)),
    "three levels, one is twice as high (power)": ("levels", (0, 0, 0.69)),
    "3 x 2, first factor without effect, second one strong": ("first", (0, 1.5) * 3),
    "3 x 2, first factor doubles degeneracy (power)": ("first", (0, 1.5, 0.35, 1.85, 0.69, 2.19)),
    "3 x 2, two strong factors without interaction": ("interaction", (0, 1.5, 0.5, 2, 1, 2.5)),
    "3 x 2, first factor doubles degeneracy at one level only (power)": (
        "interaction",
        (0, 0, 0, 0.35, 0, 0.69),
    ),
}
"""Tests of named levels and of crossed factors: the test, and the log degeneracy of each condition."""


def level_test(name: str, kind: str, networks: int, run: int) -> JointTest:
    """Return a test of `LEVELS` of simulated log-normal networks with shared seeds."""
    which, logs = LEVELS[name]
    generator = np.random.default_rng([run, networks, *name.encode()])
    bootstrap = Bootstrap(n_samples=SAMPLES, level=0.95, seed=run)
    if kind == "sigma":
        curves = deviation_null((0.5,) * len(logs), changes=logs)(generator, networks, bootstrap)
    else:
        scaled = [
            np.exp(change) * relative_distances("log-normal 0.5", generator, networks) for change in logs
        ]
        curves = [distance_curve(scaled, [range(networks)] * len(logs), bootstrap, "flip_flop")]
    if which == "levels":
        return fit_contrast(curves, bootstrap, SAMPLES)
    cells = [(width, cell) for width in (32, 64, 128) for cell in ("tanh", "gru")]
    crossed = fit_crossed(curves, cells, bootstrap, SAMPLES)
    return crossed.first if which == "first" else crossed.interaction


def level_rate(name: str, kind: str, networks: int, runs: Sequence[int]) -> float:
    """Return how often a test of `LEVELS` sees an effect."""
    tests = [level_test(name, kind, networks, run) for run in runs]
    return float(np.mean([test.direction(0.05) != NO_DIRECTION for test in tests]))


def level_table(runs: int) -> pd.DataFrame:
    """Return the rate of effects seen by tests of named levels and of crossed factors."""
    rows = [
        {"test": name}
        | {
            f"{kind}, {networks}": level_rate(name, kind, networks, range(runs))
            for kind in ("distances", "sigma")
            for networks in (8, 16)
        }
        for name in LEVELS
    ]
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """Format a table as Markdown."""
    cells = table.map(lambda cell: f"{cell:.3f}" if isinstance(cell, float) else cell)
    rows = [list(table), ["---"] * table.shape[1], *cells.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="simulations per entry of the first table")
    runs = parser.parse_args().runs
    tables = {
        "True coverage of 95 % intervals, by number of networks": (coverage_table, runs),
        "Trends with a direction (intervals without zero) under null hypotheses": (
            false_positive_table,
            runs * 3 // 5,
        ),
        "Detectable change as a factor (its power), four conditions": (detectable_table, runs * 2 // 25),
        "Effects seen between named levels and of crossed factors": (level_table, runs // 4),
    }
    for title, (build, number) in tables.items():
        print(f"\n{title}\n\n{markdown(build(number))}", flush=True)


if __name__ == "__main__":
    main()
