"""Clusters of networks: how many kinds of solutions a distance matrix contains.

Networks are split by hierarchical clustering, and the number of clusters has the largest mean silhouette
(Rousseeuw 1987, J. Comput. Appl. Math. 20). Every data set has a best split. A split is therefore accepted
only if its silhouette exceeds what a single cluster of equal spread gives: normally distributed points with
the principal variances of the networks (Liu, Hayes, Nobel & Marron 2008, JASA 103).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import adjusted_rand_score

from degen.errors import require, require_integer, require_number
from degen.statistics.jackknife import Array

Labels = NDArray[np.intp]

MIN_SIZE = 3
"""Fewest networks of a cluster [chosen]. A single far network is an outlier, not a kind of solution."""


@dataclasses.dataclass(frozen=True)
class Clusters:
    """Clusters of networks.

    Attributes:
        labels: cluster of each network, (networks,). Cluster 0 is the largest.
        n_clusters: number of clusters; 1 if no split is significant.
        silhouette: mean silhouette of the best split, in [-1, 1], whether accepted or not. NaN if no split
            has clusters of at least `MIN_SIZE` networks.
        p: fraction of single-cluster data sets with at least this silhouette.
        stability: mean adjusted Rand index between the labels and those of subsets of the networks; 1 if
            subsets give equal clusters. NaN for a single cluster.
    """

    labels: Labels
    n_clusters: int
    silhouette: float
    p: float
    stability: float


def find_clusters(
    distances: Array,
    *,
    max_clusters: int = 5,
    significance: float = 0.05,
    n_samples: int = 499,
    seed: int = 0,
) -> Clusters:
    """Find clusters of networks, and test them against a single cluster.

    Args:
        distances: symmetric, (networks, networks).
        max_clusters: largest number of clusters.
        significance: p below which a split is accepted.
        n_samples: number of single-cluster data sets.
        seed: seed of these data sets and of the subsets for the stability.

    Raises:
        BadInputError: fewer than six networks, or an argument out of range.

    Examples:
        >>> positions = np.array([0.0, 0.1, 0.2, 0.3, 5.0, 5.1, 5.2, 5.3])
        >>> clusters = find_clusters(np.abs(positions[:, None] - positions))
        >>> clusters.n_clusters, clusters.labels.tolist()
        (2, [0, 0, 0, 0, 1, 1, 1, 1])
    """
    n = len(distances)
    require(n >= 2 * MIN_SIZE, "networks", n, f"at least {2 * MIN_SIZE}, two clusters of {MIN_SIZE}")
    require_integer("max_clusters", max_clusters, 2)
    require_number("significance", significance, above=0.0, maximum=1.0)
    require_integer("n_samples", n_samples, 19)
    generator = np.random.default_rng(seed)
    labels, silhouette = _best_split(distances, max_clusters)
    null = _null_silhouettes(distances, max_clusters, n_samples, generator)
    p = float((1 + np.count_nonzero(null >= silhouette - 1e-12)) / (1 + n_samples))
    if np.isnan(silhouette) or p >= significance:
        return Clusters(
            np.zeros(n, dtype=np.intp), 1, silhouette, p if silhouette == silhouette else 1.0, np.nan
        )
    stability = _stability(distances, labels, generator)
    return Clusters(labels, int(labels.max()) + 1, silhouette, p, stability)


def _best_split(distances: Array, max_clusters: int) -> tuple[Labels, float]:
    """Return the labels and the silhouette of the best number of clusters."""
    tree = linkage(squareform(distances, checks=False), method="average")
    best, highest = np.zeros(len(distances), dtype=np.intp), np.nan
    for k in range(2, max_clusters + 1):
        labels = _sorted_by_size(fcluster(tree, k, criterion="maxclust"))
        if np.bincount(labels).min() < MIN_SIZE or labels.max() == 0:
            continue
        silhouette = mean_silhouette(distances, labels)
        if not silhouette <= highest:
            best, highest = labels, silhouette
    return best, highest


def _sorted_by_size(labels: NDArray[np.int32]) -> Labels:
    """Number clusters from the largest to the smallest. Of equal clusters, the first to occur comes first."""
    names, first, counts = np.unique(labels, return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[np.searchsorted(names, labels)]


def mean_silhouette(distances: Array, labels: Labels) -> float:
    """Compute the mean silhouette of clusters with at least two networks.

    Args:
        distances: symmetric, (networks, networks).
        labels: cluster of each network, 0 to k - 1, (networks,).

    Examples:
        >>> positions = np.array([0.0, 1.0, 10.0, 11.0])
        >>> round(mean_silhouette(np.abs(positions[:, None] - positions), np.array([0, 0, 1, 1])), 2)
        0.9
    """
    members = np.eye(int(labels.max()) + 1)[labels]
    sizes, sums = members.sum(axis=0), distances @ members
    own = members.astype(bool)
    within = sums[own] / (sizes[labels] - 1)
    nearest = np.where(own, np.inf, sums / sizes).min(axis=1)
    return float(((nearest - within) / np.maximum(np.maximum(nearest, within), 1e-300)).mean())


def _null_silhouettes(
    distances: Array, max_clusters: int, n_samples: int, generator: np.random.Generator
) -> Array:
    """Return the best silhouettes of data sets of one cluster with the principal variances of the networks."""
    n = len(distances)
    centering = np.eye(n) - 1 / n
    variances = np.linalg.eigvalsh(-0.5 * centering @ distances**2 @ centering).clip(min=0) / (n - 1)
    scales = np.sqrt(variances[variances > 1e-12 * variances.max()]) if variances.any() else np.zeros(1)
    points = generator.standard_normal((n_samples, n, len(scales))) * scales
    null = [_best_split(squareform(pdist(sample)), max_clusters)[1] for sample in points]
    return np.nan_to_num(np.array(null), nan=-1.0)


def _stability(
    distances: Array, labels: Labels, generator: np.random.Generator, n_subsets: int = 100
) -> float:
    """Return the mean adjusted Rand index of clusters of random subsets, of four fifths of the networks."""
    n, k = len(labels), int(labels.max()) + 1
    scores = []
    for _ in range(n_subsets):
        subset = np.sort(generator.choice(n, size=max(2 * MIN_SIZE, round(0.8 * n)), replace=False))
        within = distances[np.ix_(subset, subset)]
        tree = linkage(squareform(within, checks=False), method="average")
        scores.append(adjusted_rand_score(labels[subset], fcluster(tree, k, criterion="maxclust")))
    return float(np.mean(scores))
