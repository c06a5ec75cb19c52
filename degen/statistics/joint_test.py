"""Tests of several effects, and of differences between unordered conditions (docs/statistics.md)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from degen.errors import require
from degen.statistics.bootstrap import Bootstrap, Estimate
from degen.statistics.contrast import pair_weights
from degen.statistics.factor_curve import FactorCurve
from degen.statistics.inference import PooledContrasts
from degen.statistics.jackknife import Array

RISES, FALLS, DIFFERS, NO_DIRECTION = "\u2191", "\u2193", "\u2260", "-"
"""Directions of an effect. Several effects have no common direction, but may differ from zero."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JointTest:
    """Effects on the log degeneracy, and one test of the hypothesis that all of them are zero.

    Attributes:
        contrasts: the tested contrasts. The first `n_effects` of them are the effects.
        n_effects: number of effects.
    """

    contrasts: PooledContrasts = dataclasses.field(repr=False)
    n_effects: int

    @property
    def effects(self) -> list[Estimate]:
        """Changes of the log degeneracy with their intervals, the mean over tasks."""
        return self.contrasts.intervals[: self.n_effects]

    @property
    def effect(self) -> float:
        """The only effect, or NaN if there are several."""
        return self._single.value

    @property
    def low(self) -> float:
        """Lower end of the interval of the only effect, or NaN if there are several."""
        return self._single.low

    @property
    def high(self) -> float:
        """Upper end of the interval of the only effect, or NaN if there are several."""
        return self._single.high

    @property
    def _single(self) -> Estimate:
        return self.effects[0] if self.n_effects == 1 else Estimate(math.nan, math.nan, math.nan)

    @property
    def networks(self) -> int:
        """Number of networks in all conditions."""
        return sum(len(values) for curve in self.contrasts.curves for values in curve.network_values)

    @property
    def smallest_p(self) -> float:
        """Least p that the permutations can give.

        If it is not below the significance, there are too few networks for a test.
        """
        return self.contrasts.smallest_p

    @property
    def detectable_change(self) -> float:
        """Change of the log degeneracy, in every effect, that this design detects with a power of about 0.8.

        The significance is 1 - level. The change is infinite if there are too few networks.
        """
        return float(self.contrasts.detectable_changes[: self.n_effects].max())

    @property
    def problem(self) -> str:
        """Reason why intervals and p are NaN, such as a degeneracy of zero. Empty if there is none."""
        return self.contrasts.problem

    @cached_property
    def _test_result(self) -> tuple[float, float]:
        return self.contrasts.p_value()

    @property
    def p(self) -> float:
        """P of the hypothesis that all effects are zero. It is computed when it is first used."""
        return self._test_result[0]

    @property
    def p_error(self) -> float:
        """Monte Carlo standard error of p."""
        return self._test_result[1]

    @property
    def excludes_zero(self) -> bool:
        """True if there is one effect, whose interval excludes zero."""
        return self.low > 0 or self.high < 0

    def direction(self, significance: float) -> str:
        """Return `RISES`, `FALLS`, `DIFFERS` or `NO_DIRECTION`.

        A single effect rises or falls if its interval excludes zero and p is below `significance`. Several
        effects differ if p is below `significance`.
        """
        if self.n_effects > 1:
            return DIFFERS if self.p < significance else NO_DIRECTION
        # In this order: p takes time, and is not needed where the interval contains zero.
        if not (self.excludes_zero and self.p < significance):
            return NO_DIRECTION
        return RISES if self.effect > 0 else FALLS


def fit_contrast(curves: Sequence[FactorCurve], bootstrap: Bootstrap, n_permutations: int) -> JointTest:
    """Compare unordered conditions: each with the first, and all with one test.

    The test statistic is the largest studentized difference between two conditions. Networks of equal seed
    are exchanged with each other. Groups of independent networks have different seeds in all conditions.
    With two conditions, effect, interval and p are those of `fit_trend`.

    Args:
        curves: one curve per task, with the same conditions in the same order.
        bootstrap: level of the intervals, and the seed of the permutations.
        n_permutations: number of permutations.

    Raises:
        BadInputError: two curves have the same task, or different numbers of conditions.

    Examples:
        >>> from degen.statistics import deviation_curve
        >>> generator = np.random.default_rng(0)
        >>> groups = [scale * generator.standard_normal(12) for scale in (1, 1, 9)]
        >>> seeds = [range(12), range(12, 24), range(24, 36)]
        >>> bootstrap = Bootstrap(n_samples=999, level=0.95, seed=0)
        >>> test = fit_contrast([deviation_curve(groups, seeds, bootstrap, "task")], bootstrap, 999)
        >>> test.p < 0.05, [round(effect.value, 1) for effect in test.effects]
        (True, [0.3, 2.0])
    """
    n_conditions = len(curves[0].seeds)
    require_conditions(curves, n_conditions)
    weights = pair_weights(n_conditions)
    strata = [0] * n_conditions
    return compare_conditions(
        curves, weights, n_conditions - 1, strata, math.factorial(n_conditions), bootstrap, n_permutations
    )


def compare_conditions(
    curves: Sequence[FactorCurve],
    weights: Array,
    n_effects: int,
    strata: Sequence[int],
    n_equivalent: int,
    bootstrap: Bootstrap,
    n_permutations: int,
    *,
    null_fit: Array | None = None,
) -> JointTest:
    """Compare conditions by contrasts, of which the first `n_effects` are reported.

    Args:
        null_fit: projection of log degeneracies (conditions, conditions) onto the effects that are subtracted
            before networks are permuted.
    """
    null_curves = (
        curves
        if null_fit is None
        else [curve.shifted(-null_fit @ np.log(np.maximum(curve.values, 1e-300))) for curve in curves]
    )
    contrasts = PooledContrasts(
        curves,
        [weights] * len(curves),
        bootstrap,
        n_permutations,
        null_curves,
        [strata] * len(curves),
        n_equivalent,
    )
    return JointTest(contrasts=contrasts, n_effects=n_effects)


def require_different_tasks(curves: Sequence[FactorCurve]) -> None:
    """Raise `BadInputError` if two curves have the same task."""
    tasks = [curve.task for curve in curves]
    require(len(set(tasks)) == len(tasks), "tasks of curves", tasks, "different: they key random draws")


def require_conditions(curves: Sequence[FactorCurve], n_conditions: int) -> None:
    """Raise `BadInputError` unless the curves have different tasks and this number of conditions."""
    require_different_tasks(curves)
    for curve in curves:
        allowed = f"{n_conditions}, as of all tasks"
        require(len(curve.seeds) == n_conditions, "number of conditions", len(curve.seeds), allowed)
