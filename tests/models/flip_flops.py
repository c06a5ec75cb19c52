"""Flip-flop networks of each cell."""

from __future__ import annotations

import torch

from degen.condition import Condition
from degen.models import Parameters
from degen.streams import Stream
from degen.tasks import Trials
from tests.conftest import build


def drawn(
    cell: str, *overrides: str, seeds: int = 2, n_trials: int = 5
) -> tuple[Condition, Parameters, Trials]:
    """A flip-flop condition, with weights and trials in float64."""
    condition = build(f"parameterization={cell}", "width=10", "task.n_steps=12", "dtype=float64", *overrides)
    streams = [Stream.named(range(seeds), name, dtype=torch.float64) for name in ("weights", "trials")]
    weights = condition.model.initialize(condition.task, streams[0])
    return condition, weights, condition.task.generate(n_trials, streams[1])
