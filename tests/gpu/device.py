"""The CUDA device, and the conditions on which it is compared with the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from degen.condition import Condition
from degen.training import Ensemble

DEVICE = torch.device("cuda")

CONDITIONS = [
    ("task=flip_flop", "regularizer=none"),
    ("task=sine_wave", "regularizer=l1"),
    ("task=path_integration", "task.start=hidden_state", "regularizer=nuclear_norm"),
    ("task=delayed_discrimination", "task.n_steps=60", "regularizer=none"),
]
conditions = pytest.mark.parametrize("overrides", CONDITIONS, ids=" ".join)
parameterizations = pytest.mark.parametrize(
    "parameterization", ["standard", "mup", "relu", "gru", "lstm", "noisy"]
)

needs_device = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def new(condition: Condition, seeds: int, device: torch.device | str = DEVICE) -> Ensemble:
    parts = condition.task, condition.model
    return Ensemble.new(range(seeds), *parts, device=device, dtype=condition.dtype)


def close(result: Tensor, expected: Tensor, tolerance: float = 1e-10) -> bool:
    """Return whether arrays are equal up to a fraction `tolerance` of the largest entry."""
    return bool(
        (result.cpu() - expected.cpu()).abs().max() <= tolerance * (expected.abs().max().item() + 1e-3)
    )


@contextmanager
def no_waiting() -> Iterator[None]:
    """Raise an error if the processor waits for the device."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
