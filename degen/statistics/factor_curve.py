"""Axes: a degeneracy along a factor for one task, and what a permutation of its networks makes of its slope.

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
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from degen.errors import require, require_integer
from degen.statistics.bootstrap import Bootstrap, deviation_draws, mean_distance_draws, mean_draws

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


def _positions(conditions: int) -> Array:
    """Evenly spaced over one unit, centred."""
    return np.linspace(-0.5, 0.5, conditions)


def slope(values: Array) -> Array:
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
    return slope(np.log(np.maximum(deviations, np.finfo(np.float64).tiny)))


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
