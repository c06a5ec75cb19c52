"""Tasks of the package neurogym (Molano-Mazón et al. 2022), in supervised form."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degen.errors import require, require_integer
from degen.streams import Stream
from degen.tasks.base import Task, Trials
from degen.tasks.environments import Actions, Trial, actions, make_environment, trials

_N_SAMPLES = 256
"""Number of trials whose longest one sets the number of time steps."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Neurogym(Task):
    """An environment of neurogym: its observations are inputs, and its correct actions are targets.

    Classes of actions are learned with the cross-entropy, arrays of numbers with the squared error. Every
    trial is padded to `n_steps` time steps, and the mask leaves the padding out of the loss. Longer trials
    are drawn again.

    The trials of a key are consecutive trials of a new environment whose random generators are seeded by the
    key. Trial i of a key is therefore the same for any number of trials.

    Args:
        env: name of the environment, or `module:name` for an environment that a module of yours registers.
        kwargs: arguments of the environment, such as `dt` and `timing`. None for its defaults.
        ood_kwargs: arguments that differ in OOD trials. None for a task without OOD trials.
        n_steps: time steps per trial. None for the longest of 256 sample trials.

    Raises:
        BadInputError: neurogym is not installed, the environment does not exist, rejects its arguments or has
            no ground truth, or a sample trial is longer than `n_steps`.

    Examples:
        >>> task = Neurogym(env="GoNogo-v0", kwargs={"dt": 50}, ood_kwargs=None, n_steps=None)
        >>> trials = task.generate(5, Stream.named([0, 1], "example"))
        >>> trials.inputs.shape, trials.targets.shape, trials.loss
        (torch.Size([2, 5, 30, 3]), torch.Size([2, 5, 30, 2]), 'cross_entropy')
    """

    env: str
    kwargs: dict[str, Any] | None
    ood_kwargs: dict[str, Any] | None
    n_steps: int | None

    def __post_init__(self) -> None:
        require(isinstance(self.env, str), "task.env", self.env, "the name of an environment")
        for name in ("kwargs", "ood_kwargs"):
            is_mapping = isinstance(getattr(self, name), dict | None)
            require(is_mapping, f"task.{name}", getattr(self, name), "a mapping of arguments, or null")
        longest = max(len(observations) for observations, _ in self._samples)
        if self.n_steps is not None:
            require_integer("task.n_steps", self.n_steps, 1)
            allowed = f"at least {longest}, the longest of {_N_SAMPLES} sample trials, or null"
            require(self.n_steps >= longest, "task.n_steps", self.n_steps, allowed)

    @property
    def n_inputs(self) -> int:
        return self._samples[0][0].shape[1]

    @property
    def n_outputs(self) -> int:
        return self._actions.n_outputs

    @property
    def variant(self) -> str:
        return re.sub(r"[^\w.-]", "-", self.env)

    def generate(self, n_trials: int, stream: Stream) -> Trials:
        seeds = stream.integers(0, 2**23 - 1, 3).view(-1, 3).tolist()
        drawn = [trial for seed in seeds for trial in self._draw(n_trials, seed, self._length)]
        observations, ground_truth = zip(*drawn, strict=True)
        steps = [np.ones(len(array)) for array in observations]
        inputs, targets, mask = (
            array.to(stream.device, stream.dtype).unflatten(0, (*stream.keys.shape, n_trials))
            for array in (self._pad(observations), self._targets(ground_truth), self._pad(steps))
        )
        loss = "cross_entropy" if self._actions.is_class else "squared_error"
        return Trials(inputs, targets, mask, loss=loss)

    def ood(self) -> Neurogym | None:
        """Return the task with `ood_kwargs`, or None without them."""
        if self.ood_kwargs is None:
            return None
        kwargs = (self.kwargs or {}) | self.ood_kwargs
        return dataclasses.replace(self, kwargs=kwargs, ood_kwargs=None, n_steps=None)

    @functools.cached_property
    def _actions(self) -> Actions:
        return actions(self.env, make_environment(self.env, self.kwargs or {}))

    @functools.cached_property
    def _samples(self) -> list[Trial]:
        """Trials of a fixed seed."""
        return self._draw(_N_SAMPLES, seed=[0], length=None)

    @functools.cached_property
    def _length(self) -> int:
        """Number of time steps of a trial, padding included."""
        return self.n_steps or max(len(observations) for observations, _ in self._samples)

    def _draw(self, n_trials: int, seed: list[int], length: int | None) -> list[Trial]:
        """Return the first trials of a new environment that are not longer than `length`."""
        drawn = trials(self.env, make_environment(self.env, self.kwargs or {}), seed)
        fitting = (trial for trial in drawn if length is None or len(trial[0]) <= length)
        return list(itertools.islice(fitting, n_trials))

    def _targets(self, ground_truth: Sequence[NDArray[Any]]) -> Tensor:
        """Return the targets (trials, time, n_outputs): probabilities of classes, or numbers."""
        if not self._actions.is_class:
            return self._pad(ground_truth).flatten(2)
        largest = max(array.max() for array in ground_truth)
        allowed = f"at most {self.n_outputs - 1}, the last class"
        require(largest < self.n_outputs, f"ground truth of {self.env}", int(largest), allowed)
        return torch.nn.functional.one_hot(self._pad(ground_truth).long(), self.n_outputs)

    def _pad(self, arrays: Sequence[NDArray[Any]]) -> Tensor:
        """Return arrays (time, ...) of any length as one array (trials, time, ...), with zeros at the end."""
        padded = np.zeros((len(arrays), self._length, *arrays[0].shape[1:]))
        for row, array in zip(padded, arrays, strict=True):
            row[: len(array)] = array
        return torch.from_numpy(padded)
