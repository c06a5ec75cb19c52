"""Evaluation on all pairs, and the order of pairs."""

from __future__ import annotations

import numpy as np
import torch

from degen.metrics.pairs import pairwise, sort_pairs


def asymmetric(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a[:, 0] + 10 * b[:, 0]


def test_matrix_is_symmetric_for_an_asymmetric_measure():
    d = pairwise(torch.tensor([[3.0], [1.0], [2.0]]), asymmetric)
    assert np.array_equal(d, [[0, 31, 32], [31, 0, 21], [32, 21, 0]])


def test_value_of_a_pair_ignores_the_other_items():
    items = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    d = pairwise(items, asymmetric)
    order = [4, 1, 5, 0]
    assert np.array_equal(pairwise(items[order], asymmetric), d[np.ix_(order, order)])


def test_sort_pairs_does_not_modify_its_arguments():
    a, b = torch.tensor([[1.0, 5.0], [1.0, 2.0]]), torch.tensor([[1.0, 3.0], [1.0, 9.0]])
    smaller, larger, swapped = sort_pairs(a, b)
    assert swapped.tolist() == [True, False]
    assert smaller.tolist() == [[1.0, 3.0], [1.0, 2.0]]
    assert larger.tolist() == [[1.0, 5.0], [1.0, 9.0]]
    assert a.tolist() == [[1.0, 5.0], [1.0, 2.0]]
