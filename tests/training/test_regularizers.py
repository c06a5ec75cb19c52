"""Penalties and their gradients against derived formulas."""

from __future__ import annotations

import pytest
import torch

from degen.errors import BadInputError
from degen.streams import Stream
from degen.training import L1, NoPenalty, NuclearNorm
from degen.training.gradients import loss_and_gradients
from degen.training.regularizers import polar_factor
from tests.conftest import build


def matrices() -> torch.Tensor:
    return Stream.named([0, 1, 2], "matrices", dtype=torch.float64).normal(6, 6).requires_grad_()


def test_the_nuclear_norm_and_its_gradient_u_v_transposed():
    weights = matrices()
    penalty = NuclearNorm(strength=0.3)(weights)
    assert penalty.shape == (3,)
    (gradient,) = torch.autograd.grad(penalty.sum(), weights)
    for i in range(3):
        assert penalty[i].item() == pytest.approx(0.3 * torch.linalg.matrix_norm(weights[i], "nuc").item())
        u, _, vt = torch.linalg.svd(weights[i].detach())
        assert torch.allclose(gradient[i], 0.3 * u @ vt, rtol=0, atol=1e-12)


def test_the_nuclear_norm_has_a_gradient_at_equal_values():
    weights = torch.eye(4, dtype=torch.float64).unsqueeze(0).requires_grad_()
    (gradient,) = torch.autograd.grad(NuclearNorm(strength=2.0)(weights).sum(), weights)
    assert torch.allclose(gradient[0], 2 * torch.eye(4, dtype=torch.float64), atol=1e-12)


def test_l1_is_the_absolute_sum_with_the_sign_as_gradient():
    weights = matrices()
    penalty = L1(strength=0.3)(weights)
    (gradient,) = torch.autograd.grad(penalty.sum(), weights)
    assert torch.allclose(penalty, 0.3 * weights.abs().flatten(1).sum(dim=1), rtol=1e-14)
    assert torch.equal(gradient, 0.3 * weights.sign())


def test_no_penalty_is_zero():
    assert NoPenalty()(matrices()).tolist() == [0, 0, 0]


@pytest.mark.parametrize("regularizer", [NuclearNorm, L1])
def test_negative_strengths_are_rejected_and_zero_is_allowed(regularizer):
    with pytest.raises(BadInputError, match=r"regularizer.strength must be .*, got -1e-05\."):
        regularizer(strength=-1e-5)
    assert regularizer(strength=0.0)(matrices()).tolist() == [0, 0, 0]


@pytest.mark.parametrize("parameterization", ["standard", "mup"])
def test_the_penalty_changes_gradients_but_not_the_task_loss(
    parameterization,
):
    condition = build("width=8", "task.n_steps=5", f"parameterization={parameterization}")
    stream = [Stream.named([0, 1], "test", dtype=torch.float64) for _ in range(2)]
    parameters = condition.model.initialize(condition.task, stream[0])
    trials = condition.task.generate(4, stream[1])
    plain, none, without = loss_and_gradients(condition.model, NoPenalty(), parameters, trials)
    loss, penalty, with_it = loss_and_gradients(condition.model, L1(strength=0.1), parameters, trials)
    scale = 1 if parameterization == "standard" else 1 / 8
    assert torch.equal(plain, loss)
    assert none.tolist() == [0, 0]
    assert torch.allclose(penalty, 0.1 * scale * parameters["recurrent"].abs().sum(dim=(1, 2)), rtol=1e-13)
    for name, gradient in without.items():
        added = 0.1 * scale * parameters["recurrent"].sign() if name == "recurrent" else 0
        assert torch.allclose(with_it[name], gradient + added, rtol=0, atol=1e-14)


@pytest.mark.parametrize("n", [1, 5, 128])
def test_the_polar_factor_equals_the_decomposition(n):
    matrices = Stream.named([0, 1, 2], "matrices", dtype=torch.float64).normal(n, n)
    left, _, right = torch.linalg.svd(matrices)
    assert torch.allclose(polar_factor(matrices), left @ right, rtol=0, atol=1e-9)


def test_the_polar_factor_at_low_rank_is_a_subgradient():
    # Norm at most 1, and tr(Q^T W) the nuclear norm: the two make Q a subgradient (Watson 1992).
    thin = Stream.named([0, 1], "thin", dtype=torch.float64).normal(40, 3)
    matrices = thin @ Stream.named([2, 3], "thin", dtype=torch.float64).normal(40, 3).mT
    factor = polar_factor(matrices)
    assert torch.linalg.matrix_norm(factor, 2).max() < 1 + 1e-12
    norm = torch.linalg.svdvals(matrices).sum(-1)
    assert torch.allclose((factor * matrices).sum((-2, -1)), norm, rtol=1e-12)


def test_the_polar_factor_in_float32_agrees_to_rounding():
    matrices = Stream.named([0], "matrices").normal(128, 128) / 128**0.5
    exact = polar_factor(matrices.double())
    assert (polar_factor(matrices) - exact).norm() < 1e-4 * exact.norm()
    norm = torch.linalg.svdvals(matrices.double()).sum()
    assert (polar_factor(matrices) * matrices).sum().item() == pytest.approx(norm.item(), rel=1e-5)


def test_the_polar_factor_of_zero_is_zero():
    matrices = Stream.named([0, 1, 2], "matrices", dtype=torch.float64).normal(6, 6)
    exact = polar_factor(matrices)
    matrices[1], matrices[2] = 0, torch.nan
    result = polar_factor(matrices)
    assert torch.equal(result[0], exact[0])
    assert not result[1].any()
    assert result[2].isnan().all()
