"""Permutation of networks between conditions within each seed."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from degen.errors import require_integer, require_number
from degen.statistics.jackknife import Array

Indices = NDArray[np.intp]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PermutationTest:
    """Settings of permutation tests of trends.

    Args:
        n_permutations: number of permutations of networks between conditions.
        significance: p below which a trend is significant.

    Raises:
        BadInputError: fewer than 19 permutations, or a significance outside of (0, 1].
    """

    n_permutations: int
    significance: float

    def __post_init__(self) -> None:
        require_integer("permutation_test.n_permutations", self.n_permutations, 19)
        require_number("permutation_test.significance", self.significance, above=0.0, maximum=1.0)


def exchangeable_blocks(seeds: Sequence[Sequence[int]], strata: Sequence[int]) -> list[Indices]:
    """Return the blocks of networks that a permutation exchanges.

    A block contains the networks of one seed in one stratum. Networks whose seed occurs in a single condition
    of the stratum are independent of all others, and form one block together.

    Args:
        seeds: for each condition the seeds of its networks.
        strata: for each condition its stratum.

    Returns:
        Indices of networks, numbered through all conditions. Blocks of a single network are left out.

    Examples:
        >>> [block.tolist() for block in exchangeable_blocks([[0, 1, 2], [0, 1, 3]], [0, 0])]
        [[0, 3], [1, 4], [2, 5]]
    """
    pairs = zip(seeds, strata, strict=True)
    labels = [(stratum, seed) for condition, stratum in pairs for seed in condition]
    sizes = Counter(labels)
    members: dict[tuple[int, int | None], list[int]] = {}
    for index, (stratum, seed) in enumerate(labels):
        key = (stratum, seed if sizes[stratum, seed] > 1 else None)
        members.setdefault(key, []).append(index)
    return [np.array(block) for block in members.values() if len(block) > 1]


def permute_networks(
    values: Sequence[Array],
    seeds: Sequence[Sequence[int]],
    strata: Sequence[int],
    generator: np.random.Generator,
    n_permutations: int,
) -> list[Array]:
    """Permute values between conditions, within the blocks of `exchangeable_blocks`.

    Args:
        values: for each condition one value per network, (networks,).
        seeds: for each condition the seeds of its networks.
        strata: for each condition its stratum.
        generator: source of the permutations.
        n_permutations: number of permutations.

    Returns:
        For each condition the permuted values (permutations, networks).
    """
    rows = np.repeat(np.concatenate(values)[None], n_permutations, axis=0)
    for block in exchangeable_blocks(seeds, strata):
        rows[:, block] = generator.permuted(rows[:, block], axis=1)
    return np.split(rows, np.cumsum([len(group) for group in values])[:-1], axis=1)


def log_number_of_permutations(seeds: Sequence[Sequence[int]], strata: Sequence[int]) -> float:
    """Return the logarithm of the number of different assignments of networks to conditions.

    Examples:
        >>> round(math.exp(log_number_of_permutations([[0, 1, 2], [0, 1, 2]], [0, 0])))
        8
    """
    conditions = np.repeat(np.arange(len(seeds)), [len(condition) for condition in seeds])
    total = 0.0
    for block in exchangeable_blocks(seeds, strata):
        sizes = np.bincount(conditions[block])
        total += math.lgamma(len(block) + 1) - sum(math.lgamma(size + 1) for size in sizes)
    return total
