"""Time windows of trials."""

from __future__ import annotations

import torch
from torch import Tensor


def window(onset: Tensor, length: int, n_steps: int, dtype: torch.dtype) -> Tensor:
    """Return 1 for `length` steps from the onset on, else 0.

    Args:
        onset: first step of the window in each trial, (..., trials, 1).
        length: number of steps of the window.
        n_steps: number of time steps of a trial.
        dtype: dtype of the result.

    Returns:
        (..., trials, time, 1).

    Examples:
        >>> window(torch.tensor([[1]]), 2, 4, torch.int64).flatten().tolist()
        [0, 1, 1, 0]
    """
    time = torch.arange(n_steps, device=onset.device)
    return ((time >= onset) & (time < onset + length)).to(dtype).unsqueeze(-1)
