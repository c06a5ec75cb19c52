"""Balanced recurrent matrices: scales of units, permutations, norms, and the function of ReLU networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from degen.metrics import pif
from degen.streams import Stream
from tests.conftest import build

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.standard_normal((2, 12, 12))


def test_rows_and_columns_have_equal_norms():
    balanced = pif.balance(WEIGHTS).numpy()
    squares = balanced**2
    assert squares.sum(axis=1) == pytest.approx(squares.sum(axis=2), rel=1e-9)
    assert np.einsum("kii->ki", balanced) == pytest.approx(np.einsum("kii->ki", WEIGHTS))


def test_the_balanced_matrix_has_the_smallest_norm():
    balanced = pif.balance(WEIGHTS).numpy()[0]
    for _ in range(20):
        scales = np.exp(0.1 * RANDOM.standard_normal(12))
        assert np.linalg.norm(scales[:, None] * balanced / scales) > np.linalg.norm(balanced)


@pytest.mark.parametrize("n", [3, 12, 64])
def test_scaled_and_permuted_twins_have_distance_zero(n):
    weights = RANDOM.standard_normal((n, n)) / n**0.5
    scales, order = np.exp(RANDOM.standard_normal(n)), RANDOM.permutation(n)
    twin = (scales[:, None] * weights / scales)[np.ix_(order, order)]
    assert pif.distance_matrix([weights, twin])[0, 1] > 0.1 * np.linalg.norm(weights)
    distance = pif.distance_matrix(pif.balance([weights, twin]))[0, 1]
    assert distance == pytest.approx(0, abs=1e-6 * np.linalg.norm(weights))


def test_units_without_inputs_or_outputs_keep_their_scale():
    weights = WEIGHTS.copy()
    weights[:, 3] = 0
    weights[:, :, 7] = 0
    assert torch.isfinite(pif.balance(weights)).all()
    assert pif.balance(np.zeros((2, 4, 4))).abs().sum() == 0


@pytest.mark.parametrize("cell", ["relu", "dale"])
def test_scales_do_not_change_a_homogeneous_network(cell):
    condition = build(f"parameterization={cell}", "width=6", "task.n_steps=10", "dtype=float64")
    streams = [Stream.named([0], name, dtype=torch.float64) for name in ("weights", "trials")]
    weights = condition.model.initialize(condition.task, streams[0])
    trials = condition.task.generate(4, streams[1])
    scales = torch.tensor([0.3, 1.0, 2.0, 5.0, 0.1, 1.5], dtype=torch.float64)
    scaled = weights | {
        "recurrent": scales[:, None] * weights["recurrent"] / scales,
        "input": scales[:, None] * weights["input"],
        "bias": scales * weights["bias"],
        "output": weights["output"] / scales,
    }
    assert condition.model.is_homogeneous
    assert torch.allclose(condition.model(scaled, trials), condition.model(weights, trials), rtol=1e-10)
    assert not build("parameterization=softplus", "width=6").model.is_homogeneous
