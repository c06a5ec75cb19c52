"""DSA: operators fitted to delay windows, with and without inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from degen.metrics import dsa
from tests.metrics.dsa_systems import KINDS, linear_system, random_operators, rotations


def test_operator_has_the_eigenvalues_of_a_linear_system():
    hidden, a = linear_system()
    expected = np.sort_complex(torch.linalg.eigvals(a).numpy())
    for lag in (1, 3):
        hyperparameters = dsa.Hyperparameters(n_components=3, lag=lag, rank=3)
        operator = dsa.operators([hidden, hidden], hyperparameters)[0]
        np.testing.assert_allclose(
            np.sort_complex(torch.linalg.eigvals(operator).numpy()), expected, atol=1e-6
        )


def test_distance_ignores_rotation_of_units():
    hidden, _ = linear_system()
    rotated = hidden @ rotations(1, 6)[0]
    hyperparameters = dsa.Hyperparameters(n_components=3, lag=1, rank=3)
    assert dsa.distance_matrix(dsa.operators([hidden, rotated], hyperparameters), seed=0)[0, 1] < 1e-3


def driven_system(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden states and inputs (trials, time, ...) of h' = A h + D u', and A."""
    generator = torch.Generator().manual_seed(seed)
    a, d = 0.8 * rotations(1, 4, seed)[0], torch.randn(4, 2, generator=generator, dtype=torch.float64)
    inputs = torch.randn(20, 50, 2, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    states = [torch.zeros(20, 4, dtype=torch.float64)]
    for now in inputs[:, 1:].unbind(dim=1):
        states.append(states[-1] @ a.mT + now @ d.mT)
    hidden, inputs = torch.stack(states, dim=1), inputs.clone()
    return torch.cat([hidden, -hidden]), torch.cat([inputs, -inputs]), a


def test_control_separates_inputs_from_dynamics():
    hidden, inputs, a = driven_system(0)
    hyperparameters = dsa.Hyperparameters(n_components=4, lag=1, rank=4)
    operators, maps = dsa.controlled_operators([hidden, hidden], inputs, hyperparameters)
    eigenvalues = np.sort_complex(torch.linalg.eigvals(operators[0]).numpy())
    np.testing.assert_allclose(eigenvalues, np.sort_complex(torch.linalg.eigvals(a).numpy()), atol=1e-8)
    for power in range(3):  # the rank of A^k D does not depend on the coordinates
        assert torch.linalg.matrix_rank(operators[0].matrix_power(power) @ maps[0]) == 2


def test_input_maps_ignore_input_units_and_number_of_trials():
    hidden, inputs, _ = driven_system(0)
    hyperparameters = dsa.Hyperparameters(n_components=4, lag=1, rank=4)
    expected = dsa.controlled_operators([hidden, hidden], inputs, hyperparameters)
    scaled = dsa.controlled_operators([hidden, hidden], inputs * torch.tensor([1e3, 1e-3]), hyperparameters)
    twice = [torch.cat([hidden, hidden])] * 2, torch.cat([inputs, inputs])
    for result in (scaled, dsa.controlled_operators(*twice, hyperparameters)):
        for actual, desired in zip(result, expected, strict=True):
            # The signs of the coordinates are arbitrary.
            torch.testing.assert_close(actual.abs(), desired.abs(), rtol=1e-6, atol=1e-8)


@KINDS
def test_input_maps_are_aligned_with_operators(kind):
    a, c, d = kind(1, 8)[0], rotations(1, 8, seed=5)[0], random_operators(1, 8, seed=3)[0, :, :2]
    both = torch.stack([a, c @ a @ c.mT])
    assert dsa.distance_matrix(both, seed=0, input_maps=torch.stack([d, c @ d]))[0, 1] < 1e-3
    assert dsa.distance_matrix(both, seed=0, input_maps=torch.stack([d, c @ d.flip(1)]))[0, 1] > 1e-2


def test_input_maps_without_dynamics_are_aligned_by_procrustes():
    d, e = random_operators(2, 6)[:, :, :3]
    tiny = 1e-6 * random_operators(2, 6)
    distance = dsa.distance_matrix(tiny, score="frobenius", seed=0, input_maps=torch.stack([d, e]))[0, 1]
    squares = d.square().sum() + e.square().sum() - 2 * torch.linalg.matrix_norm(d @ e.mT, "nuc")
    assert distance == pytest.approx(squares.sqrt().item(), rel=1e-4)
