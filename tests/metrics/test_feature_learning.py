"""Weight change and representation alignment."""

from __future__ import annotations

import numpy as np
import pytest

from degen.metrics.feature_learning import representation_alignment, weight_change


def test_weight_change_is_the_frobenius_norm():
    before = np.zeros((2, 3, 3))
    after = before.copy()
    after[1, 0, :2] = 3.0, 4.0
    assert weight_change(before, after).tolist() == [0.0, 5.0]
    assert weight_change(before, after, per_parameter=True).tolist() == [0.0, 5.0 / 9]


def test_representation_alignment_is_the_cosine_of_gram_matrices():
    random = np.random.default_rng(0)
    before, after = random.standard_normal((2, 2, 30, 5))
    for x, y, alignment in zip(before, after, representation_alignment(before, after), strict=True):
        k, l = x @ x.T, y @ y.T  # noqa: E741
        assert alignment == pytest.approx(np.sum(k * l) / (np.linalg.norm(k) * np.linalg.norm(l)))
