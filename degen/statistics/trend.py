"""Trends of degeneracy along a factor: effect sizes, intervals and permutation tests (SPEC, section 7)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np
from scipy.stats import rankdata

from degen.errors import require
from degen.statistics.bootstrap import Bootstrap
from degen.statistics.factor_curve import Array, Axis, slope


@dataclasses.dataclass(frozen=True)
class Trend:
    """A degeneracy along a factor, from the lowest to the highest condition.

    Attributes:
        effect: natural logarithm of the ratio of the ends of the line that is fitted to the logarithms of
            the conditions' degeneracies, conditions evenly spaced in their order; above 0 it rises.
        low, high: its interval, by bootstrap over seeds in each task (`Bootstrap.counts_by_seed`).
        spearman: rank correlation of factor and degeneracy over the conditions.
        networks: in all conditions together.
        test: the permutation test of no trend, which returns p and the slope in standard errors.
    """

    effect: float
    low: float
    high: float
    spearman: float
    networks: int
    test: Callable[[], tuple[float, float]] = dataclasses.field(repr=False, compare=False)

    @cached_property
    def _tested(self) -> tuple[float, float]:
        """Computed when first asked for: it takes most of the time."""
        return self.test()

    @property
    def p(self) -> float:
        """Two-sided, of the permutation test."""
        return self._tested[0]

    @property
    def slope(self) -> float:
        """What is tested: the slope over its standard error, summed over tasks.

        It weighs tasks by how certain they are, the effect weighs them alike: where they go apart, its sign
        may be the other one, and p then speaks against the effect's direction.
        """
        return self._tested[1]

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval does."""
        return self.low > 0 or self.high < 0

    def direction(self, significance: float) -> str:
        """An arrow where the interval excludes zero, p is below the significance and both go one way.

        Else `-`.
        """
        shown = self.excludes_zero and self.p < significance and self.slope * self.effect > 0
        return ("\u2191" if self.effect > 0 else "\u2193") if shown else "-"

    @property
    def change(self) -> float:
        """The effect as a relative change over the whole axis: 0.5 is half as much again."""
        return float(np.expm1(self.effect))


def trend(axes: Sequence[Axis], bootstrap: Bootstrap, n_permutations: int) -> Trend:
    """The trend of one axis, or the mean trend of several (tasks), each with the same weight.

    The test permutes the networks of each seed between the conditions of an axis, since those of one width
    start alike and are not independent, and compares slopes (`Axis.slopes`): those of means over their
    standard errors by seeds, so that conditions may differ in their scatter and neighbours be more alike than
    the ends (Janssen 1997, Statistics & Probability Letters 36), those of deviations over their scatter. It
    is one for all axes together. A seed that one condition alone has is not permuted. Where a value is not
    finite there is no test: p is NaN.

    Raises:
        BadInputError: two axes are of one task.
    """
    tasks = [axis.task for axis in axes]
    require(len(set(tasks)) == len(tasks), "tasks of axes", tasks, "different: each is drawn by its name")
    with np.errstate(divide="ignore", invalid="ignore"):
        effects = np.array([slope(np.log(axis.values)) for axis in axes])
        drawn = np.mean([slope(np.log(axis.draws)) for axis in axes], axis=0)
    low, high = bootstrap.interval(drawn[np.isfinite(drawn)])
    ranks = [_spearman(axis.values) for axis in axes]
    return Trend(
        effect=float(effects.mean()),
        low=low,
        high=high,
        spearman=float(np.mean(ranks)),
        networks=sum(len(numbers) for axis in axes for numbers in axis.numbers),
        test=partial(_permutation_test, axes, bootstrap.seed, n_permutations),
    )


def _permutation_test(axes: Sequence[Axis], seed: int, n_permutations: int) -> tuple[float, float]:
    slopes = [axis.slopes(seed, n_permutations) for axis in axes]
    observed, permuted = sum(one for one, _ in slopes), np.sum([each for _, each in slopes], axis=0)
    if not math.isfinite(observed):
        return math.nan, math.nan
    extreme = np.count_nonzero(np.abs(permuted) >= abs(observed) - 1e-12)
    return float((1 + extreme) / (1 + n_permutations)), observed


def _spearman(values: Array) -> float:
    """Of the values and their order; NaN where all are the same."""
    ranks = rankdata(values)
    return float(np.corrcoef(np.arange(len(values)), ranks)[0, 1]) if ranks.std() > 0 else math.nan
