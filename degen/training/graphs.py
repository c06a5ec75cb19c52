"""A training step recorded as a CUDA graph: one launch instead of some hundreds."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor

from degen.tasks import Trials
from degen.training.step import Step


class Recorded:
    """A `Step` whose arguments have places of their own: new ones are copied there, then the step is made.

    On CUDA it is recorded as a graph and replayed. To record it, it is made a few times: members are other
    ones afterwards.

    Args:
        trials, coefficients: of the shapes of every later call.
    """

    def __init__(self, step: Step, trials: Trials, coefficients: Tensor):
        self.step = step
        self.trials, self.coefficients = trials.map(torch.clone), coefficients.clone()
        self.graph = self._record() if coefficients.device.type == "cuda" else None

    def __call__(self, trials: Trials, coefficients: Tensor) -> None:
        self.coefficients.copy_(coefficients)
        for field in dataclasses.fields(Trials):
            place = getattr(self.trials, field.name)
            if place is not None:
                place.copy_(getattr(trials, field.name))
        if self.graph is None:
            self._make()
        else:
            self.graph.replay()

    def _make(self) -> None:
        self.step(self.trials, self.coefficients)

    def _record(self) -> torch.cuda.CUDAGraph | None:
        """The graph; None for what cannot be recorded: a user's own model may ask for a value, say."""
        device = self.coefficients.device
        current, stream = torch.cuda.current_stream(device), torch.cuda.Stream(device)
        graph = torch.cuda.CUDAGraph()
        stream.wait_stream(current)
        try:
            with torch.cuda.stream(stream):
                # Libraries set themselves up in their first calls, which cannot be recorded.
                for _ in range(2):
                    self._make()
                # A recording that fails leaves torch's allocator in its midst: better to know before.
                with _waiting_raises():
                    self._make()
            current.wait_stream(stream)
            with torch.cuda.graph(graph, stream=stream):
                self._make()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            torch.cuda.set_stream(current)  # which a recording that fails does not
            torch.cuda.synchronize(device)
            reason = str(error).partition("\n")[0]
            warnings.warn(f"training steps are not recorded as a CUDA graph ({reason})", stacklevel=2)
            return None
        return graph


@contextlib.contextmanager
def _waiting_raises() -> Iterator[None]:
    """What waits for the device, and so cannot be recorded, raises `RuntimeError`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls it a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
