"""Cells written as `torch.nn.Module`."""

from __future__ import annotations

import dataclasses
import functools
from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from degen.models.base import Model, Parameters
from degen.streams import Stream
from degen.tasks import Task

_PREFIX = "cell."


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModuleCell(Model):
    """A cell of your own, given as a module, with a linear readout.

    `torch.func` computes all networks at once. The weights of the module have the prefix `cell.`. A module's
    own `reset_parameters` draws them, from a seed that depends on the stream only. Weights of the readout are
    drawn from U(-1/sqrt(n), 1/sqrt(n)). The module may not have buffers or draw random numbers in `forward`.

    Args:
        width: number n of hidden units.
        gamma: divisor of the output and factor of the learning rate.

    Examples:
        >>> from degen.tasks import FlipFlop
        >>> class TorchRNN(ModuleCell):
        ...     def make_cell(self, n_inputs):
        ...         return nn.RNNCell(n_inputs, self.width)
        ...     def recurrent(self, parameters):
        ...         return parameters["cell.weight_hh"]
        >>> model = TorchRNN(width=8, gamma=1.0)
        >>> task = FlipFlop(channels=3, n_steps=20, pulse_probability=0.3)
        >>> weights = model.initialize(task, Stream.named([0, 1], "example"))
        >>> weights["cell.weight_hh"].shape  # (seeds, ...)
        torch.Size([2, 8, 8])
        >>> model(weights, task.generate(5, Stream.named([0, 1], "example"))).shape
        torch.Size([2, 5, 20, 3])
    """

    @abstractmethod
    def make_cell(self, n_inputs: int) -> nn.Module:
        """Return a module that maps inputs (trials, n_inputs) and states (trials, state_size) to states."""

    def initialize(self, task: Task, stream: Stream) -> Parameters:
        bound = self.width**-0.5
        shapes: dict[str, tuple[int, ...]] = {
            "output": (task.n_outputs, self.width),
            "output_bias": (task.n_outputs,),
        }
        if task.n_start:
            shapes["encoder"] = (self.state_size, task.n_start)
        readout = {name: stream.uniform(*shape, low=-bound, high=bound) for name, shape in shapes.items()}
        return self._draw_cells(task.n_inputs, stream) | readout

    def _draw_cells(self, n_inputs: int, stream: Stream) -> Parameters:
        drawn = []
        for key in stream.keys.tolist():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(key)
                drawn.append(dict(self.make_cell(n_inputs).named_parameters()))
        return {
            f"{_PREFIX}{name}": torch.stack([weights[name].detach() for weights in drawn]).to(
                device=stream.device, dtype=stream.dtype
            )
            for name in drawn[0]
        }

    def step(self, parameters: Parameters, state: Tensor, inputs: Tensor) -> Tensor:
        cell = _skeleton(self, inputs.shape[-1])
        named = parameters.items()
        weights = {name.removeprefix(_PREFIX): value for name, value in named if name.startswith(_PREFIX)}
        step = vmap(lambda own, *arguments: functional_call(cell, own, arguments))
        return step(weights, inputs, state)

    def readout(self, parameters: Parameters, hidden: Tensor) -> Tensor:
        outputs = hidden @ parameters["output"].mT.unsqueeze(1) + parameters["output_bias"][:, None, None]
        return outputs / self.gamma


@functools.lru_cache
def _skeleton(model: ModuleCell, n_inputs: int) -> nn.Module:
    """Return the module of a model, without values."""
    with torch.device("meta"):
        return model.make_cell(n_inputs)
