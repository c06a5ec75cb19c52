"""A training step as a CUDA graph: one launch instead of hundreds."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor

from degen.tasks import Trials
from degen.training.step import TrainingStep


class CudaGraphStep:
    """A `TrainingStep` with static arguments, into which every call copies its arguments.

    On CUDA, the step is captured as a graph and replayed. The capture runs the step a few times, which
    changes the networks. On other devices, the step runs eagerly.

    Args:
        step: the step to capture.
        trials, coefficients: arguments with the shapes of all later calls.
    """

    def __init__(self, step: TrainingStep, trials: Trials, coefficients: Tensor):
        self.step = step
        self.trials, self.coefficients = trials.map(torch.clone), coefficients.clone()
        self.graph = self._capture() if coefficients.device.type == "cuda" else None

    def __call__(self, trials: Trials, coefficients: Tensor) -> None:
        """Run the step with these arguments."""
        self.coefficients.copy_(coefficients)
        for name, static in self.trials.arrays.items():
            static.copy_(trials.arrays[name])
        if self.graph is None:
            self._run_eager()
        else:
            self.graph.replay()

    def _run_eager(self) -> None:
        self.step(self.trials, self.coefficients)

    def _capture(self) -> torch.cuda.CUDAGraph | None:
        """Return the graph, or None if the step cannot be captured because a user's model synchronizes."""
        device = self.coefficients.device
        current, stream = torch.cuda.current_stream(device), torch.cuda.Stream(device)
        graph = torch.cuda.CUDAGraph()
        stream.wait_stream(current)
        try:
            with torch.cuda.stream(stream):
                # Libraries initialize in their first calls, which cannot be captured.
                for _ in range(2):
                    self._run_eager()
                # A failed capture leaves torch's allocator in an undefined state, so check beforehand.
                with _forbid_sync():
                    self._run_eager()
            current.wait_stream(stream)
            with torch.cuda.graph(graph, stream=stream):
                self._run_eager()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            torch.cuda.set_stream(current)  # a failed capture does not restore it
            torch.cuda.synchronize(device)
            reason = str(error).partition("\n")[0]
            warnings.warn(f"training steps are not captured as a CUDA graph ({reason})", stacklevel=2)
            return None
        return graph


@contextlib.contextmanager
def _forbid_sync() -> Iterator[None]:
    """Make operations that synchronize with the device, and cannot be captured, raise `RuntimeError`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that this mode is a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
