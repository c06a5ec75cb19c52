"""DSA: distances between operators of half of the trials, and halves of matched inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from degen.metrics import dsa
from tests.metrics.dsa_systems import linear_system, random_operators, rotations

FULL = dsa.Hyperparameters(n_components=6, lag=1, rank=6)


def halves_of(states: Tensor, hyperparameters: dsa.Hyperparameters, **options: str) -> dsa.HalfDistances:
    """Compute the distances of networks (networks, trials, time, units) on even and odd trials."""
    even, odd = (dsa.operators(states[:, start::2], hyperparameters) for start in (0, 1))
    return dsa.half_distances(even, odd, seed=0, **options)


def test_baseline_of_a_noiseless_linear_system_is_zero():
    hidden, _ = linear_system()
    three = dsa.Hyperparameters(n_components=3, lag=1, rank=3)
    distances = halves_of(torch.stack([hidden, hidden]), three, score="wasserstein")
    assert max(distances.within.max(), distances.between.max()) < 1e-6


def noisy_states(systems: Tensor, trials: int, seed: int) -> Tensor:
    """States (networks, trials, 40, 6). All systems receive identical noise, as networks identical inputs."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(trials, 40, 6, generator=generator, dtype=torch.float64)
    states = [noise[:, 0].expand(len(systems), -1, -1)]
    for t in range(1, 40):
        states.append(states[-1] @ systems.mT + noise[:, t])
    return torch.stack(states, dim=2)


def test_baseline_decreases_with_trials_but_distances_do_not():
    systems = 0.9 * rotations(4, 6, seed=2) + 0.1 * random_operators(4, 6, seed=3)
    distance, halves = {}, {}
    for trials in (32, 512):
        hidden = noisy_states(systems, trials, seed=7)
        distance[trials] = dsa.distance_matrix(dsa.operators(hidden, FULL), seed=0).sum() / 12
        halves[trials] = halves_of(hidden, FULL)
    assert distance[32] == pytest.approx(distance[512], rel=0.05)
    assert halves[32].within.mean() / halves[512].within.mean() == pytest.approx(4, rel=0.2)
    assert halves[512].between.mean() > 10 * halves[512].within.mean()


def test_equal_networks_have_equal_distances_within_and_between():
    """Distances of full trials would be zero here, because all networks share the noise."""
    system = 0.9 * rotations(1, 6, seed=2)
    turned = noisy_states(system, 32, seed=7) @ rotations(5, 6, seed=4).unsqueeze(1)
    distances = halves_of(turned, FULL)
    np.testing.assert_allclose(distances.between, distances.within, rtol=1e-3)
    assert distances.within.min() > 0.01


def test_networks_are_compared_with_the_next_network():
    operators, others = random_operators(3, 4), random_operators(3, 4, seed=5)
    distances = dsa.half_distances(operators, others, seed=0)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        pair = dsa.distance_matrix([operators[i], others[j]], seed=0)[0, 1]
        assert distances.between[i] == pair
        assert distances.within[i] == dsa.distance_matrix([operators[i], others[i]], seed=0)[0, 1]


def test_halves_may_be_padded_to_different_sizes():
    operators, others = random_operators(3, 4), random_operators(3, 4, seed=5)
    maps = random_operators(2, 4, seed=8)[:, :3].mT.unsqueeze(1).expand(-1, 3, -1, -1)
    expected = dsa.half_distances(operators, others, seed=0, input_maps=(maps[0], maps[1]))
    padded = torch.nn.functional.pad(others, (0, 2, 0, 2)), torch.nn.functional.pad(maps[1], (0, 0, 0, 2))
    actual = dsa.half_distances(operators, padded[0], seed=0, input_maps=(maps[0], padded[1]))
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("trials", [2, 3, 8, 33, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_halves_cover_the_same_stimuli(trials, channels):
    """Constant inputs, as in sine waves, whose trials have any order."""
    generator = torch.Generator().manual_seed(trials)
    stimuli = 1 + 29 * torch.rand(trials, channels, generator=generator)
    first, second = dsa.matched_halves(stimuli[:, None].expand(-1, 20, -1))
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(trials))
    assert abs(len(first) - len(second)) <= 1
    if trials == 64:
        # Means of unmatched halves of 32 differ by a standard deviation of 29 / 12**0.5 / 4 = 2.1.
        assert (stimuli[first].mean(dim=0) - stimuli[second].mean(dim=0)).abs().max() < 1


def test_sorted_stimuli_alternate_between_halves():
    stimuli = torch.arange(12.0)[torch.randperm(12, generator=torch.Generator().manual_seed(0))]
    first, second = dsa.matched_halves(stimuli[:, None, None].expand(-1, 5, -1))
    assert sorted(stimuli[first].tolist()) == [0, 3, 4, 7, 8, 11]
    assert sorted(stimuli[second].tolist()) == [1, 2, 5, 6, 9, 10]
