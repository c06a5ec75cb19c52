"""Two-sided permutation Procrustes of the package procrustes (GPL-3), for comparison."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def match_with_procrustes(a: Tensor, b: Tensor) -> Tensor:
    """Select the best result of the approximate two-sided methods of the package procrustes."""
    from procrustes import permutation_2sided  # GPL-3: imported only if this solver is requested

    permutations = []
    for x, y in zip(a.cpu().numpy(), b.cpu().numpy(), strict=True):
        results = [
            permutation_2sided(y, x, single=True, method=method)
            for method in ("approx-normal1", "approx-normal2", "approx-umeyama", "approx-umeyama-svd")
        ]
        best = min(results, key=lambda result: result.error)
        permutations.append(best.t.argmax(axis=0))
    return torch.as_tensor(np.stack(permutations), device=a.device)
