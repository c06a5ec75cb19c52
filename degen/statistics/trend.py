"""Trends of degeneracy along a factor: effect size, interval and test (docs/statistics.md)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from scipy.stats import spearmanr

from degen.errors import require
from degen.statistics.bootstrap import Bootstrap
from degen.statistics.contrast import trend_weights
from degen.statistics.factor_curve import FactorCurve
from degen.statistics.inference import PooledContrasts
from degen.statistics.jackknife import Array

RISES, FALLS, NO_DIRECTION = "\u2191", "\u2193", "-"
"""Directions of an effect."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trend:
    """Trend of a degeneracy along a factor, from the lowest to the highest condition.

    Effect, interval and p belong to one statistic: the effect over its standard error, with equal weights of
    tasks. If p is below 1 - level of the interval, the interval excludes zero.

    Attributes:
        effect: change of the log degeneracy over the whole factor, from a line fitted to evenly spaced
            conditions, the mean over tasks. Positive if degeneracy rises.
        low: lower end of the bootstrap-t interval of the effect.
        high: upper end of the bootstrap-t interval of the effect.
        standard_error: jackknife standard error of the effect.
        spearman: rank correlation of factor and degeneracy over conditions, the mean over tasks.
        networks: number of networks in all conditions.
        smallest_p: least p that the permutations can give. If it is not below the significance, there are
            too few networks with shared seeds for a test.
        detectable_change: change of the log degeneracy that this design detects with a power of about 0.8 at
            a significance of 1 - level. Infinite if there are too few networks.
        problem: reason why interval and p are NaN, for example a degeneracy of zero. Empty if there is none.
        test: returns p and its Monte Carlo standard error. It runs when `p` or `p_error` is first used,
            because it takes most of the time.
    """

    effect: float
    low: float
    high: float
    standard_error: float
    spearman: float
    networks: int
    smallest_p: float
    detectable_change: float
    problem: str
    test: Callable[[], tuple[float, float]] = dataclasses.field(repr=False, compare=False)

    @cached_property
    def _test_result(self) -> tuple[float, float]:
        return self.test()

    @property
    def p(self) -> float:
        """Two-sided p of the hypothesis that the effect is zero."""
        return self._test_result[0]

    @property
    def p_error(self) -> float:
        """Monte Carlo standard error of p."""
        return self._test_result[1]

    @property
    def slope(self) -> float:
        """Effect in standard errors."""
        return self.effect / self.standard_error

    @property
    def excludes_zero(self) -> bool:
        """True if the interval of the effect excludes zero."""
        return self.low > 0 or self.high < 0

    def direction(self, significance: float) -> str:
        """Return the direction of the effect, `RISES` or `FALLS`, or `NO_DIRECTION` if it is undecided.

        A direction needs an interval that excludes zero, and p below the significance.
        """
        # In this order: p takes time, and is not needed where the interval contains zero.
        if not (self.excludes_zero and self.p < significance):
            return NO_DIRECTION
        return RISES if self.effect > 0 else FALLS

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
    ((effect, low, high),) = contrasts.intervals
    return Trend(
        effect=effect,
        low=low,
        high=high,
        standard_error=float(contrasts.errors[0]),
        spearman=float(np.mean([_spearman(curve.values) for curve in curves])),
        networks=sum(len(values) for curve in curves for values in curve.network_values),
        smallest_p=contrasts.smallest_p,
        detectable_change=float(contrasts.detectable_changes[0]),
        problem=contrasts.problem,
        test=contrasts.p_value,
    )


def require_different_tasks(curves: Sequence[FactorCurve]) -> None:
    """Raise `BadInputError` if two curves have the same task."""
    tasks = [curve.task for curve in curves]
    require(len(set(tasks)) == len(tasks), "tasks of curves", tasks, "different: they key random draws")


def _spearman(values: Array) -> float:
    """Return the rank correlation of values with their order, or NaN if all values are equal."""
    return math.nan if np.ptp(values) == 0 else float(spearmanr(np.arange(len(values)), values).statistic)
