"""Contrasts of log degeneracy between conditions, with cluster-robust standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from degen.statistics.jackknife import Array, Jackknife

_SMALLEST_ERROR = 1e-9
"""Standard error of a log degeneracy below which networks are equal up to rounding."""


class Contrasts(NamedTuple):
    """Weighted sums of log degeneracies, in each sample.

    Attributes:
        effects: (samples, contrasts).
        variances: squared standard errors, (samples, contrasts).
    """

    effects: Array
    variances: Array


def trend_weights(n_conditions: int) -> Array:
    """Return the weights of the least-squares slope through evenly spaced conditions.

    Returns:
        (1, conditions). The contrast is the change from the first to the last condition.

    Examples:
        >>> trend_weights(3)
        array([[-1.,  0.,  1.]])
    """
    positions = np.linspace(-0.5, 0.5, n_conditions)
    return (positions / (positions**2).sum())[None]


def pair_weights(n_conditions: int) -> Array:
    """Return the weights of the difference of every pair of conditions.

    Returns:
        (pairs, conditions). Differences from the first condition come first.

    Examples:
        >>> pair_weights(3)
        array([[-1.,  1.,  0.],
               [-1.,  0.,  1.],
               [ 0., -1.,  1.]])
    """
    identity = np.eye(n_conditions)
    return np.array([identity[b] - identity[a] for a, b in combinations(range(n_conditions), 2)])


def estimate_contrasts(
    jackknives: Sequence[Jackknife],
    counts: Sequence[Array],
    seeds: Sequence[Sequence[int]],
    weights: Array,
) -> Contrasts:
    """Estimate contrasts and their standard errors, which sum over seeds (Cameron & Miller 2015).

    Networks of one seed start from equal weights and are not independent. Networks of different seeds are.

    Args:
        jackknives: for each condition its log degeneracy in each sample, and the influence of its networks.
        counts: for each condition how often a sample contains each network, (samples, networks).
        seeds: for each condition the seeds of its networks.
        weights: (contrasts, conditions).
    """
    all_seeds = sorted(set().union(*seeds))
    positions = [np.searchsorted(all_seeds, list(condition)) for condition in seeds]
    draws, scaled = np.zeros((len(counts[0]), len(all_seeds))), []
    for estimate, drawn, columns in zip(jackknives, counts, positions, strict=True):
        n = drawn.sum(axis=1, keepdims=True)
        draws[:, columns] = drawn
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled.append(estimate.influence / np.sqrt(n * (n - 1)))
    variances = [_variance(row, scaled, positions, draws) for row in weights]
    effects = [_weighted_sum(row, jackknives) for row in weights]
    return Contrasts(np.stack(effects, axis=1), np.stack(variances, axis=1))


def _weighted_sum(weights: Array, jackknives: Sequence[Jackknife]) -> Array:
    """Return the sum over conditions of nonzero weight, so that another condition may be infinite."""
    parts = [weight * estimate.value for weight, estimate in zip(weights, jackknives, strict=True) if weight]
    with np.errstate(invalid="ignore"):
        return np.sum(parts, axis=0)


def _variance(
    weights: Array, scaled: Sequence[Array], positions: Sequence[NDArray[np.intp]], draws: Array
) -> Array:
    """Return the squared standard error of one contrast, (samples,).

    Args:
        weights: (conditions,).
        scaled: for each condition the contributions of its networks to its standard error.
        positions: for each condition the indices of its seeds.
        draws: how often a sample contains each seed, (samples, seeds).
    """
    influence = np.zeros_like(draws)
    with np.errstate(invalid="ignore", over="ignore"):
        for weight, values, columns in zip(weights, scaled, positions, strict=True):
            if weight:
                influence[:, columns] += weight * values
        return np.maximum((draws * influence**2).sum(axis=1), _SMALLEST_ERROR**2)
