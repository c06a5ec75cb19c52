"""Simulated networks whose degeneracy is known: populations of values and of points, and their conditions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from scipy.spatial.distance import pdist, squareform

from degen.statistics import Bootstrap, FactorCurve

BOOTSTRAP = Bootstrap(n_samples=400, level=0.95, seed=0)
NETWORKS, CONDITIONS, EXPERIMENTS = 15, 3, 250

POPULATIONS = ("normal", "log-normal 0.5", "log-normal 1", "one far network", "clusters")
"""Populations of networks. One in ten is far from the others in "one far network"."""

FAR, FAR_SHARE = 5.0, 0.1
CLUSTER_SHARES = (0.5, 0.3, 0.2)
DIMENSION = 10

CurveBuilder = Callable[[Sequence[np.ndarray], Sequence[Sequence[int]], Bootstrap, str], FactorCurve]


def values(population: str, generator: np.random.Generator, networks: int) -> np.ndarray:
    """Return one value per network."""
    normal = generator.standard_normal(networks)
    if population == "one far network":
        return normal + FAR * (generator.random(networks) < FAR_SHARE)
    if population == "clusters":
        return normal / 2 + np.array([0.0, 3.0, 6.0])[generator.choice(3, networks, p=CLUSTER_SHARES)]
    return log_normal(float(population.removeprefix("log-normal")), normal) if "log" in population else normal


def log_normal(shape: float, normal: np.ndarray) -> np.ndarray:
    """Return log-normal values of mean 0 and standard deviation 1."""
    mean = math.exp(shape**2 / 2)
    return (np.exp(shape * normal) - mean) / (mean * math.sqrt(math.expm1(shape**2)))


@cache
def true_moments(population: str) -> tuple[float, float]:
    """Return the mean and the standard deviation of a population of values."""
    if population == "one far network":
        return FAR * FAR_SHARE, math.sqrt(1 + FAR**2 * FAR_SHARE * (1 - FAR_SHARE))
    if population == "clusters":
        return 2.1, math.sqrt(0.25 + 0.3 * 9 + 0.2 * 36 - 2.1**2)
    return 0.0, 1.0


def points(population: str, generator: np.random.Generator, networks: int) -> np.ndarray:
    """Return networks as points (networks, dimension). A far network is twice as far as the others."""
    normal = generator.standard_normal((networks, DIMENSION))
    if population == "one far network":
        normal[:, 0] += 8 * (generator.random(networks) < FAR_SHARE)
    elif population == "clusters":
        centers = 3 * np.eye(DIMENSION)[:3]
        normal = normal / 2 + centers[generator.choice(3, networks, p=CLUSTER_SHARES)]
    elif "log" in population:
        shape = float(population.removeprefix("log-normal"))
        normal *= np.exp(shape * generator.standard_normal((networks, 1)))
    return normal


@cache
def true_mean_distance(population: str) -> float:
    """Return the mean distance between two networks of a population, from 20,000 simulated networks."""
    generator = np.random.default_rng(0)
    return float(np.mean([pdist(points(population, generator, 1000)).mean() for _ in range(20)]))


def relative_distances(population: str, generator: np.random.Generator, networks: int) -> np.ndarray:
    """Return distances (networks, networks) with a true mean of 1."""
    return squareform(pdist(points(population, generator, networks))) / true_mean_distance(population)


def distances(generator: np.random.Generator, scale: float = 1.0, networks: int = NETWORKS) -> np.ndarray:
    """Return distances of normal points on a line, whose mean is 2 scale / sqrt(pi)."""
    line = scale * generator.standard_normal(networks)
    return np.abs(line[:, None] - line[None, :])


def curve_of(build: CurveBuilder, groups: Sequence[np.ndarray], task: str = "task") -> FactorCurve:
    """Build the curve of networks with seeds 0, 1, ... in every condition."""
    return build(groups, [range(len(group)) for group in groups], BOOTSTRAP, task)
