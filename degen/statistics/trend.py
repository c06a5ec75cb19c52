"""Trends of degeneracy along a factor: effect size, interval and test (docs/statistics.md)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from degen.statistics.bootstrap import Bootstrap
from degen.statistics.contrast import trend_weights
from degen.statistics.factor_curve import FactorCurve
from degen.statistics.inference import PooledContrasts
from degen.statistics.jackknife import Array
from degen.statistics.joint_test import JointTest, require_different_tasks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trend(JointTest):
    """Trend of a degeneracy along a factor, from the lowest to the highest condition.

    The effect is the change of the log degeneracy over the whole factor, from a line fitted to evenly spaced
    conditions, the mean over tasks. Effect, interval and p belong to one statistic: the effect over its
    standard error, with equal weights of tasks. If p is below 1 - level of the interval, the interval
    excludes zero.
    """

    n_effects: int = 1

    @property
    def standard_error(self) -> float:
        """Jackknife standard error of the effect, which sums over seeds."""
        return float(self.contrasts.errors[0])

    @property
    def spearman(self) -> float:
        """Rank correlation of factor and degeneracy over conditions, the mean over tasks."""
        return float(np.mean([_spearman(curve.values) for curve in self.contrasts.curves]))

    @property
    def slope(self) -> float:
        """Effect in standard errors."""
        return self.effect / self.standard_error

    @property
    def change(self) -> float:
        """Effect as a relative change over the whole factor: 0.5 means 50 % more."""
        return float(np.expm1(self.effect))


def fit_trend(curves: Sequence[FactorCurve], bootstrap: Bootstrap, n_permutations: int) -> Trend:
    """Compute the trend of one task, or the mean trend of several tasks with equal weights.

    The interval resamples seeds within each task. The test permutes the networks of each seed between
    conditions, because networks of one seed start from equal weights.

    Args:
        curves: one curve per task.
        bootstrap: level of the interval, and the seed of the permutations.
        n_permutations: number of permutations.

    Raises:
        BadInputError: two curves have the same task.

    Examples:
        >>> from degen.statistics import mean_curve
        >>> bootstrap = Bootstrap(n_samples=1000, level=0.95, seed=0)
        >>> losses = np.array([1.0, 1.1, 0.9, 1.05, 0.95])
        >>> curve = mean_curve([losses, 2 * losses, 4 * losses], [range(5)] * 3, bootstrap, "flip_flop")
        >>> trend = fit_trend([curve], bootstrap, n_permutations=199)
        >>> round(trend.change, 2), trend.direction(significance=0.05)
        (3.0, '↑')
    """
    require_different_tasks(curves)
    contrasts = PooledContrasts(
        curves,
        [trend_weights(len(curve.seeds)) for curve in curves],
        bootstrap,
        n_permutations,
        null_curves=curves,
        strata=[[0] * len(curve.seeds) for curve in curves],
    )
    return Trend(contrasts=contrasts)


def _spearman(values: Array) -> float:
    """Return the rank correlation of values with their order, or NaN if all values are equal."""
    return math.nan if np.ptp(values) == 0 else float(spearmanr(np.arange(len(values)), values).statistic)
