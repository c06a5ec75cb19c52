"""Intervals over networks: their pairs are not independent, the networks are (SPEC, section 7)."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from degen.errors import require_integer, require_number

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """Percentile intervals from networks drawn with replacement.

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
        return (float(distances.sum() / (n * (n - 1))), *self.interval(self.mean_distance_draws(distances)))

    def mean(self, values: Array) -> tuple[float, float, float]:
        """Mean of one value a network, and its interval."""
        return (float(values.mean()), *self.interval(self.mean_draws(values)))

    def deviation(self, values: Array) -> tuple[float, float, float]:
        """Population standard deviation of one value a network (section 2.3.1), and its interval."""
        return (float(values.std()), *self.interval(self.deviation_draws(values)))

    def networks_for(self, value: float, low: float, high: float, networks: int) -> float:
        """Networks that an interval of plus or minus 10 % of the value takes; NaN for a value of 0.

        Half an interval narrows as one over the square root of the number of networks.
        """
        return math.ceil(networks * ((high - low) / 2 / (0.1 * value)) ** 2) if value else math.nan

    def mean_distance_draws(self, distances: Array) -> Array:
        """The mean over pairs in each bootstrap sample; NaN where all networks drawn are the same one."""
        counts = self._counts(len(distances))
        pairs = counts.sum(axis=1) ** 2 - (counts**2).sum(axis=1)
        sums = ((counts @ distances) * counts).sum(axis=1)
        return np.divide(sums, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)

    def mean_draws(self, values: Array) -> Array:
        """The mean in each bootstrap sample."""
        return self._counts(len(values)) @ values / len(values)

    def deviation_draws(self, values: Array) -> Array:
        """The population standard deviation in each bootstrap sample."""
        shares = self._counts(len(values)) / len(values)
        # About the overall mean, or the two moments would cancel where the spread is small.
        centred = values - values.mean()
        variances = shares @ centred**2 - (shares @ centred) ** 2
        return np.sqrt(np.maximum(variances, 0.0))

    def _counts(self, n: int) -> Array:
        """How often each network is drawn: (samples, networks)."""
        generator = np.random.default_rng(self.seed)
        return generator.multinomial(n, np.full(n, 1 / n), size=self.n_samples).astype(np.float64)

    def interval(self, draws: Array) -> tuple[float, float]:
        """The percentile interval of a statistic's bootstrap samples, those that are NaN left out."""
        low, high = np.nanquantile(draws, [(1 - self.level) / 2, (1 + self.level) / 2])
        return float(low), float(high)
