"""Permutations of networks between conditions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from degen.statistics.permutation import exchangeable_blocks, log_number_of_permutations, permute_networks

SEEDS = [[0, 1, 2, 7], [0, 2, 5], [2, 0, 8]]


def test_networks_move_only_within_their_seed():
    values = [np.array(seeds, float) for seeds in SEEDS]
    permuted = permute_networks(values, SEEDS, [0, 0, 0], np.random.default_rng(0), 200)
    for rows, seeds in zip(permuted, SEEDS, strict=True):
        for column, seed in zip(rows.T, seeds, strict=True):
            shared = seed in (0, 2)
            assert set(column) == ({seed} if shared else {1, 7, 5, 8})


def test_permutations_of_a_block_are_equally_frequent():
    values = [np.array([1.0]), np.array([2.0]), np.array([3.0])]
    rows = np.hstack(permute_networks(values, [[4]] * 3, [0] * 3, np.random.default_rng(1), 6000))
    _, counts = np.unique(rows, axis=0, return_counts=True)
    assert len(counts) == 6
    assert counts == pytest.approx(1000, abs=4 * math.sqrt(1000))


def test_networks_stay_in_their_stratum():
    seeds = [[0, 1]] * 4
    assert [block.tolist() for block in exchangeable_blocks(seeds, [0, 0, 1, 1])] == [
        *([0, 2], [1, 3], [4, 6], [5, 7]),
    ]


def test_the_number_of_permutations_is_counted():
    # Seeds 0 and 2 have three networks. The others are 2, 1 and 1 networks of the three conditions.
    expected = 6 * 6 * (math.factorial(4) / 2)
    assert math.exp(log_number_of_permutations(SEEDS, [0, 0, 0])) == pytest.approx(expected)
    values = [np.array([10.0, 1, 2, 7]), np.array([20.0, 22, 5]), np.array([32.0, 30, 8])]
    rows = np.hstack(permute_networks(values, SEEDS, [0] * 3, np.random.default_rng(2), 20_000))
    rows[:, [1, 3]] = np.sort(rows[:, [1, 3]], axis=1)  # the order within a condition does not matter
    assert len(np.unique(rows, axis=0)) == expected
