"""A training step can be captured: it stays on the device, and its arguments are static."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from degen.condition import Condition
from degen.streams import Stream
from degen.tasks import Trials
from degen.training import Ensemble
from degen.training.cuda.graph_step import CudaGraphStep
from degen.training.step import TrainingStep, epoch_trials
from degen.training.validation import mean_loss
from tests.composed import files
from tests.conftest import TINY, build
from tests.training.classification import LargestSum
from tests.training.cuda.device_without_values import capturable

TASKS = (
    ("task=flip_flop",),
    ("task=sine_wave",),
    ("task=delayed_discrimination", "task.n_steps=60"),
    ("task=path_integration", "task.start=hidden_state"),
    ("task=lorenz96",),
)
PARAMETERIZATIONS = ("standard", "mup")
CELLS = sorted({*files("parameterization")} - {*PARAMETERIZATIONS})
REGULARIZERS = ("none", "l1", "nuclear_norm")
CONDITIONS = [
    (*task, f"parameterization={parameterization}", f"regularizer={regularizer}")
    for task, parameterization, regularizer in itertools.product(TASKS, PARAMETERIZATIONS, REGULARIZERS)
] + [
    (
        "task=path_integration",
        "task.start=hidden_state",
        f"parameterization={cell}",
        f"regularizer={regularizer}",
    )
    for cell, regularizer in itertools.product(CELLS, ("none", "nuclear_norm"))
]
CONDITIONS += [
    ("training=sgd", "training.optimizer.weight_decay=0.1"),
    ("training.optimizer.weight_decay=0.1",),
]

every_condition = pytest.mark.parametrize("overrides", CONDITIONS, ids=" ".join)
every_task = pytest.mark.parametrize("overrides", TASKS, ids=" ".join)


def ensemble_on(device: str, condition: Condition, seeds: int = 2) -> Ensemble:
    return Ensemble.new(range(seeds), condition.task, condition.model, dtype=condition.dtype).to(device)


def step_on(device: str, condition: Condition, seeds: int = 2) -> tuple[TrainingStep, Trials, torch.Tensor]:
    """A step on that device, with trials and coefficients for it."""
    ensemble = ensemble_on(device, condition, seeds)
    step = TrainingStep.create(ensemble, condition.model, condition.training, condition.regularizer)
    trials = condition.task.generate(condition.training.batch_size, Stream.named(range(seeds), "trials"))
    trials = condition.model.add_noise(trials, Stream.named(range(seeds), "noise"))
    optimizer, ones = condition.training.optimizer, [[1.0]] * seeds
    n_coefficients = len(optimizer.coefficients(ones, [0] * seeds, torch.zeros(()))[0])
    return step, trials.map(lambda array: array.to(device)), step.loss_sum.new_ones(n_coefficients, seeds)


@every_condition
@pytest.mark.parametrize("seeds", [1, 2])
def test_a_step_never_leaves_the_device(overrides, seeds):
    step, trials, coefficients = step_on("meta", build(*TINY, *overrides), seeds)
    with capturable():
        step(trials, coefficients)


@every_condition
def test_a_step_with_static_arguments_never_leaves_the_device(overrides):
    step, trials, coefficients = step_on("meta", build(*TINY, *overrides))
    static = CudaGraphStep(step, trials, coefficients)
    with capturable():
        static(trials, coefficients)


@every_task
def test_trials_are_drawn_without_leaving_the_device(overrides):
    condition = build(*TINY, *overrides)
    stream = Stream(torch.zeros(3, 2, dtype=torch.int64, device="meta"))
    with capturable():
        trials = condition.task.generate(5, stream)
    assert trials.inputs.device.type == "meta"


@pytest.mark.parametrize(
    ("overrides", "parameterization"),
    [*itertools.product(TASKS, PARAMETERIZATIONS), *((TASKS[0], cell) for cell in CELLS)],
)
def test_validation_and_unrolling_stay_on_the_device(overrides, parameterization):
    condition = build(*TINY, *overrides, f"parameterization={parameterization}")
    parameters = ensemble_on("meta", condition).parameters
    stream = Stream.named([0], "validation trials", device="meta")
    trials = condition.task.generate(200, stream)
    with capturable():
        trials = condition.model.add_noise(trials, stream)
    wide = trials.map(lambda array: array.expand(2, *array.shape[1:]))
    with capturable():
        losses = mean_loss(condition.model, parameters, trials)
        hidden = condition.model.unroll(parameters, wide)
        outputs = condition.model.readout(parameters, hidden)
        recurrent = condition.model.recurrent(parameters)
    assert losses.shape == (2,)
    assert (hidden.shape[:2], outputs.shape) == ((2, 200), wide.targets.shape)
    assert recurrent.shape[2:] == (8,)
    assert {array.device.type for array in (losses, hidden, outputs, recurrent)} == {"meta"}


@every_task
def test_ensembles_are_selected_joined_and_loaded_on_the_device(overrides):
    ensemble = ensemble_on("meta", build(*TINY, *overrides), seeds=3)
    joined = ensemble.select([2, 0]).join(ensemble.select([1]))
    assert joined.seeds == [2, 0, 1]
    joined.load(ensemble)
    ensemble.store_converged(1)
    tensors = [array for arrays in joined.tensors.values() for array in arrays.values()]
    assert {array.device.type for array in tensors} == {"meta"}
    assert joined.seeds == [0, 1, 2]


@every_task
def test_coefficients_and_trials_are_on_the_device(overrides):
    condition = build(*TINY, *overrides)
    like, optimizer = torch.zeros((), device="meta"), condition.training.optimizer
    coefficients = optimizer.coefficients([[0.1] * 4, [0.2] * 4], [0, 8], like)
    assert (coefficients.shape, coefficients.device.type) == ((4, 2, 2), "meta")
    drawn = list(epoch_trials([0, 1], [0, 3], condition.task, condition.model, condition.training, like))
    assert [trials.inputs.device.type for trials in drawn] == ["meta"] * 4


@pytest.mark.parametrize("cell", files("parameterization"))
def test_the_cross_entropy_never_leaves_the_device(cell):
    condition = build(*TINY, f"parameterization={cell}")
    condition = dataclasses.replace(condition, task=LargestSum(n_steps=20))
    step, trials, coefficients = step_on("meta", condition)
    static = CudaGraphStep(step, trials, coefficients)
    with capturable():
        static(trials, coefficients)
        losses = mean_loss(condition.model, step.ensemble.parameters, trials.map(lambda array: array[:1]))
    assert (losses.shape, losses.device.type) == ((2,), "meta")


def test_the_check_rejects_reads_from_the_device():
    x = torch.ones(2, device="meta")
    with capturable():
        for operation in (
            lambda: x.new_tensor(3.0),
            lambda: torch.tensor(3.0).to("meta"),
            lambda: torch.linalg.svdvals(x.expand(2, 2)),
            lambda: x + torch.ones(()),
        ):
            with pytest.raises(AssertionError):
                operation()
        with pytest.raises(RuntimeError):
            x.sum().item()


@every_condition
def test_a_step_with_static_arguments_equals_the_plain_step(overrides):
    condition = build(*TINY, *overrides)
    plain, trials, ones = step_on("cpu", condition)
    other, _, _ = step_on("cpu", condition)
    static = CudaGraphStep(other, trials.map(torch.zeros_like), torch.zeros_like(ones))
    pointers = static.trials.inputs.data_ptr(), static.coefficients.data_ptr()
    weights = {name: array.data_ptr() for name, array in other.ensemble.parameters.items()}
    like = plain.ensemble.like
    parts = condition.task, condition.model, condition.training
    for i, batch in enumerate(epoch_trials([0, 1], [0, 3], *parts, like)):
        coefficients = torch.stack((1e-3 * (1 + ones[0] / (i + 1)), *(ones[1:] - 0.9 ** (i + 1))))
        plain(batch, coefficients)
        static(batch, coefficients)
    assert pointers == (static.trials.inputs.data_ptr(), static.coefficients.data_ptr())
    assert weights == {name: array.data_ptr() for name, array in other.ensemble.parameters.items()}
    assert torch.equal(plain.loss_sum, other.loss_sum)
    assert torch.equal(plain.penalty_sum, other.penalty_sum)
    for kind, parameters in plain.ensemble.tensors.items():
        for name, array in parameters.items():
            assert torch.equal(array, other.ensemble.tensors[kind][name]), (kind, name)
