"""Interval and p value of contrasts from one studentized statistic, pooled over tasks.

The statistic is the effect over its standard error. Its distribution is estimated twice: by the bootstrap
over seeds, which gives the interval, and by permutation of networks between conditions. p is the larger of
both p values, because each alone has too many false positives under some null hypotheses
(docs/statistics.md).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from degen.statistics.bootstrap import Bootstrap, Estimate, studentize
from degen.statistics.contrast import Contrasts
from degen.statistics.factor_curve import FactorCurve
from degen.statistics.jackknife import Array
from degen.statistics.permutation import log_number_of_permutations

_TIE = 1e-6
"""Difference of studentized effects that is rounding error."""

_QUANTILE = 0.9
"""Quantile of the error of an estimate, for a power of about 0.8.

It exceeds the power because the standard error is itself estimated (docs/statistics.md).
"""


@dataclasses.dataclass(frozen=True)
class PooledContrasts:
    """Contrasts of log degeneracy, with equal weights of tasks.

    Attributes:
        curves: one curve per task.
        weights: for each task the weight of each condition in each contrast, (contrasts, conditions).
        bootstrap: supplies the level of the intervals and the seed of the permutations.
        n_permutations: number of permutations.
        null_curves: one curve per task, whose networks are permuted.
        strata: for each task the stratum of each condition. Permutations stay in a stratum.
        n_equivalent: number of relabelings of the conditions that give the same test statistic.
    """

    curves: Sequence[FactorCurve]
    weights: Sequence[Array]
    bootstrap: Bootstrap
    n_permutations: int
    null_curves: Sequence[FactorCurve]
    strata: Sequence[Sequence[int]]
    n_equivalent: int = 2

    @cached_property
    def effects(self) -> Array:
        """Mean change of the log degeneracy over tasks, (contrasts,)."""
        return self._observed.effects[0]

    @cached_property
    def errors(self) -> Array:
        """Standard errors of the effects, (contrasts,)."""
        return np.sqrt(self._observed.variances[0])

    @property
    def problem(self) -> str:
        """Reason why there is no interval and no p, empty if there is none."""
        for curve in self.curves:
            for index, value in enumerate(curve.values):
                if not (math.isfinite(value) and value > 0):
                    return f"{curve.task}: condition {index + 1} has a degeneracy of {value:g}"
        if not np.isfinite(self.errors).all():
            return "a condition has a degeneracy of zero without one of its networks"
        return ""

    @cached_property
    def intervals(self) -> list[Estimate]:
        """Effects with their bootstrap-t intervals."""
        if self.problem:
            return [Estimate(float(effect), math.nan, math.nan) for effect in self.effects]
        columns = zip(self.effects, self.errors, self._bootstrap_t.T, strict=True)
        return [Estimate(float(column[0]), *self.bootstrap.interval(*column)) for column in columns]

    @cached_property
    def smallest_p(self) -> float:
        """Least p that permutations can give. Above the significance, too few networks share seeds."""
        pairs = zip(self.curves, self.strata, strict=True)
        log_number = sum(log_number_of_permutations(curve.seeds, strata) for curve, strata in pairs)
        least = math.exp(min(0.0, math.log(self.n_equivalent) - log_number))
        return max(least, 1 / (1 + self.n_permutations))

    @property
    def detectable_changes(self) -> Array:
        """Log changes that a test at 1 - level detects with a power of about 0.8, (contrasts,).

        The longer arm of the interval is the least significant effect. The estimate exceeds it with the given
        probability if the true effect is larger by a quantile of its error.
        """
        if self.smallest_p >= 1 - self.bootstrap.level:
            return np.full(len(self.effects), math.inf)
        arms = np.array([max(high - effect, effect - low) for effect, low, high in self.intervals])
        return arms + norm.ppf(_QUANTILE) * self.errors

    def p_value(self) -> tuple[float, float]:
        """Return p of the hypothesis that all contrasts are zero, and its Monte Carlo standard error."""
        if self.problem:
            return math.nan, math.nan
        by_permutation = self._permutation_p()
        by_bootstrap = self._bootstrap_p()
        return max(by_permutation, by_bootstrap, (self.smallest_p, 0.0))

    @cached_property
    def _observed(self) -> Contrasts:
        pairs = zip(self.curves, self.weights, strict=True)
        return _pool([curve.observed(weights) for curve, weights in pairs])

    @property
    def _t(self) -> Array:
        """Return the studentized effects (contrasts,)."""
        return self.effects / self.errors

    @cached_property
    def _bootstrap_t(self) -> Array:
        """Return the studentized deviations of bootstrap samples from the effects, (samples, contrasts)."""
        pairs = zip(self.curves, self.weights, strict=True)
        samples = _pool([curve.bootstrapped(weights) for curve, weights in pairs])
        return studentize(samples.effects - self.effects, np.sqrt(samples.variances), self.errors)

    def _permutation_p(self) -> tuple[float, float]:
        parts = zip(self.null_curves, self.weights, self.strata, strict=True)
        seed, number = self.bootstrap.seed, self.n_permutations
        permuted = _pool(
            [curve.permuted(weights, stratum, seed, number) for curve, weights, stratum in parts]
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(permuted.effects / np.sqrt(permuted.variances)).max(axis=1)
        # A permutation that is not finite counts as extreme, and so do ties.
        return _share(~(t < np.abs(self._t).max() - _TIE))

    def _bootstrap_p(self) -> tuple[float, float]:
        """Return the bootstrap p and its Monte Carlo standard error.

        One contrast: inversion of the bootstrap-t interval. Several: the largest absolute studentized effect.
        """
        samples = self._bootstrap_t[np.isfinite(self._bootstrap_t).all(axis=1)]
        if len(self._t) == 1:
            p, error = min(_share(sign * (samples - self._t) >= -_TIE) for sign in (1, -1))
            return min(1.0, 2 * p), 2 * error
        largest = np.abs(samples).max(axis=1)
        return _share(largest >= np.abs(self._t).max() - _TIE)


def _share(is_extreme: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the share of extreme samples, of which the data are one, and its standard error."""
    number = 1 + is_extreme.size
    share = (1 + int(is_extreme.sum())) / number
    return share, math.sqrt(share * (1 - share) / number)


def _pool(of_tasks: Sequence[Contrasts]) -> Contrasts:
    """Return the mean over independent tasks."""
    number = len(of_tasks)
    effects, variances = (np.sum(parts, axis=0) for parts in zip(*of_tasks, strict=True))
    return Contrasts(effects / number, variances / number**2)
