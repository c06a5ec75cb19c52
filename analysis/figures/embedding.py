"""Networks in the plane by multidimensional scaling of their distances (as Fig. 3A of the paper)."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import MDS

from degen.reporting.style import PANEL, finish, save


def draw(
    distances: dict[str, NDArray[np.float64]], titles: dict[str, str], metric: str, words: str, folder: Path
) -> list[Path]:
    """Draw each condition's networks, all panels to one scale: tighter means less degenerate.

    Args:
        distances: signature to matrix (networks, networks).
        titles: signature to what stands above the panel.
        metric: its name.
        words: the networks behind it, those left out and why.
    """
    columns = min(4, len(distances))
    rows = -(-len(distances) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(PANEL[0] * columns, PANEL[0] * rows), squeeze=False, layout="constrained"
    )
    points = {signature: embed(matrix) for signature, matrix in distances.items()}
    reach = 1.1 * max(np.abs(place).max() for place in points.values()) or 1.0
    for axis, (signature, place) in zip(axes.flat, points.items(), strict=False):
        axis.scatter(*place.T, s=12, alpha=0.8, linewidth=0)
        axis.set(title=titles[signature], xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axis.set(xlabel=f"{len(place)} networks")
    for axis in axes.flat[len(points) :]:
        axis.set_visible(False)
    figure.suptitle(f"multidimensional scaling of {metric.upper()} distances")
    return save(finish(figure, words), folder, f"embedding-{metric}")


def embed(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return centered positions in the plane (networks, 2).

    Distances of a heuristic solver may violate the triangle inequality slightly, and classical scaling then
    has negative eigenvalues. They are set to zero here.
    """
    centering = np.eye(len(distances)) - 1 / len(distances)
    values, vectors = np.linalg.eigh(-0.5 * centering @ distances**2 @ centering)
    start = np.zeros((len(distances), 2))
    largest = min(2, len(values))
    start[:, :largest] = (vectors * np.sqrt(values.clip(min=0)))[:, ::-1][:, :largest]
    if not distances.any():
        return start  # the stress of equal networks is 0 / 0
    scaling = MDS(n_components=2, metric="precomputed", init="random", n_init=1, random_state=0)
    return scaling.fit_transform(distances, init=start)
