"""DSA: the optimizer on orthogonal matrices."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from degen.metrics.dsa.objective import Objective, Point, eigenbasis, overlap
from degen.metrics.dsa.optimizer import maximize
from tests.metrics.dsa_systems import KINDS, LINEAR, random_operators, rotations


@KINDS
@LINEAR
@pytest.mark.parametrize("steps", [1, 25])
def test_optimizer_result_is_orthogonal_and_not_below_its_start(kind, with_linear, steps):
    a, b, c = eigenbasis(kind(200, 10))[1], kind(200, 10, seed=20), rotations(200, 10, seed=5)
    a, b, c, linear = (x.float() for x in (a, b, c, random_operators(200, 10, seed=9)))
    linear = linear if with_linear else None
    final, value = maximize(a, b, linear, c, steps)
    eye = torch.eye(10).expand(200, 10, 10)
    torch.testing.assert_close(final @ final.mT, eye, atol=1e-4, rtol=0)
    torch.testing.assert_close(value, overlap(a, b, linear, final))
    assert (value >= overlap(a, b, linear, c) - 1e-5).all()


@KINDS
@LINEAR
def test_optimizer_converges_to_a_nearby_maximum(kind, with_linear):
    a, b, c = eigenbasis(kind(20, 10))[1], kind(20, 10, seed=20), rotations(20, 10, seed=5)
    linear = random_operators(20, 10, seed=9) if with_linear else None
    maximum, best = maximize(a, b, linear, c, 3000)
    omega = random_operators(20, 10, seed=11)
    omega = omega - omega.mT
    start = torch.matrix_exp(omega / torch.linalg.matrix_norm(omega, keepdim=True) / 2) @ maximum
    remaining = (best - maximize(a, b, linear, start, 100)[1]) / (best - overlap(a, b, linear, start))
    assert remaining.max() < 1e-10


def test_copy_from_copies_only_the_selected_problems():
    a, b, c = eigenbasis(random_operators(5, 7))[1], random_operators(5, 7, seed=20), rotations(5, 7, seed=5)
    objective = Objective.from_matrices(a, b, None)
    source, target = Point.from_rotation(objective, c), Point.from_rotation(objective, c.mT)
    source_fields, target_fields = dataclasses.astuple(source), dataclasses.astuple(target)  # copies
    selected = torch.tensor([True, False, False, True, False])
    target.copy_from(source, selected)
    for x, y, z in zip(dataclasses.astuple(target), source_fields, target_fields, strict=True):
        assert torch.equal(x[selected], y[selected])
        assert torch.equal(x[~selected], z[~selected])


@KINDS
@LINEAR
def test_value_and_gradient_agree_with_autograd(kind, with_linear):
    a, b, c = eigenbasis(kind(4, 7))[1], kind(4, 7, seed=20), rotations(4, 7, seed=5)
    linear = random_operators(4, 7, seed=9) if with_linear else None
    objective = Objective.from_matrices(a, b, linear)
    point, rotated = Point.from_rotation(objective, c), Point.from_rotation(objective, c)
    omega = random_operators(4, 7, seed=11) / 10
    rotated.rotate(objective, point, omega - omega.mT, *(torch.empty_like(c) for _ in range(3)))
    assert (rotated.c - c).abs().max() > 0.01
    for evaluated in (point, rotated):
        zero = torch.zeros_like(c, requires_grad=True)
        value = overlap(a, b, linear, torch.linalg.matrix_exp(zero) @ evaluated.c)
        (slope,) = torch.autograd.grad(value.sum(), zero)
        torch.testing.assert_close(evaluated.value, value.detach())
        torch.testing.assert_close(evaluated.gradient, (slope - slope.mT) / 2)


@KINDS
@LINEAR
def test_curvatures_agree_with_differences_of_the_gradient(kind, with_linear):
    # Near a maximum curvatures are positive, and few are raised to the lower bound.
    a, b = eigenbasis(kind(4, 7))[1], kind(4, 7, seed=20)
    linear = random_operators(4, 7, seed=9) if with_linear else None
    objective = Objective.from_matrices(a, b, linear)
    point = Point.from_rotation(objective, maximize(a, b, linear, rotations(4, 7, seed=5), 300)[0])
    is_exact = []
    for p, q in torch.triu_indices(7, 7, offset=1).T.tolist():
        generator = torch.zeros(7, 7, dtype=torch.float64)
        generator[p, q], generator[q, p] = 1e-5, -1e-5
        ahead, behind = (
            Point.from_rotation(objective, torch.matrix_exp(omega) @ point.c).gradient
            for omega in (generator, -generator)
        )
        difference = (behind - ahead)[:, p, q] / 2e-5
        assert (difference > 0).all()
        is_exact.append((point.curvature[:, p, q] - difference).abs() < 1e-4 * difference)
        assert (point.curvature[:, p, q] >= difference * (1 - 1e-4)).all()
    assert torch.stack(is_exact).double().mean() > 0.9
