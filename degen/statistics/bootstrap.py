"""Intervals over networks: their pairs are not independent, the networks are (SPEC, section 7)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from degen.errors import require_integer, require_number

Array = NDArray[np.float64]

FEWEST = 3
"""Networks that an interval takes: of two, samples hold one pair or none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """Percentile intervals from networks drawn with replacement; NaN of fewer than `FEWEST`.

    Args:
        n_samples: bootstrap samples.
        level: coverage of the interval.
        seed: of the draws.
    """

    n_samples: int
    level: float
    seed: int

    def __post_init__(self) -> None:
        require_integer("bootstrap.n_samples", self.n_samples, 1)
        require_number("bootstrap.level", self.level, above=0.0, maximum=1.0)
        require_integer("bootstrap.seed", self.seed, 0)

    def mean_distance(self, distances: Array) -> tuple[float, float, float]:
        """Mean over pairs of a distance matrix (networks, networks), and its interval.

        A network drawn twice makes no pair with itself: its distance of 0 would pull the mean down.
        """
        n = len(distances)
        return self._with_interval(float(distances.sum() / (n * (n - 1))), mean_distance_draws, distances)

    def mean(self, values: Array) -> tuple[float, float, float]:
        """Mean of one value a network, and its interval."""
        return self._with_interval(float(values.mean()), mean_draws, values)

    def deviation(self, values: Array) -> tuple[float, float, float]:
        """Population standard deviation of one value a network (section 2.3.1), and its interval."""
        return self._with_interval(float(values.std()), deviation_draws, values)

    def _with_interval(
        self, value: float, draws: Callable[[Array, Array], Array], data: Array
    ) -> tuple[float, float, float]:
        n = len(data)
        return (value, *(self.interval(draws(data, self.counts(n))) if n >= FEWEST else (math.nan, math.nan)))

    def networks_for(self, value: float, low: float, high: float, networks: int) -> float:
        """Networks that an interval of plus or minus 10 % of the value takes.

        NaN for a value of 0 or without an interval. Half an interval narrows as one over the square root of
        the number of networks.
        """
        if not value or math.isnan(low):
            return math.nan
        return math.ceil(networks * ((high - low) / 2 / (0.1 * value)) ** 2)

    def counts(self, n: int, task: str = "") -> Array:
        """How often each of n networks is drawn, (samples, n); samples of two tasks are independent."""
        generator = np.random.default_rng([self.seed, *task.encode()])
        return generator.multinomial(n, np.full(n, 1 / n), size=self.n_samples).astype(np.float64)

    def counts_by_seed(self, seeds: Sequence[Sequence[int]], task: str) -> list[Array]:
        """How often each network of a task's conditions is drawn: for each condition (samples, networks).

        Seeds are drawn, with the networks of all conditions that have them: these start from the same weights
        (of one width) and are not independent. A condition in which some did not converge has samples of
        several sizes.

        Args:
            seeds: of each condition's networks.
        """
        every = sorted(set().union(*seeds))
        counts = self.counts(len(every), task)
        return [counts[:, np.searchsorted(every, list(one))] for one in seeds]

    def interval(self, draws: Array) -> tuple[float, float]:
        """The percentile interval of a statistic's bootstrap samples, those that are NaN left out.

        NaN where none is left.
        """
        if np.isnan(draws).all():
            return math.nan, math.nan
        low, high = np.nanquantile(draws, [(1 - self.level) / 2, (1 + self.level) / 2])
        return float(low), float(high)


def mean_distance_draws(distances: Array, counts: Array) -> Array:
    """The mean over pairs of distances (networks, networks) in each sample, (samples,).

    NaN where all networks drawn are the same one, or none is.

    Args:
        counts: how often each network is drawn, (samples, networks).
    """
    pairs = counts.sum(axis=1) ** 2 - (counts**2).sum(axis=1)
    sums = ((counts @ distances) * counts).sum(axis=1)
    return np.divide(sums, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def mean_draws(values: Array, counts: Array) -> Array:
    """The mean of values (networks,) in each sample, (samples,); NaN where none is drawn."""
    return _shares(counts) @ values


def deviation_draws(values: Array, counts: Array) -> Array:
    """The population standard deviation of values (networks,) in each sample, likewise."""
    shares = _shares(counts)
    # About the overall mean, or the two moments would cancel where the spread is small.
    centred = values - values.mean()
    variances = shares @ centred**2 - (shares @ centred) ** 2
    return np.sqrt(np.maximum(variances, 0.0))


def _shares(counts: Array) -> Array:
    drawn = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, drawn, out=np.full(counts.shape, np.nan), where=drawn > 0)
