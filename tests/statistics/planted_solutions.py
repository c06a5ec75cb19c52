"""Networks of one or two planted kinds, and populations of points with one or several clusters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.spatial.distance import pdist, squareform

from degen.metrics import dsa, pif
from degen.statistics import find_clusters

Array = np.ndarray
Draw = Callable[[np.random.Generator, int, int], Array]
"""Function from a generator, the number of networks and how many are of the first kind to distances."""

UNITS, TRIALS, STEPS = 6, 30, 20
PERTURBATION = 0.15
"""Norm of the random matrix that makes networks of one kind differ, relative to a random network."""

_TURN = 1.5 * np.array([[math.cos(0.5), math.sin(0.5)], [-math.sin(0.5), math.cos(0.5)]])
CORES = {"memory": np.diag([2.0, 0.5]), "cycle": _TURN}
"""Weights of two units that store a bit, and of two units that rotate."""


def rotation(generator: np.random.Generator, n: int) -> Array:
    return np.linalg.qr(generator.standard_normal((n, n)))[0]


def hidden_states(kind: str, generator: np.random.Generator) -> Array:
    """Return trajectories (trials, time, units) of a network of a kind, in rotated coordinates."""
    weights = PERTURBATION * generator.standard_normal((UNITS, UNITS)) / math.sqrt(UNITS)
    weights[:2, :2] += CORES[kind]
    states = [generator.standard_normal((TRIALS, UNITS))]
    for _ in range(STEPS - 1):
        states.append(np.tanh(states[-1] @ weights))
    return np.stack(states, axis=1) @ rotation(generator, UNITS)


def dsa_distances(generator: np.random.Generator, networks: int, n_first: int) -> Array:
    """Return DSA distances of networks that store a bit, the first ones, and networks with a cycle."""
    kinds = ["memory"] * n_first + ["cycle"] * (networks - n_first)
    hidden = np.stack([hidden_states(kind, generator) for kind in kinds])
    return dsa.distance_matrix(dsa.weighted_operators(hidden)[0])


def pif_distances(generator: np.random.Generator, networks: int, n_first: int) -> Array:
    """Return PIF distances of networks near one of two random matrices, with permuted units."""
    bases = generator.standard_normal((2, UNITS, UNITS))
    weights = np.repeat(bases, (n_first, networks - n_first), axis=0)
    weights += 0.5 * generator.standard_normal(weights.shape)
    orders = [generator.permutation(UNITS) for _ in weights]
    return pif.distance_matrix(
        torch.from_numpy(np.stack([w[o][:, o] for w, o in zip(weights, orders, strict=True)]))
    )


PLANTED_KINDS: dict[str, Draw] = {"DSA": dsa_distances, "PIF": pif_distances}
"""Metrics of planted networks."""


def euclidean(points: Array) -> Array:
    """Return the distances between points."""
    return squareform(pdist(points))


Points = Callable[[np.random.Generator, int], Array]
"""Function from a generator and the number of networks to points (networks, dimensions)."""


def normal(dimensions: int) -> Points:
    return lambda generator, n: generator.standard_normal((n, dimensions))


def decaying_spectrum(generator: np.random.Generator, n: int) -> Array:
    return generator.standard_normal((n, 30)) * np.arange(1, 31) ** -0.7


def line(generator: np.random.Generator, n: int) -> Array:
    """Return points that are uniform on a line, with small noise."""
    points = 0.15 * generator.standard_normal((n, 10))
    points[:, 0] += 3 * generator.random(n)
    return points


def disk(generator: np.random.Generator, n: int) -> Array:
    points = 0.1 * generator.standard_normal((n, 10))
    angle, radius = 2 * np.pi * generator.random(n), 2 * np.sqrt(generator.random(n))
    points[:, :2] += np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return points


def half_circle(generator: np.random.Generator, n: int) -> Array:
    points = 0.1 * generator.standard_normal((n, 10))
    angle = np.pi * generator.random(n)
    points[:, :2] += 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points


def log_normal_radius(shape: float) -> Points:
    return lambda generator, n: (
        generator.standard_normal((n, 10)) * np.exp(shape * generator.standard_normal((n, 1)))
    )


def skewed(shape: float) -> Points:
    """Return points with one log-normal coordinate."""

    def draw(generator: np.random.Generator, n: int) -> Array:
        points = 0.3 * generator.standard_normal((n, 10))
        points[:, 0] += np.exp(shape * generator.standard_normal(n))
        return points

    return draw


def far_networks(n_far: int) -> Points:
    """Return normal points, of which some are far in the same direction."""

    def draw(generator: np.random.Generator, n: int) -> Array:
        points = generator.standard_normal((n, 10))
        points[:n_far, 0] += 12
        return points

    return draw


def groups(gap: float, dimensions: int, fraction: float = 0.5, spread: float = 1.0) -> Points:
    """Return two groups of normal points.

    Args:
        gap: distance between the centers, in standard deviations along an axis.
        dimensions: number of dimensions.
        fraction: fraction of points in the first group.
        spread: standard deviation of the first group.
    """

    def draw(generator: np.random.Generator, n: int) -> Array:
        points = generator.standard_normal((n, dimensions))
        n_first = round(fraction * n)
        points[:n_first] *= spread
        points[:n_first, 0] += gap
        return points

    return draw


def three_groups(generator: np.random.Generator, n: int) -> Array:
    points = generator.standard_normal((n, 5))
    points[np.arange(n), np.arange(n) % 3] += 8 / math.sqrt(2)
    return points


ONE_CLUSTER: dict[str, Points] = {
    "2 dimensions": normal(2),
    "12 dimensions": normal(12),
    "50 dimensions": normal(50),
    "decaying spectrum": decaying_spectrum,
    "line": line,
    "disk": disk,
    "half circle": half_circle,
    "log-normal 0.5": log_normal_radius(0.5),
    "log-normal 1": log_normal_radius(1.0),
    "skewed 0.5": skewed(0.5),
    "skewed 1": skewed(1.0),
    "Student t, 3 degrees": lambda generator, n: generator.standard_t(3, (n, 6)),
    "one far network": far_networks(1),
    "two far networks": far_networks(2),
}
"""Populations of one cluster. A half circle is a continuum whose first coordinate has two modes."""

SEVERAL_CLUSTERS: dict[str, Points] = {
    "gap 5, 2 dimensions": groups(5, 2),
    "gap 5, 12 dimensions": groups(5, 12),
    "gap 6, 12 dimensions": groups(6, 12),
    "gap 8, 12 dimensions": groups(8, 12),
    "gap 8, 50 dimensions": groups(8, 50),
    "gap 8, unequal sizes": groups(8, 12, fraction=0.3),
    "unequal spread": groups(6, 12, spread=0.4),
    "three groups, gap 8": three_groups,
}
"""Populations of several clusters, with gaps in standard deviations of a group along an axis."""


def split_rate(draw: Points, networks: int, runs: Sequence[int], n_samples: int = 199) -> float:
    """Return how often one cluster is rejected."""
    n_split = 0
    for run in runs:
        points = draw(np.random.default_rng([run, networks]), networks)
        # The smallest significance, because only the test of all networks matters here.
        n_split += find_clusters(euclidean(points), significance=1e-9, n_samples=n_samples).p <= 0.05
    return n_split / len(runs)


def cluster_counts(draw: Draw, networks: int, n_first: int, runs: Sequence[int]) -> dict[str, int]:
    """Return how often networks of planted kinds are one or several clusters, and exactly the kinds."""
    counts = {"one cluster": 0, "several": 0, "exactly the kinds": 0}
    for run in runs:
        generator = np.random.default_rng([run, networks, n_first])
        labels = find_clusters(draw(generator, networks, n_first), n_samples=199).labels
        counts["several" if labels.max() > 1 else "one cluster"] += 1
        kinds = np.arange(networks) < n_first
        pairs = {*zip(kinds, labels, strict=True)}
        counts["exactly the kinds"] += len(pairs) == len({*kinds}) == labels.max()
    return counts
