"""Differences of degeneracy between unordered conditions (docs/statistics.md)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from degen.errors import require
from degen.statistics.bootstrap import Bootstrap, Estimate
from degen.statistics.contrast import pair_weights
from degen.statistics.factor_curve import FactorCurve
from degen.statistics.inference import PooledContrasts
from degen.statistics.jackknife import Array
from degen.statistics.trend import require_different_tasks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Differences of log degeneracy, and one test of the hypothesis that all of them are zero.

    Attributes:
        effects: changes of the log degeneracy with their intervals, the mean over tasks.
        networks: number of networks in all conditions.
        smallest_p: least p that the permutations can give. If it is not below the significance, there are
            too few networks for a test.
        detectable_change: change of the log degeneracy, in every effect, that this design detects with a
            power of about 0.8 at a significance of 1 - level. Infinite if there are too few networks.
        problem: reason why intervals and p are NaN, for example a degeneracy of zero. Empty if there is none.
        test: returns p and its Monte Carlo standard error. It runs when `p` or `p_error` is first used.
    """

    effects: list[Estimate]
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
        """P of the hypothesis that no two levels differ."""
        return self._test_result[0]

    @property
    def p_error(self) -> float:
        """Monte Carlo standard error of p."""
        return self._test_result[1]


def fit_contrast(curves: Sequence[FactorCurve], bootstrap: Bootstrap, n_permutations: int) -> Comparison:
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
        >>> found = fit_contrast([deviation_curve(groups, seeds, bootstrap, "task")], bootstrap, 999)
        >>> found.p < 0.05, [round(effect.value, 1) for effect in found.effects]
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
) -> Comparison:
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
    return Comparison(
        effects=contrasts.intervals[:n_effects],
        networks=sum(len(values) for curve in curves for values in curve.network_values),
        smallest_p=contrasts.smallest_p,
        detectable_change=float(contrasts.detectable_changes[:n_effects].max()),
        problem=contrasts.problem,
        test=contrasts.p_value,
    )


def require_conditions(curves: Sequence[FactorCurve], n_conditions: int) -> None:
    """Raise `BadInputError` unless the curves have different tasks and this number of conditions."""
    require_different_tasks(curves)
    for curve in curves:
        allowed = f"{n_conditions}, as of all tasks"
        require(len(curve.seeds) == n_conditions, "number of conditions", len(curve.seeds), allowed)
