"""The check of a user's task before training."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from degen.errors import BadInputError
from degen.streams import Stream
from degen.tasks import Task, Trials
from degen.tasks.contract import require_valid
from tests.conftest import task

LOSSES = {"unknown loss": "hinge", "a single class": "cross_entropy"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Echo(Task):
    """A task with a fault that is chosen by name."""

    fault: str = ""
    n_inputs = 1
    n_outputs = 1

    @property
    def n_start(self) -> int:
        return int(self.fault == "no start")

    def generate(self, n_trials: int, stream: Stream) -> Trials:
        x = stream.normal(n_trials, 12, 1)
        y, mask = torch.sign(x), None
        if self.fault == "two columns":
            y = torch.cat([y, -y], dim=-1)
        if self.fault == "one step":
            y = y[..., -1:, :]
        if self.fault == "no units":
            y = y[..., 0]
        if self.fault == "mask with units":
            mask = torch.ones_like(x)
        if self.fault == "mask without seeds":
            mask = torch.ones(n_trials, 12)
        if self.fault == "more inputs":
            x = torch.cat([x, x], dim=-1)
        if self.fault == "NaN":
            x = x / (x > 0)
        if self.fault == "global generator":
            y = torch.randn(x.shape)
        if self.fault == "seeds mixed":
            y = x - x.mean(dim=0, keepdim=True)
        if self.fault == "axes from the start":
            y = x.cumsum(dim=2)
        if self.fault == "empty mask":
            mask = torch.zeros(x.shape[:-1])
        if self.fault == "an index":
            x = x[[99]]
        if self.fault in LOSSES:
            return Trials(x, y, mask, loss=LOSSES[self.fault])
        return (x, y) if self.fault == "a tuple" else Trials(x, y, mask)

    def ood(self) -> Task | None:
        odd = {"ood with NaN": "NaN", "ood with start": "no start", "ood with two columns": "two columns"}
        if self.fault == "ood is a number":
            return 2  # type: ignore[return-value]
        return dataclasses.replace(self, fault=odd[self.fault]) if self.fault in odd else None


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (
            "two columns",
            r"targets of Echo must be of shape \(seeds, trials, time, n_outputs\) = \(2, 32, 12, 1\)",
        ),
        ("one step", r"targets of Echo must be of shape .*, got \(2, 32, 1, 1\)\.$"),
        ("no units", r"targets of Echo must be of shape .*, got \(2, 32, 12\)\.$"),
        ("mask with units", r"mask of Echo must be of shape \(seeds, trials, time\) = \(2, 32, 12\)"),
        ("mask without seeds", r"mask of Echo must be of shape .*, got \(32, 12\)\.$"),
        ("more inputs", r"inputs of Echo must be of shape .*, got \(2, 32, 12, 2\)\.$"),
        ("no start", r"start of Echo must be given, since Echo.n_start is 1, got None\.$"),
        (
            "NaN",
            r"Echo.generate must be a function that returns finite trials, got 'NaN or infinity in inputs'",
        ),
        (
            "global generator",
            r"Echo.generate must be a function of its stream alone .* got 'other targets from the",
        ),
        (
            "seeds mixed",
            r"Echo.generate must be .*, got 'other targets for a seed drawn together with another'",
        ),
        (
            "axes from the start",
            r"Echo.generate must be .*; index trials, .*, got 'other targets for a seed drawn together",
        ),
        ("empty mask", r"mask of Echo must be 0 or above, and above 0 in .*, got 'weights from 0 to 0'\.$"),
        ("an index", r"Echo.generate must not fail, got IndexError: .* \(.*test_contract.py, line \d+\)\.$"),
        ("unknown loss", r"loss of Echo must be one of squared_error, cross_entropy, got 'hinge'\.$"),
        ("a single class", r"targets of Echo must be probabilities .*, got 'values from -1 to 1'\.$"),
        ("ood is a number", r"Echo.ood must be a function that returns a Task or None, got 'int'\.$"),
        ("ood with NaN", r"Echo.ood\(\).generate must be a function that returns finite trials"),
        ("ood with start", r"n_start of Echo.ood\(\) must be 0, as in Echo, got 1\.$"),
        ("ood with two columns", r"targets of Echo.ood\(\) must be of shape"),
        ("a tuple", r"Echo.generate must be a function that returns Trials, got 'tuple'\.$"),
    ],
)
def test_a_faulty_task_is_rejected_in_one_sentence(fault, sentence):
    with pytest.raises(BadInputError, match=f"^{sentence}"):
        require_valid(Echo(fault=fault))


@pytest.mark.parametrize(
    "overrides",
    [
        ("task=flip_flop",),
        ("task=delayed_discrimination", "task.auxiliary_loss=true"),
        ("task=sine_wave",),
        ("task=path_integration", "task.start=hidden_state", "task.dimensions=3"),
        ("task=lorenz96",),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tasks_of_the_package_are_valid(overrides, dtype):
    require_valid(task(*overrides), dtype)
    require_valid(Echo())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classes(Task):
    """Class targets; the first step has no weight and no class."""

    scale: float = 1.0
    ood_loss: str = "cross_entropy"
    loss: str = "cross_entropy"
    n_inputs = 1
    n_outputs = 2

    def generate(self, n_trials: int, stream: Stream) -> Trials:
        x = stream.normal(n_trials, 12, 1)
        y = self.scale * torch.cat([x > 0, x <= 0], dim=-1).to(x.dtype)
        mask = torch.ones_like(x[..., 0])
        y[..., 0, :] = mask[..., 0] = 0.0
        return Trials(x, y, mask, loss=self.loss)

    def ood(self) -> Task:
        return dataclasses.replace(self, loss=self.ood_loss)


def test_class_targets_are_probabilities_where_they_have_weight():
    require_valid(Classes())
    sentence = r"^targets of Classes must be probabilities that sum to 1 .*, got 'values from 0 to 2'\.$"
    with pytest.raises(BadInputError, match=sentence):
        require_valid(Classes(scale=2.0))


def test_the_ood_task_has_the_loss_of_the_task():
    sentence = r"^loss of Classes.ood\(\) must be cross_entropy, as in Classes, got 'squared_error'\.$"
    with pytest.raises(BadInputError, match=sentence):
        require_valid(Classes(ood_loss="squared_error"))
