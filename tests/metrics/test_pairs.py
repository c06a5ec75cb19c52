"""The pair loop."""

from __future__ import annotations

import numpy as np
import torch

from degen.metrics.pairs import canonical, pairwise


def asymmetric(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a[:, 0] + 10 * b[:, 0]


def test_result_is_symmetric_even_for_an_asymmetric_measure():
    d = pairwise(torch.tensor([[3.0], [1.0], [2.0]]), asymmetric)
    assert np.array_equal(d, [[0, 31, 32], [31, 0, 21], [32, 21, 0]])


def test_a_pairs_value_does_not_depend_on_order_or_company():
    items = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    d = pairwise(items, asymmetric)
    order = [4, 1, 5, 0]
    assert np.array_equal(pairwise(items[order], asymmetric), d[np.ix_(order, order)])


def test_canonical_order_leaves_the_arrays_of_the_caller_alone():
    a, b = torch.tensor([[1.0, 5.0], [1.0, 2.0]]), torch.tensor([[1.0, 3.0], [1.0, 9.0]])
    small, large, swapped = canonical(a, b)
    assert swapped.tolist() == [True, False]
    assert small.tolist() == [[1.0, 3.0], [1.0, 2.0]]
    assert large.tolist() == [[1.0, 5.0], [1.0, 9.0]]
    assert a.tolist() == [[1.0, 5.0], [1.0, 2.0]]
