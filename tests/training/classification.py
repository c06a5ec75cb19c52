"""A small task with class targets, for tests of the cross-entropy."""

from __future__ import annotations

import dataclasses

import torch

from degen.streams import Stream
from degen.tasks import Task, Trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class LargestSum(Task):
    """Report which of three inputs has the largest sum so far; the first step has no weight."""

    n_steps: int
    n_inputs = n_outputs = 3

    def generate(self, n_trials: int, stream: Stream) -> Trials:
        inputs = stream.normal(n_trials, self.n_steps, 3)
        best = inputs.cumsum(dim=-2).max(dim=-1, keepdim=True).values
        targets = (inputs.cumsum(dim=-2) >= best).to(stream.dtype)
        weighted = torch.arange(self.n_steps, device=stream.device) > 0
        mask = weighted.to(stream.dtype).expand(inputs.shape[:-1])
        return Trials(inputs, targets, mask, loss="cross_entropy")

    def ood(self) -> LargestSum:
        return dataclasses.replace(self, n_steps=2 * self.n_steps)
