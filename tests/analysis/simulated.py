"""Simulated networks whose truth is known, and axes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from analysis.axes import Axis
from analysis.statistics import Bootstrap

BOOTSTRAP = Bootstrap(n_samples=400, level=0.9, seed=0)
NETWORKS = 15


def distances(generator: np.random.Generator, scale: float = 1.0, networks: int = NETWORKS) -> np.ndarray:
    """Between points on a line, normally scattered: 2 scale / sqrt(pi) apart on average."""
    points = scale * generator.standard_normal(networks)
    return np.abs(points[:, None] - points[None, :])


Make = Callable[[Sequence[np.ndarray], Sequence[Sequence[int]], Bootstrap, str], Axis]


def axis_of(make: Make, groups: Sequence[np.ndarray], task: str = "task") -> Axis:
    """The axis of networks of seeds 0, 1, ... in every condition."""
    return make(groups, [range(len(group)) for group in groups], BOOTSTRAP, task)
