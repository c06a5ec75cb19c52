"""Null hypotheses: conditions of equal degeneracy that differ in everything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from degen.statistics import (
    Bootstrap,
    FactorCurve,
    deviation_curve,
    distance_curve,
    mean_curve,
    ratio_curve,
)
from tests.statistics.simulated import log_normal, relative_distances

Null = Callable[[np.random.Generator, int, Bootstrap], list[FactorCurve]]
"""Function of a generator, the number of networks per condition, and a bootstrap."""

SAME_SHAPES = ("normal",) * 4
GROWING_SCATTER = ("normal", "log-normal 0.25", "log-normal 0.5", "log-normal 1")
SKEWNESS = (0.1, 0.4, 0.7, 1.0)
TASKS = ("flip_flop", "sine_wave", "delayed_discrimination", "path_integration")


def distance_null(*tasks: Sequence[str]) -> Null:
    """Return equal mean distances of networks from the given populations, for each task and condition."""

    def draw(generator: np.random.Generator, networks: int, bootstrap: Bootstrap) -> list[FactorCurve]:
        return [
            distance_curve(
                [relative_distances(population, generator, networks) for population in populations],
                [range(networks)] * len(populations),
                bootstrap,
                task,
            )
            for task, populations in zip(TASKS, tasks, strict=False)
        ]

    return draw


def deviation_null(*tasks: Sequence[float], changes: Sequence[float] = ()) -> Null:
    """Return standard deviations of log-normal values with the given shapes, where 0 is normal.

    Args:
        tasks: for each task and condition the shape.
        changes: for each condition the log of its standard deviation, zero by default.
    """

    def draw(generator: np.random.Generator, networks: int, bootstrap: Bootstrap) -> list[FactorCurve]:
        return [
            deviation_curve(_values(shapes, changes, generator, networks), seeds, bootstrap, task)
            for task, shapes in zip(TASKS, tasks, strict=False)
            for seeds in [[range(networks)] * len(shapes)]
        ]

    return draw


def _values(
    shapes: Sequence[float], changes: Sequence[float], generator: np.random.Generator, networks: int
) -> list[np.ndarray]:
    scales = np.exp(changes) if len(changes) else np.ones(len(shapes))
    normal = generator.standard_normal((len(shapes), networks))
    pairs = zip(shapes, normal, scales, strict=True)
    return [scale * (log_normal(shape, row) if shape else row) for shape, row, scale in pairs]


def unequal_numbers(generator: np.random.Generator, networks: int, bootstrap: Bootstrap) -> list[FactorCurve]:
    """Return equal mean distances of twice as many networks in the first condition."""
    sizes = (2 * networks, networks, networks)
    matrices = [relative_distances("log-normal 0.5", generator, size) for size in sizes]
    return [distance_curve(matrices, [range(size) for size in sizes], bootstrap, "flip_flop")]


def no_shared_seeds(generator: np.random.Generator, networks: int, bootstrap: Bootstrap) -> list[FactorCurve]:
    """Return equal mean distances of two conditions without shared seeds."""
    matrices = [relative_distances("log-normal 0.5", generator, networks) for _ in range(2)]
    seeds = [range(networks), range(networks, 2 * networks)]
    return [distance_curve(matrices, seeds, bootstrap, "flip_flop")]


def correlated_seeds(
    generator: np.random.Generator, networks: int, bootstrap: Bootstrap
) -> list[FactorCurve]:
    """Return equal means of values of which adjacent conditions correlate by 0.8 within a seed."""
    root = np.linalg.cholesky(0.8 ** np.abs(np.subtract.outer(range(4), range(4))))
    groups = 10 + root @ generator.standard_normal((4, networks))
    return [mean_curve(list(groups), [range(networks)] * 4, bootstrap, "flip_flop")]


def unequal_variances(
    generator: np.random.Generator, networks: int, bootstrap: Bootstrap
) -> list[FactorCurve]:
    """Return equal means of values whose standard deviation grows fourfold."""
    groups = [10 + generator.normal(0, scale, networks) for scale in (1, 2, 4)]
    return [mean_curve(groups, [range(networks)] * 3, bootstrap, "flip_flop")]


def equal_ratios(generator: np.random.Generator, networks: int, bootstrap: Bootstrap) -> list[FactorCurve]:
    """Return equal coefficients of variation of log-normal losses whose mean grows."""
    losses = [scale * np.exp(0.5 * generator.standard_normal(networks)) for scale in (1.0, 3.0, 9.0)]
    seeds = [range(networks)] * 3
    deviations = deviation_curve(losses, seeds, bootstrap, "flip_flop")
    return [ratio_curve(deviations, mean_curve(losses, seeds, bootstrap, "flip_flop"))]


NULLS: dict[str, Null] = {
    "distances: same distribution": distance_null(SAME_SHAPES),
    "distances: same distribution, log-normal 1": distance_null(("log-normal 1",) * 4),
    "distances: four tasks": distance_null(*[("log-normal 0.5",) * 3] * 4),
    "distances: unequal numbers": unequal_numbers,
    "distances: no shared seeds": no_shared_seeds,
    "distances: scatter grows": distance_null(GROWING_SCATTER),
    "distances: scatter grows, two conditions": distance_null(("normal", "log-normal 1")),
    "means: adjacent conditions correlate": correlated_seeds,
    "means: variance grows": unequal_variances,
    "sigma: same distribution": deviation_null((0.0,) * 4),
    "sigma: same distribution, log-normal 1": deviation_null((1.0,) * 4),
    "sigma: same distribution, log-normal 1, two conditions": deviation_null((1.0,) * 2),
    "sigma: skewness grows, log-normal 0.25 to 0.75": deviation_null((0.25, 0.5, 0.75)),
    "sigma: skewness grows, log-normal 0.1 to 1": deviation_null(SKEWNESS),
    "sigma: skewness differs, four tasks": deviation_null(
        SKEWNESS, (0.25, 0.5, 0.75), (1.0, 0.5, 0.25), (0.5, 0.0)
    ),
    "sigma / mean: same ratio": equal_ratios,
}
"""Null hypotheses of docs/statistics.md."""
