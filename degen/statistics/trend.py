"""Trends of degeneracy along a factor: effect size, interval and permutation test.

The definitions are in docs/specification.md, section 7, and docs/paper.md, "Statistics".
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np
from scipy.stats import spearmanr

from degen.errors import require
from degen.statistics.bootstrap import Array, Bootstrap
from degen.statistics.factor_curve import FactorCurve
from degen.statistics.permutation import fitted_slope

RISES, FALLS, NO_DIRECTION = "\u2191", "\u2193", "-"
"""Directions of an effect."""


@dataclasses.dataclass(frozen=True)
class Trend:
    """Trend of a degeneracy along a factor, from the lowest to the highest condition.

    Attributes:
        effect: change of the log degeneracy over the whole factor, from a line fitted to evenly spaced
            conditions. Positive if degeneracy rises.
        low: lower end of the bootstrap interval of the effect.
        high: upper end of the bootstrap interval of the effect.
        spearman: rank correlation of factor and degeneracy over conditions, the mean over tasks.
        networks: number of networks in all conditions.
        test: permutation test against no trend, which returns p and the slope in standard errors. It runs
            when `p` or `slope` is first used, because it takes most of the time.
    """

    effect: float
    low: float
    high: float
    spearman: float
    networks: int
    test: Callable[[], tuple[float, float]] = dataclasses.field(repr=False, compare=False)

    @cached_property
    def _test_result(self) -> tuple[float, float]:
        return self.test()

    @property
    def p(self) -> float:
        """Two-sided p of the permutation test."""
        return self._test_result[0]

    @property
    def slope(self) -> float:
        """Test statistic: the slope in standard errors, summed over tasks.

        It weights tasks by their precision, while the effect weights them equally. The two may differ in
        sign.
        """
        return self._test_result[1]

    @property
    def excludes_zero(self) -> bool:
        """True if the interval of the effect excludes zero."""
        return self.low > 0 or self.high < 0

    def direction(self, significance: float) -> str:
        """Return the direction of the effect, `RISES` or `FALLS`, or `NO_DIRECTION` if it is undecided.

        A direction needs an interval that excludes zero, p below the significance, and a slope with the sign
        of the effect.
        """
        # In this order: p takes time, and is not needed where the interval contains zero.
        is_decided = self.excludes_zero and self.p < significance and self.slope * self.effect > 0
        if not is_decided:
            return NO_DIRECTION
        return RISES if self.effect > 0 else FALLS

    @property
    def change(self) -> float:
        """Effect as a relative change over the whole factor: 0.5 means 50 % more."""
        return float(np.expm1(self.effect))


def fit_trend(curves: Sequence[FactorCurve], bootstrap: Bootstrap, n_permutations: int) -> Trend:
    """Compute the trend of one task, or the mean trend of several tasks with equal weights.

    The test permutes the networks of each seed between conditions, because networks of one seed start from
    equal weights. It compares slopes in standard errors (`FactorCurve.permutation_slopes`), so that
    conditions may differ in variance, and adjacent conditions may be more similar than distant ones (Janssen
    1997, Statistics & Probability Letters 36). One permutation test covers all tasks. p is NaN if a value is
    not finite.

    Args:
        curves: one curve per task.
        bootstrap: settings of the interval, and the seed of the permutations.
        n_permutations: number of permutations.

    Raises:
        BadInputError: two curves have the same task.

    Examples:
        >>> from degen.statistics import mean_curve
        >>> bootstrap = Bootstrap(n_samples=1000, level=0.95, seed=0)
        >>> losses = np.array([1.0, 1.1, 0.9, 1.05, 0.95])
        >>> curve = mean_curve([losses, 2 * losses, 4 * losses], [range(5)] * 3, bootstrap, "flip_flop")
        >>> trend = fit_trend([curve], bootstrap, n_permutations=199)
        >>> round(trend.change, 2), trend.p, trend.direction(significance=0.05)
        (3.0, 0.005, '↑')
    """
    tasks = [curve.task for curve in curves]
    require(len(set(tasks)) == len(tasks), "tasks of curves", tasks, "different: they key random draws")
    with np.errstate(divide="ignore", invalid="ignore"):
        effects = np.array([fitted_slope(np.log(curve.values)) for curve in curves])
        samples = np.mean([fitted_slope(np.log(curve.bootstrap_values)) for curve in curves], axis=0)
    low, high = bootstrap.interval(samples[np.isfinite(samples)])
    return Trend(
        effect=float(effects.mean()),
        low=low,
        high=high,
        spearman=float(np.mean([_spearman(curve.values) for curve in curves])),
        networks=sum(len(values) for curve in curves for values in curve.network_values),
        test=partial(_permutation_test, curves, bootstrap.seed, n_permutations),
    )


def _permutation_test(curves: Sequence[FactorCurve], seed: int, n_permutations: int) -> tuple[float, float]:
    slopes = [curve.permutation_slopes(seed, n_permutations) for curve in curves]
    observed = sum(slope for slope, _ in slopes)
    if not math.isfinite(observed):
        return math.nan, math.nan
    permuted = np.sum([permuted for _, permuted in slopes], axis=0)
    extreme = np.count_nonzero(np.abs(permuted) >= abs(observed) - 1e-12)
    return float((1 + extreme) / (1 + n_permutations)), observed


def _spearman(values: Array) -> float:
    """Return the rank correlation of values with their order, or NaN if all values are equal."""
    return math.nan if np.ptp(values) == 0 else float(spearmanr(np.arange(len(values)), values).statistic)
