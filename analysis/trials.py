"""Frozen trials on which networks are compared: probes, test trials and out-of-distribution trials."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import torch

from degen.condition import build
from degen.errors import require, require_integer, require_number
from degen.streams import Stream
from degen.tasks import Task, Trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialSet:
    """A set of trials that all networks of a task are tested on.

    Args:
        n_trials: number of trials, at least 2.
        seed: selects the trials.
    """

    n_trials: int
    seed: int

    def __post_init__(self) -> None:
        require_integer("n_trials of probe, ood and trials", self.n_trials, 2)
        require_integer("seed of probe and ood", self.seed, 0)

    def draw(self, task: Task, purpose: str, dtype: torch.dtype) -> Trials:
        """Generate the trials, with a leading dimension of 1. They are identical on every machine."""
        return task.generate(self.n_trials, Stream.named([self.seed], purpose, dtype=dtype))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtraOOD:
    """An out-of-distribution condition in addition to the paper's (section 2.3.1).

    Args:
        doublings: how often the out-of-distribution version (`Task.ood`) is applied. 0 is the task as
            trained, 1 the paper's condition (twice the trial or the delay), 2 four times the length.
        input_noise: standard deviation of the Gaussian noise added to each input, as a fraction of the
            standard deviation of that input.
        outside_training: leave out trials that networks were trained on (`Task.outside`), which the doubled
            task may draw: delays up to the longest one in training.
    """

    doublings: int
    input_noise: float
    outside_training: bool

    def __post_init__(self) -> None:
        require_integer("doublings of further_ood", self.doublings, 0)
        require_number("input_noise of further_ood", self.input_noise, minimum=0.0)
        allowed = "true or false, and false for doublings=0, the task as trained"
        is_allowed = isinstance(self.outside_training, bool) and self.outside_training <= self.doublings
        require(is_allowed, "outside_training of further_ood", self.outside_training, allowed)

    def draw(self, task: Task, trial_set: TrialSet, dtype: torch.dtype) -> Trials | None:
        """Generate the trials, with a leading dimension of 1. None if the task has no such version."""
        version: Task | None = task
        for _ in range(self.doublings):
            version = None if version is None else version.ood()
        if version is None:
            return None
        if self.outside_training:
            version = version.outside(task)
        trials = trial_set.draw(version, "ood trials", dtype)
        scale = self.input_noise * trials.inputs.std(dim=(0, 1, 2), correction=0)
        noise = Stream.named([trial_set.seed], "ood noise", dtype=dtype).normal(*trials.inputs.shape[1:])
        return dataclasses.replace(trials, inputs=trials.inputs + scale * noise)


FurtherOOD = Mapping[str, ExtraOOD]
"""Extra out-of-distribution conditions by name. Table columns contain the names."""


def build_further_ood(settings: Mapping[str, Any]) -> FurtherOOD:
    """Build the conditions of the field `further_ood`.

    Raises:
        BadInputError: a name or a value is not allowed.
    """
    for name in settings:
        allowed = "made of letters, digits and underscores, and not settled"  # the column ood_loss_settled
        is_allowed = re.fullmatch(r"\w+", str(name)) is not None and name != "settled"
        require(is_allowed, "name in further_ood", name, allowed)
    return {name: build(node, ExtraOOD, f"further_ood.{name}")[1] for name, node in settings.items()}
