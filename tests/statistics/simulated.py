"""Simulated networks with a known trend along a factor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from degen.statistics import Bootstrap, FactorCurve

BOOTSTRAP = Bootstrap(n_samples=400, level=0.9, seed=0)
NETWORKS, CONDITIONS, EXPERIMENTS = 15, 3, 250

CurveBuilder = Callable[[Sequence[np.ndarray], Sequence[Sequence[int]], Bootstrap, str], FactorCurve]


def distances(generator: np.random.Generator, scale: float = 1.0, networks: int = NETWORKS) -> np.ndarray:
    """Return distances of normal points on a line, whose mean is 2 scale / sqrt(pi)."""
    points = scale * generator.standard_normal(networks)
    return np.abs(points[:, None] - points[None, :])


def curve_of(build: CurveBuilder, groups: Sequence[np.ndarray], task: str = "task") -> FactorCurve:
    """Build the curve of networks with seeds 0, 1, ... in every condition."""
    return build(groups, [range(len(group)) for group in groups], BOOTSTRAP, task)
