"""PIF of networks whose units cannot be told apart: cycles, rings, tori and their noisy versions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from degen.metrics import pif
from degen.metrics.pif.symmetry import units_look_alike
from tests.metrics.test_pif import matrices

SIZES = [8, 16, 33, 64, 128]


def cycle(n: int) -> Tensor:
    """Return a closed chain of units, one weight each."""
    return torch.eye(n, dtype=torch.float64).roll(1, 0)


def ring(n: int) -> Tensor:
    return cycle(n) + cycle(n).mT


def bump(n: int) -> Tensor:
    """Return a ring attractor: Gaussian excitation of near units, uniform inhibition."""
    angle = torch.arange(n, dtype=torch.float64) * 2 * math.pi / n
    distance = torch.acos(torch.cos(angle - angle.unsqueeze(1)).clamp(-1, 1))
    return torch.exp(-(distance**2) / 0.32) - 0.3


def torus(rows: int, columns: int) -> Tensor:
    first, second = (torch.eye(n, dtype=torch.float64) for n in (rows, columns))
    return torch.kron(ring(rows), second) + torch.kron(first, ring(columns))


def circulant(n: int) -> Tensor:
    row = matrices(1, n)[0, 0]
    return torch.stack([row.roll(i) for i in range(n)])


def bipartite(n: int) -> Tensor:
    is_first = torch.arange(n) < n // 2
    return (is_first != is_first.unsqueeze(1)).double()


def hub(n: int) -> Tensor:
    """Return a ring with one unit in its middle."""
    weights = torch.nn.functional.pad(ring(n - 1), (1, 0, 1, 0), value=0.5)
    weights[0, 0] = 0.0
    return weights


def two_cycles(n: int) -> Tensor:
    return torch.block_diag(cycle(n // 2), 2 * cycle(n // 2))


def planted(weights: Tensor, noise: float, seed: int) -> tuple[Tensor, Tensor, float]:
    """Return noisy weights, the same with other noise and in another order, and their planted distance.

    The norm of the noise is `noise` times the norm of the weights.
    """
    n = len(weights)
    size = noise * torch.linalg.matrix_norm(weights) / n**0.5
    first, second = size * matrices(2, n, seed)
    a = weights + first
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return a, (a + second)[order][:, order], torch.linalg.matrix_norm(second).item()


@pytest.mark.parametrize("make", [cycle, ring, bump, circulant, bipartite, hub, two_cycles])
@pytest.mark.parametrize("n", SIZES)
def test_reordered_symmetric_networks_have_distance_zero(make, n):
    a, b, _ = planted(make(n), noise=0.0, seed=1)
    assert pif.distance_matrix([a, b], seed=0)[0, 1] < 1e-6


@pytest.mark.parametrize("shape", [(3, 3), (4, 4), (3, 8), (4, 8), (5, 7), (6, 10), (4, 16), (8, 8)])
def test_reordered_tori_have_distance_zero(shape):
    a, b, _ = planted(torus(*shape), noise=0.0, seed=1)
    assert pif.distance_matrix([a, b], seed=0)[0, 1] < 1e-6


@pytest.mark.parametrize("make", [cycle, ring, bump, circulant, bipartite])
@pytest.mark.parametrize("n", SIZES)
def test_noisy_networks_are_at_most_as_far_as_planted(make, n):
    a, b, distance = planted(make(n), noise=0.03, seed=2)
    assert pif.distance_matrix([a, b], seed=0)[0, 1] <= distance + 1e-9


def test_noisy_tori_are_at_most_as_far_as_planted():
    a, b, distance = planted(torus(8, 8), noise=0.03, seed=2)
    assert pif.distance_matrix([a, b], seed=0)[0, 1] <= distance + 1e-9


def test_input_weights_select_among_the_symmetries():
    a, b, _ = planted(ring(32), noise=0.0, seed=1)
    inputs = matrices(1, 32)[0, :, :1]
    order = torch.randperm(32, generator=torch.Generator().manual_seed(1))
    distances = pif.distance_matrix([a, b], seed=0, input_weights=[inputs, inputs[order]])
    assert distances[0, 1] < 1e-6


@pytest.mark.parametrize("n", SIZES)
def test_the_search_is_for_symmetric_networks_only(n):
    symmetric = torch.stack([cycle(n), ring(n), circulant(n), bipartite(n), hub(n)])
    assert units_look_alike(symmetric).all()
    low_rank = 3 * matrices(20, n, seed=1)[:, :, :2] @ matrices(20, n, seed=2)[:, :2]
    sparse = torch.where(matrices(20, n).abs() * n**0.5 > 2.0, matrices(20, n), 0.0)
    constant = torch.full((1, n, n), 0.3) + torch.eye(n)
    for ordinary in (matrices(100, n), matrices(20, n) + low_rank, sparse, constant, torch.zeros(1, n, n)):
        assert not units_look_alike(ordinary.double()).any()
