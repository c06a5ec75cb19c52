"""A training step can be recorded: it touches the device alone, and its arguments have fixed places."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from degen.condition import Condition
from degen.streams import Stream
from degen.tasks import Trials
from degen.training import Ensemble
from degen.training.cuda.graph_step import CudaGraphStep
from degen.training.step import TrainingStep, epoch_trials
from tests.conftest import TINY, build

CONDITIONS = [
    ("task=flip_flop", "parameterization=standard", "regularizer=none"),
    ("task=sine_wave", "parameterization=mup", "regularizer=l1"),
    ("task=path_integration", "task.start=hidden_state", "regularizer=nuclear_norm"),
    ("task=delayed_discrimination", "task.n_steps=60", "parameterization=mup", "regularizer=nuclear_norm"),
]


class OnDeviceOnly(TorchDispatchMode):
    """Refuses arrays of the processor, and decompositions, which wait for their verdict."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        for leaf in tree_leaves((args, kwargs, found)):
            on_cpu = isinstance(leaf, torch.Tensor) and leaf.device.type == "cpu"
            assert not on_cpu, f"{function} touches an array of the processor"
        assert "linalg" not in str(function), function
        return found


def step_on(device: str, condition: Condition, seeds: int = 2) -> tuple[TrainingStep, Trials, torch.Tensor]:
    ensemble = Ensemble.new(range(seeds), condition.task, condition.model, dtype=condition.dtype).to(device)
    step = TrainingStep.create(ensemble, condition.model, condition.training, condition.regularizer)
    trials = condition.task.generate(condition.training.batch_size, Stream.named(range(seeds), "trials"))
    return step, trials.map(lambda array: array.to(device)), step.loss_sum.new_ones(2, seeds)


class NoNewArrays(TorchFunctionMode):
    """Refuses arrays made of Python's numbers: they come from the processor."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        assert function not in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor), function
        return function(*args, **(kwargs or {}))


@contextmanager
def on_device_only():
    """What a CUDA graph cannot hold is refused, seen by way of a device without values.

    To ask for a value is refused by that device itself.
    """
    with OnDeviceOnly(), NoNewArrays():
        yield


@pytest.mark.parametrize("overrides", CONDITIONS, ids=" ".join)
@pytest.mark.parametrize("seeds", [1, 2])
def test_a_step_never_leaves_the_device(overrides, seeds):
    step, trials, ones = step_on("meta", build(*TINY, *overrides), seeds)
    with on_device_only():
        step(trials, ones)


@pytest.mark.parametrize("overrides", CONDITIONS, ids=" ".join)
def test_trials_are_drawn_without_leaving_the_device(overrides):
    condition = build(*TINY, *overrides)
    stream = Stream(torch.zeros(3, 2, dtype=torch.int64, device="meta"))
    with on_device_only():
        trials = condition.task.generate(5, stream)
    assert trials.inputs.device.type == "meta"


def test_what_leaves_the_device_is_seen():
    x = torch.ones(2, device="meta")
    with on_device_only():
        for bad in (
            lambda: x.new_tensor(3.0),
            lambda: torch.tensor(3.0).to("meta"),
            lambda: torch.linalg.svdvals(x.expand(2, 2)),
            lambda: x + torch.ones(()),
        ):
            with pytest.raises(AssertionError):
                bad()
        with pytest.raises(RuntimeError):
            x.sum().item()


@pytest.mark.parametrize("overrides", CONDITIONS, ids=" ".join)
def test_a_step_whose_arguments_have_places_is_the_plain_step(overrides):
    condition = build(*TINY, *overrides)
    plain, trials, ones = step_on("cpu", condition)
    placed, _, _ = step_on("cpu", condition)
    recorded = CudaGraphStep(placed, trials.map(torch.zeros_like), torch.zeros_like(ones))
    places = recorded.trials.inputs.data_ptr(), recorded.coefficients.data_ptr()
    weights = {name: array.data_ptr() for name, array in placed.ensemble.parameters.items()}
    like = plain.ensemble.like
    for i, given in enumerate(epoch_trials([0, 1], [0, 3], condition.task, condition.training, like)):
        coefficients = torch.stack((1e-3 * (1 + ones[0] / (i + 1)), ones[1] - 0.9 ** (i + 1)))
        plain(given, coefficients)
        recorded(given, coefficients)
    assert places == (recorded.trials.inputs.data_ptr(), recorded.coefficients.data_ptr())
    assert weights == {name: array.data_ptr() for name, array in placed.ensemble.parameters.items()}
    assert torch.equal(plain.loss_sum, placed.loss_sum)
    assert torch.equal(plain.penalty_sum, placed.penalty_sum)
    for kind, parameters in plain.ensemble.tensors.items():
        for name, array in parameters.items():
            assert torch.equal(array, placed.ensemble.tensors[kind][name]), (kind, name)
