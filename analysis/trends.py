"""Trends of degeneracy along a factor: effect sizes, intervals and permutation tests (SPEC, section 7).

The networks of a condition are what is drawn, not its pairs. A mean over pairs becomes one number a network,
its jackknife pseudo-value (Efron & Tibshirani 1993, chapter 11):

.. math:: v_i = n U - (n - 1) U_{-i}

whose mean is (nearly) U and whose scatter is that of U. A network's plain mean distance to the others has the
right mean, too, but half the scatter: tests on it would find trends that are not there. Of a deviation the
number is the network's value less the median: losses are skewed, and of skewed values pseudo-values, all of
which are large where one value is, show trends four times too often.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from analysis.statistics import Bootstrap, deviation_draws, mean_distance_draws, mean_draws
from degen.errors import require, require_integer

Array = NDArray[np.float64]


def distance_pseudo_values(distances: Array) -> Array:
    """Pseudo-values (networks,) of the mean over pairs of a distance matrix (networks, networks).

    Raises:
        BadInputError: fewer than three networks.
    """
    n = len(distances)
    require_integer("networks of a condition", n, 3)
    rows = distances.sum(axis=1)
    total = rows.sum()
    return total / (n - 1) - (total - 2 * rows) / (n - 2)


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


@dataclasses.dataclass(frozen=True)
class Axis:
    """One task's conditions along a factor, lowest first.

    Attributes:
        values: the degeneracy of each condition.
        draws: (conditions, samples), what the bootstrap made of it.
        numbers: of each condition, one a network, (networks,): what is permuted.
        seeds: of each condition's networks.
        task: its name, which addresses its permutations: those of two tasks are independent.
        is_of_deviations: whether the degeneracy is the deviation of the numbers; else it is their mean.
    """

    values: Array
    draws: Array
    numbers: list[Array]
    seeds: list[list[int]]
    task: str
    is_of_deviations: bool = False
    _slopes: dict[tuple[int, int], tuple[float, Array]] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        require(len(self.values) >= 2, "conditions of an axis", len(self.values), "at least 2")

    def slopes(self, seed: int, n_permutations: int) -> tuple[float, Array]:
        """The slope in standard errors, and that of each permutation of the networks.

        Of means over the errors by seeds; of deviations that of their logarithms, over its scatter. All are 0
        where nothing can be permuted, because no seed is in two conditions: such a task says nothing.

        Kept: one axis is in the trends of its task, of all tasks, and of all without a network of another.
        """
        key = (seed, n_permutations)
        if key not in self._slopes:
            values, conditions, seeds = _flat(self.numbers, self.seeds)
            slopes = _slopes_of_deviations if self.is_of_deviations else _studentized
            generator = np.random.default_rng([seed, *self.task.encode()])
            rows = np.repeat(values, n_permutations, axis=0)
            for one in range(seeds.max() + 1):
                rows[:, seeds == one] = generator.permuted(rows[:, seeds == one], axis=1)
            observed, permuted = float(slopes(values, conditions, seeds)[0]), slopes(rows, conditions, seeds)
            scatter = permuted.std() if self.is_of_deviations else 1.0
            if (rows == rows[0]).all():
                observed, permuted, scatter = 0.0, np.zeros(n_permutations), 1.0
            self._slopes[key] = observed / scatter, permuted / scatter
        return self._slopes[key]


Seeds = Sequence[Sequence[int]]
"""Of the networks of each condition of an axis, in order."""


def distance_axis(matrices: Sequence[Array], seeds: Seeds, bootstrap: Bootstrap, task: str) -> Axis:
    """The axis of mean distances: a matrix (networks, networks) for each condition."""
    values = [matrix.sum() / (len(matrix) * (len(matrix) - 1)) for matrix in matrices]
    draws = map(mean_distance_draws, matrices, bootstrap.counts_by_seed(seeds, task))
    return _axis(values, draws, map(distance_pseudo_values, matrices), seeds, task)


def deviation_axis(groups: Sequence[Array], seeds: Seeds, bootstrap: Bootstrap, task: str) -> Axis:
    """The axis of population standard deviations: values (networks,) for each condition.

    Raises:
        BadInputError: fewer than three networks.
    """
    for values in groups:
        require_integer("networks of a condition", len(values), 3)
    draws = map(deviation_draws, groups, bootstrap.counts_by_seed(seeds, task))
    residuals = [values - np.median(values) for values in groups]
    axis = _axis([values.std() for values in groups], draws, residuals, seeds, task)
    return dataclasses.replace(axis, is_of_deviations=True)


def mean_axis(groups: Sequence[Array], seeds: Seeds, bootstrap: Bootstrap, task: str) -> Axis:
    """The axis of means: values (networks,) for each condition."""
    draws = map(mean_draws, groups, bootstrap.counts_by_seed(seeds, task))
    return _axis([values.mean() for values in groups], draws, groups, seeds, task)


def ratio_axis(above: Axis, below: Axis) -> Axis:
    """The axis of one degeneracy over another, of the same networks and samples.

    Both are drawn together, and of means left out together: the one below is no constant.

    Args:
        below: of means.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = above.draws / below.draws
    if above.is_of_deviations:
        numbers = [one / value for one, value in zip(above.numbers, below.values, strict=True)]
    else:
        both = zip(above.values, above.numbers, below.values, below.numbers, strict=True)
        numbers = [_jackknifed_ratio(*each) for each in both]
    return dataclasses.replace(above, values=above.values / below.values, draws=draws, numbers=numbers)


def _jackknifed_ratio(above: float, of_above: Array, below: float, of_below: Array) -> Array:
    """Pseudo-values of above / below from those of both, which tell each without any one network."""
    n = len(of_above)
    without = (n * above - of_above) / (n * below - of_below)
    return n * above / below - (n - 1) * without


def _axis(
    values: Sequence[float], draws: Iterable[Array], numbers: Iterable[Array], seeds: Seeds, task: str
) -> Axis:
    return Axis(np.array(values), np.stack(list(draws)), list(numbers), [list(one) for one in seeds], task)


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
        effects = np.array([_slope(np.log(axis.values)) for axis in axes])
        drawn = np.mean([_slope(np.log(axis.draws)) for axis in axes], axis=0)
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


def _positions(conditions: int) -> Array:
    """Evenly spaced over one unit, centred."""
    return np.linspace(-0.5, 0.5, conditions)


def _slope(values: Array) -> Array:
    """Of a line through the conditions (conditions, ...), which stand on one unit of length."""
    positions = _positions(len(values))
    return np.tensordot(positions, values, axes=(0, 0)) / (positions**2).sum()


def _flat(groups: list[Array], seeds: Seeds) -> tuple[Array, NDArray[np.intp], NDArray[np.intp]]:
    """All values (1, networks), and of each network the condition and the place of its seed."""
    conditions = np.repeat(np.arange(len(groups)), [len(values) for values in groups])
    places = np.unique(np.concatenate(list(map(np.asarray, seeds))), return_inverse=True)[1]
    return np.concatenate(groups)[None], conditions, places


def _slopes_of_deviations(values: Array, conditions: NDArray[np.intp], seeds: NDArray[np.intp]) -> Array:
    """Of the logarithms of the conditions' standard deviations, for each row of values (rows, networks)."""
    deviations = [values[:, conditions == one].std(axis=1) for one in range(conditions.max() + 1)]
    return _slope(np.log(np.maximum(deviations, np.finfo(np.float64).tiny)))


def _studentized(values: Array, conditions: NDArray[np.intp], seeds: NDArray[np.intp]) -> Array:
    """Slope over its standard error, of each row of values (rows, networks).

    The error is that of sums over seeds, whose networks are not independent (cluster-robust).
    """
    slope = np.zeros(len(values))
    influence = np.zeros((len(values), seeds.max() + 1))
    for condition, place in enumerate(_positions(conditions.max() + 1)):
        members = conditions == condition
        group = values[:, members]
        n, mean = group.shape[1], group.mean(axis=1, keepdims=True)
        slope += place * mean[:, 0]
        influence[:, seeds[members]] += place * (group - mean) / math.sqrt(n * (n - 1))
    return slope / np.sqrt(np.maximum((influence**2).sum(axis=1), np.finfo(np.float64).tiny))


def _spearman(values: Array) -> float:
    """Of the values and their order; NaN where all are the same."""
    ranks = rankdata(values)
    return float(np.corrcoef(np.arange(len(values)), ranks)[0, 1]) if ranks.std() > 0 else math.nan
