"""A training step recorded as a CUDA graph: one launch instead of some hundreds."""

from __future__ import annotations

import dataclasses
import warnings

import torch
from torch import Tensor

from degen.tasks import Trials
from degen.training.step import Run, Step


class Replay:
    """A `Step` that was recorded: called with new arguments, it copies them to where the recorded ones were.

    To record a step, it is made a few times, so the members are other ones afterwards.

    Args:
        trials, size, correction: of the shapes of every later call.
    """

    def __init__(self, step: Step, trials: Trials, size: Tensor, correction: Tensor):
        self.trials, self.size, self.correction = trials.map(torch.clone), size.clone(), correction.clone()
        stream, graph = torch.cuda.Stream(size.device), torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream(size.device))
        with torch.cuda.stream(stream):
            # Libraries set themselves up in their first calls, which cannot be recorded.
            for _ in range(3):
                step(self.trials, self.size, self.correction)
        with torch.cuda.graph(graph, stream=stream):
            step(self.trials, self.size, self.correction)
        torch.cuda.current_stream(size.device).wait_stream(stream)
        self.graph = graph

    def __call__(self, trials: Trials, size: Tensor, correction: Tensor) -> None:
        self.size.copy_(size)
        self.correction.copy_(correction)
        for field in dataclasses.fields(Trials):
            place = getattr(self.trials, field.name)
            if place is not None:
                place.copy_(getattr(trials, field.name))
        self.graph.replay()


def recorded(step: Step, trials: Trials, size: Tensor, correction: Tensor) -> Run:
    """`step` as a CUDA graph where that is possible, else as it is.

    A user's own model or regularizer may do what cannot be recorded, such as asking for a value.
    """
    if size.device.type != "cuda":
        return step
    try:
        return Replay(step, trials, size, correction)
    except RuntimeError as error:
        torch.cuda.synchronize(size.device)
        reason = str(error).partition("\n")[0]
        warnings.warn(f"a training step is not recorded as a CUDA graph ({reason})", stacklevel=2)
        return step
