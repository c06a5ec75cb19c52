"""Multidimensional scaling: networks as points in a plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import MDS


def embed_distances(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Embed networks in a plane by metric multidimensional scaling (as in Fig. 3A of the paper).

    The optimizer starts from classical scaling. Distances of a heuristic solver may violate the triangle
    inequality slightly, which makes eigenvalues of classical scaling negative. They are set to zero.

    Args:
        distances: symmetric, (networks, networks).

    Returns:
        Centered positions (networks, 2), in units of the distances.
    """
    n = len(distances)
    centering = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * centering @ distances**2 @ centering)
    start = np.zeros((n, 2))
    dimensions = min(2, n)
    start[:, :dimensions] = (vectors * np.sqrt(values.clip(min=0)))[:, ::-1][:, :dimensions]
    if not distances.any():
        return start  # the stress of equal networks is 0 / 0
    scaling = MDS(n_components=2, metric="precomputed", init="random", n_init=1, random_state=0)
    return scaling.fit_transform(distances, init=start)
