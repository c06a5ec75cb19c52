"""Agreement of the Wasserstein score with the optimal transport package POT."""

from __future__ import annotations

import numpy as np
import ot
import pytest

from degen.metrics import dsa


@pytest.mark.parametrize("n", [3, 10, 40])
def test_wasserstein_score_agrees_with_pot(n):
    operators = np.random.default_rng(n).standard_normal((4, n, n)) / np.sqrt(n)
    points = [np.stack([v.real, v.imag], axis=1) for v in np.linalg.eigvals(operators)]
    distances = dsa.distance_matrix(operators, score="wasserstein", seed=0)
    for i, first in enumerate(points):
        for j, second in enumerate(points):
            squared = ot.emd2([], [], ot.dist(first, second, metric="sqeuclidean"))
            assert distances[i, j] == pytest.approx(np.sqrt(max(squared, 0.0)), abs=1e-7)
