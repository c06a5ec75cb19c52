"""Clusters of networks: number, p-value against one cluster, and stability."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from degen.errors import require, require_integer, require_number
from degen.statistics.bisection import bisect
from degen.statistics.jackknife import Array

Labels = NDArray[np.int64]

_FLAT_COORDINATES = 3
"""Leading principal coordinates that are uniform under the null hypothesis. The others are normal."""

_ZERO = 1e-10
"""Relative size of an eigenvalue that is zero but for rounding."""


@dataclasses.dataclass(frozen=True)
class Clusters:
    """Clusters of networks.

    Attributes:
        labels: (networks,), the cluster of each network: 1 for the largest cluster, then 2, ...
        p: p-value of the first division against the null hypothesis of one cluster, NaN for fewer networks
            than two clusters need.
        stability: mean Jaccard similarity of each cluster to its most similar cluster in bootstrap samples,
            of the least stable cluster. NaN for one cluster.
    """

    labels: Labels
    p: float
    stability: float

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return int(self.labels.max())

    @property
    def sizes(self) -> list[int]:
        """Number of networks in each cluster, largest first."""
        return [int(size) for size in np.bincount(self.labels)[1:]]


def find_clusters(
    distances: Array,
    *,
    significance: float = 0.05,
    min_size: int = 3,
    n_samples: int = 999,
    seed: int = 0,
) -> Clusters:
    r"""Divide networks into clusters as long as one cluster is rejected.

    The networks are points in all principal coordinates of the distances. The statistic of a division into
    two clusters is the fraction of the total variance between them, the largest over divisions that 2-means
    finds from each leading coordinate (cluster index of SigClust, Liu et al. 2008). It is compared with
    samples of one cluster that have exactly the variances of the principal coordinates. Their coordinates are
    random: uniform in the three leading ones, normal in the others, and orthogonal. With normal coordinates
    only, the test is the rotation test of Perry & Owen (2010), which is exact for normal networks of any
    covariance. Uniform coordinates make it conservative, because no symmetric distribution with one mode has
    a larger fraction of its variance between its halves: :math:`(E|X|)^2 / E X^2 \le 3/4`.

    Both parts of a significant division are tested in turn, at a significance proportional to their number
    of networks minus 1, which bounds the probability of any false division (Kimes et al. 2017). For the
    stability (Hennig 2007), the distinct networks of bootstrap samples are divided into the same number of
    clusters without a test.

    Args:
        distances: symmetric, (networks, networks).
        significance: largest p-value of a division of all networks.
        min_size: smallest number of networks in a cluster. Fewer far networks are outliers, and belong to
            the nearest cluster.
        n_samples: number of samples of one cluster. One tenth of this number are bootstrap samples.
        seed: seed of the samples.

    Raises:
        BadInputError: distances that are not finite, symmetric and nonnegative with a zero diagonal, or a
            number out of range.

    Examples:
        Two groups of eight networks:

        >>> points = np.random.default_rng(0).standard_normal((16, 5))
        >>> points[:8, 0] += 8
        >>> distances = np.linalg.norm(points[:, None] - points, axis=2)
        >>> clusters = find_clusters(distances)
        >>> clusters.sizes, clusters.p
        ([8, 8], 0.001)
    """
    distances = _checked(distances)
    require_number("significance", significance, above=0.0, maximum=1.0)
    require_integer("min_size", min_size, 2)
    require_integer("n_samples", n_samples, 1)
    require_integer("seed", seed, 0)
    generator = np.random.default_rng(seed)
    points, n = principal_coordinates(distances), len(distances)
    parts, undivided = [np.arange(n)], []
    p_of_all = math.nan
    while parts:
        part = parts.pop()
        is_first, p = _test(points[part], min_size, n_samples, generator)
        if len(part) == n:
            p_of_all = p
        if p <= significance * (len(part) - 1) / max(n - 1, 1):
            parts += [part[is_first], part[~is_first]]
        else:
            undivided.append(part)
    labels = _label(undivided, n)
    return Clusters(labels, p_of_all, _stability(points, labels, max(1, n_samples // 10), generator))


def principal_coordinates(distances: Array) -> Array:
    """Embed networks by classical scaling, without the axes of negative eigenvalues.

    Args:
        distances: symmetric, (networks, networks).

    Returns:
        (networks, coordinates), of mean zero, uncorrelated, largest variance first.
    """
    n = len(distances)
    centering = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * centering @ distances**2 @ centering)
    return _scale(values[::-1], vectors[:, ::-1])


def _scale(variances: Array, axes: Array) -> Array:
    is_positive = variances > _ZERO * variances.max(initial=0.0)
    return axes[:, is_positive] * np.sqrt(variances[is_positive])


def _rotate(points: Array) -> Array:
    """Return points relative to their mean, in their own principal coordinates."""
    axes, deviations, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    return _scale(deviations**2, axes)


def _test(
    points: Array, min_size: int, n_samples: int, generator: np.random.Generator
) -> tuple[NDArray[np.bool_], float]:
    """Return the best division of points (networks, coordinates), and its p-value."""
    points = _rotate(points)
    n, n_coordinates = points.shape
    if n < 2 * min_size or n_coordinates == 0:
        return np.zeros(n, dtype=bool), math.nan
    observed = bisect(points[None], min_size)
    samples = generator.standard_normal((n_samples, n, n_coordinates))
    # Uniform numbers of variance 1.
    leading = slice(min(_FLAT_COORDINATES, n_coordinates))
    samples[:, :, leading] = math.sqrt(12) * (generator.random(samples[:, :, leading].shape) - 0.5)
    axes, _ = np.linalg.qr(samples - samples.mean(axis=1, keepdims=True))
    sampled = bisect(axes * np.linalg.norm(points, axis=0), min_size).explained
    # Equal divisions may differ by rounding.
    n_larger = int((sampled >= observed.explained[0] - _ZERO).sum())
    return observed.is_first[0], (n_larger + 1) / (n_samples + 1)


def _divide(points: Array, n_clusters: int) -> list[Labels]:
    """Divide points into a number of clusters, always the cluster that gains most explained variance."""
    parts = [np.arange(len(points))]
    while len(parts) < n_clusters:
        divisions = [_best_division(points, part) for part in parts]
        index = int(np.argmax([gain for _, gain in divisions]))
        part, is_first = parts.pop(index), divisions[index][0]
        parts += [part[is_first], part[~is_first]]
    return parts


def _best_division(points: Array, part: Labels) -> tuple[NDArray[np.bool_], float]:
    """Return the best division of a part, and the variance that it explains."""
    rotated = _rotate(points[part])
    if len(part) < 2 or rotated.shape[1] == 0:
        return np.zeros(len(part), dtype=bool), -math.inf
    division = bisect(rotated[None], min_size=1)
    return division.is_first[0], float(division.explained[0] * (rotated**2).sum())


def _label(parts: list[Labels], n: int) -> Labels:
    """Number clusters from 1 by size, largest first. Equal sizes are numbered by their first network."""
    labels = np.empty(n, dtype=np.int64)
    for number, part in enumerate(sorted(parts, key=lambda part: (-len(part), part.min())), 1):
        labels[part] = number
    return labels


def _stability(points: Array, labels: Labels, n_samples: int, generator: np.random.Generator) -> float:
    """Return the mean Jaccard similarity over bootstrap samples, of the least stable cluster."""
    n, n_clusters = len(labels), int(labels.max())
    if n_clusters == 1:
        return math.nan
    similarities = np.full((n_samples, n_clusters), math.nan)
    for sample in range(n_samples):
        members = np.unique(generator.integers(0, n, n))
        parts = [members[part] for part in _divide(points[members], n_clusters)]
        for cluster in range(n_clusters):
            own = members[labels[members] == cluster + 1]
            if len(own):
                similarities[sample, cluster] = max(_jaccard(own, part) for part in parts)
    return float(np.nanmean(similarities, axis=0).min())


def _jaccard(first: Labels, second: Labels) -> float:
    return len(np.intersect1d(first, second)) / len(np.union1d(first, second))


def _checked(distances: Array) -> Array:
    matrix = np.asarray(distances, dtype=np.float64)
    is_square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] and len(matrix) >= 1
    require(is_square, "distances shape", matrix.shape, "square")
    require(bool(np.isfinite(matrix).all()), "distances", "NaN or infinity", "finite")
    require(bool((matrix >= 0).all()), "distances", float(matrix.min()), "at least 0")
    allowed = "zero from a network to itself"
    diagonal = np.diag(matrix)
    require(
        bool((diagonal <= _ZERO * max(matrix.max(), 1)).all()), "distances", float(diagonal.max()), allowed
    )
    is_symmetric = np.allclose(matrix, matrix.T)
    require(is_symmetric, "distances", "a matrix that differs from its transpose", "symmetric")
    return (matrix + matrix.T) / 2
