"""Training on a CUDA device, compared with the CPU (`make gpu`, or `pytest -m gpu`)."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import degen
from degen.condition import Condition
from degen.metrics import dsa, pif
from degen.models import Standard
from degen.streams import Stream
from degen.training import Ensemble, train
from degen.training.cuda.ensemble_batches import EnsembleBatches
from degen.training.cuda.graph_step import CudaGraphStep
from degen.training.gradients import loss_and_gradients
from degen.training.memory import draw_bytes, plan_memory, step_bytes
from degen.training.step import TrainingStep, epoch_trials
from tests.conftest import TINY, assert_same_networks, build, run_folder

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
DEVICE = torch.device("cuda")

CONDITIONS = [
    ("task=flip_flop", "regularizer=none"),
    ("task=sine_wave", "regularizer=l1"),
    ("task=path_integration", "task.start=hidden_state", "regularizer=nuclear_norm"),
    ("task=delayed_discrimination", "task.n_steps=60", "regularizer=none"),
]
conditions = pytest.mark.parametrize("overrides", CONDITIONS, ids=" ".join)
parameterizations = pytest.mark.parametrize("parameterization", ["standard", "mup"])


def new(condition: Condition, seeds: int, device: torch.device | str = DEVICE) -> Ensemble:
    parts = condition.task, condition.model
    return Ensemble.new(range(seeds), *parts, device=device, dtype=condition.dtype)


def step_of(condition: Condition, ensemble: Ensemble) -> TrainingStep:
    return TrainingStep.create(ensemble, condition.model, condition.training, condition.regularizer)


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-10) -> bool:
    """Equal but for a share `tolerance` of the expected array's size."""
    return bool(
        (found.cpu() - expected.cpu()).abs().max() <= tolerance * (expected.abs().max().item() + 1e-3)
    )


@contextmanager
def no_waiting() -> Iterator[None]:
    """What makes the processor wait for the device raises."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


# Random numbers --------------------------------------------------------------------------------------------


def test_uniform_and_integer_draws_equal_the_cpu_bitwise():
    for dtype in (torch.float32, torch.float64):
        here, there = (Stream.named([0, 7], "test", device=device, dtype=dtype) for device in ("cpu", DEVICE))
        for draw in (
            lambda stream: stream.uniform(1000, 3),
            lambda stream: stream.uniform(1000, low=-0.3, high=2.0),
            lambda stream: stream.integers(2, 10, 1000),
        ):
            assert torch.equal(draw(here), draw(there).cpu())


def test_normal_draws_equal_the_cpu_to_rounding():
    for dtype, tolerance in ((torch.float32, 3e-7), (torch.float64, 1e-14)):
        here, there = (
            Stream.named([0, 7], "test", device=device, dtype=dtype).normal(100_000)
            for device in ("cpu", DEVICE)
        )
        assert torch.allclose(there.cpu(), here, rtol=tolerance, atol=tolerance)


@conditions
def test_trials_equal_the_cpu_to_rounding(overrides):
    task = build(*TINY, *overrides).task
    here, there = (
        task.generate(50, Stream.named([0, 1], "trials", device=device, dtype=torch.float64))
        for device in ("cpu", DEVICE)
    )
    for field in dataclasses.fields(here):
        expected, found = getattr(here, field.name), getattr(there, field.name)
        assert (expected is None) == (found is None)
        if expected is not None:
            assert found.device.type == DEVICE.type
            assert close(found, expected), field.name


# Gradients -------------------------------------------------------------------------------------------------


@conditions
@parameterizations
@pytest.mark.parametrize("seeds", [1, 3])
def test_losses_and_gradients_equal_the_cpu_in_float64(overrides, parameterization, seeds):
    condition = build(*overrides, f"parameterization={parameterization}", "width=33", "dtype=float64")
    parameters = new(condition, seeds, "cpu").parameters
    trials = condition.task.generate(9, Stream.named(range(seeds), "trials", dtype=torch.float64))
    parts = condition.model, condition.regularizer
    here = loss_and_gradients(*parts, parameters, trials)
    on_device = {name: weights.to(DEVICE) for name, weights in parameters.items()}
    there = loss_and_gradients(*parts, on_device, trials.map(lambda array: array.to(DEVICE)))
    assert close(there[0], here[0])
    assert close(there[1], here[1], 1e-8)
    for name, gradient in here[2].items():
        assert close(there[2][name], gradient, 1e-8), name


def test_tf32_gradients_lose_three_digits():
    condition = build("width=128")
    parameters = new(condition, 4).parameters
    trials = condition.task.generate(64, Stream.named(range(4), "trials", device=DEVICE))

    def gradient(dtype: torch.dtype, precision: str) -> Tensor:
        torch.set_float32_matmul_precision(precision)
        try:
            given = {name: weights.to(dtype) for name, weights in parameters.items()}
            drawn = trials.map(lambda array: array.to(dtype))
            return loss_and_gradients(condition.model, condition.regularizer, given, drawn)[2]["recurrent"]
        finally:
            torch.set_float32_matmul_precision("highest")

    exact = gradient(torch.float64, "highest")
    assert (gradient(torch.float32, "highest") - exact).norm() < 2e-5 * exact.norm()
    assert 2e-5 * exact.norm() < (gradient(torch.float32, "high") - exact).norm() < 2e-2 * exact.norm()


# Graphs ----------------------------------------------------------------------------------------------------


@conditions
@parameterizations
@pytest.mark.parametrize("seeds", [1, 3])
def test_replayed_steps_equal_eager_steps_without_sync(overrides, parameterization, seeds):
    condition = build(*TINY, *overrides, f"parameterization={parameterization}", "dtype=float64")
    plain, placed = step_of(condition, new(condition, seeds)), step_of(condition, new(condition, seeds))
    ones = plain.loss_sum.new_ones(seeds)
    drawn = epoch_trials(
        list(range(seeds)), [0] * seeds, condition.task, condition.training, plain.ensemble.like, 2
    )
    given = list(drawn)
    recorded = CudaGraphStep(placed, given[0], torch.stack((ones, ones)))
    assert recorded.graph is not None
    placed.ensemble.load(plain.ensemble)  # to record has moved them
    placed.loss_sum.zero_()
    placed.penalty_sum.zero_()
    coefficients = [torch.stack((1e-3 * ones / (i + 1), ones)) for i in range(len(given))]
    with no_waiting():
        for trials, numbers in zip(given, coefficients, strict=True):
            recorded(trials, numbers)
    for trials, numbers in zip(given, coefficients, strict=True):
        plain(trials, numbers)
    assert close(placed.loss_sum, plain.loss_sum, 1e-12)
    assert close(placed.penalty_sum, plain.penalty_sum, 1e-12)
    for kind, parameters in plain.ensemble.tensors.items():
        for name, weights in parameters.items():
            assert close(placed.ensemble.tensors[kind][name], weights, 1e-9), (kind, name)


@conditions
def test_drawing_trials_does_not_sync(overrides):
    task = build(*TINY, *overrides).task
    stream = Stream(torch.zeros(4, 3, dtype=torch.int64, device=DEVICE))
    with no_waiting():
        task.generate(5, stream)


class _Curious(Standard):
    """Asks for a value in every step, which cannot be recorded."""

    def __call__(self, parameters, trials):
        assert parameters["recurrent"].sum().item() == parameters["recurrent"].sum().item()
        return super().__call__(parameters, trials)


def test_a_model_that_cannot_be_captured_is_trained():
    condition = build(*TINY)
    model = condition.model
    curious = _Curious(width=model.width, gamma=model.gamma)
    with pytest.warns(UserWarning, match="not recorded"):
        slow = trained(dataclasses.replace(condition, model=curious), new(condition, 2))
    assert slow == pytest.approx(trained(condition, new(condition, 2)), rel=1e-4)


# Training --------------------------------------------------------------------------------------------------


def trained(condition: Condition, ensemble: Ensemble, epochs: list[Ensemble] | None = None) -> list[float]:
    """Losses of every member and epoch, by seed."""
    losses: dict[int, list[float]] = {}

    def on_epoch(running: Ensemble, done: Ensemble) -> None:
        if epochs is not None:
            epochs.append(running)
        losses.update(zip(done.seeds, [history.loss for history in done.histories], strict=True))

    parts = condition.task, condition.model, condition.training, condition.regularizer
    train(ensemble, *parts, on_epoch=on_epoch)
    return [loss for seed in sorted(losses) for loss in losses[seed]]


@conditions
@parameterizations
def test_training_equals_the_cpu_in_float64(overrides, parameterization):
    condition = build(*TINY, *overrides, f"parameterization={parameterization}", "dtype=float64")
    here, there = (trained(condition, new(condition, 3, device)) for device in ("cpu", DEVICE))
    assert len(here) == 3 * 4
    assert there == pytest.approx(here, rel=1e-6)


@pytest.mark.parametrize(("first", "then"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_training_resumes_on_another_device(first, then):
    condition = build(*TINY, "dtype=float64")
    epochs: list[Ensemble] = []
    whole = trained(condition, new(condition, 3, first), epochs)
    assert trained(condition, epochs[1].to(then)) == pytest.approx(whole, rel=1e-6)


def test_finished_networks_leave_and_the_others_continue():
    condition = build(
        *TINY, "training.max_epochs=12", "dtype=float64", "training.patience=1", "training.settle_epochs=0"
    )
    losses = torch.tensor(trained(condition, new(condition, 8))).view(8, 12)
    threshold = losses[:, 4].median().item()
    training = dataclasses.replace(condition.training, threshold=threshold)
    condition = dataclasses.replace(condition, training=training)
    here, there = (trained(condition, new(condition, 8, device)) for device in ("cpu", DEVICE))
    assert there == pytest.approx(here, rel=1e-6)
    assert len(there) < 8 * 12


def test_the_entry_point_trains_on_the_device(launch, tmp_path):
    arguments = (*TINY, "seeds=3", "dtype=float64")
    launch(*arguments, "device=cuda", "tf32=true", "runs=there/runs")
    launch(*arguments, "device=cpu", "runs=here/runs")
    there, here = degen.load(run_folder(tmp_path / "there")), degen.load(run_folder(tmp_path / "here"))
    assert there.sessions[-1]["device"] == torch.cuda.get_device_name(DEVICE)
    assert there.sessions[-1]["tf32"] is True
    assert here.sessions[-1]["tf32"] is False
    assert there.history["loss"].tolist() == pytest.approx(here.history["loss"].tolist(), rel=1e-6)
    for name, weights in here.initial.items():
        assert torch.equal(weights, there.initial[name])
    before = degen.load(run_folder(tmp_path / "there")).sessions
    launch(*arguments, "device=cuda", "runs=there/runs")
    assert degen.load(run_folder(tmp_path / "there")).sessions == before


def test_repeated_training_on_a_device_is_bitwise_equal(launch, tmp_path):
    for place in ("one", "other"):
        launch(*TINY, "seeds=3", "device=cuda", f"runs={place}/runs")
    assert_same_networks(run_folder(tmp_path / "one"), run_folder(tmp_path / "other"))


# Memory ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        ("task=flip_flop",),
        ("task=flip_flop", "parameterization=mup", "width=512", "training.batch_size=64"),
        ("task=path_integration", "regularizer=nuclear_norm"),
        ("task=delayed_discrimination", "width=32", "dtype=float64"),
    ],
    ids=" ".join,
)
def test_an_epoch_needs_at_most_the_predicted_memory(overrides):
    condition = build(*overrides, "training.steps_per_epoch=3")
    task, batch, dtype = condition.task, condition.training.batch_size, condition.dtype
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(DEVICE)
    # Reserved, not allocated: what a recorded step needs counts as free between its replays and is not.
    before = torch.cuda.memory_reserved(DEVICE)
    members = new(condition, 16)
    parts = task, condition.model, condition.training
    batches = EnsembleBatches(*parts, condition.regularizer, free_bytes=torch.cuda.mem_get_info(DEVICE)[0])
    batches.epoch(members, lambda: None)
    taken = torch.cuda.max_memory_reserved(DEVICE) - before
    steps = plan_memory(16, *parts, dtype, batches.free_bytes).steps_per_draw
    assert steps == 3
    said = 16 * (step_bytes(task, condition.model, batch, dtype) + steps * draw_bytes(task, batch, dtype))
    # Beside the formula: copies of the members, libraries' workspaces, and what lies idle between blocks.
    print(f"said {said:.3g}, taken {taken:.3g}")
    assert 0.2 * said < taken < 1.3 * said + 2**28


def test_split_batches_agree_with_one_batch():
    condition = build("training.batch_size=32", "training.steps_per_epoch=4", "dtype=float64", "width=16")
    parts = condition.task, condition.model, condition.training
    member = step_bytes(condition.task, condition.model, 32, torch.float64)
    member += draw_bytes(condition.task, 32, torch.float64)
    whole = EnsembleBatches(*parts, condition.regularizer, free_bytes=100 * member)
    split = EnsembleBatches(*parts, condition.regularizer, free_bytes=int(3.5 * member / 0.6))
    one, other = whole.epoch(new(condition, 7), lambda: None), split.epoch(new(condition, 7), lambda: None)
    assert (len(whole.step.ensemble), len(split.step.ensemble)) == (7, 3)
    for name, weights in one.parameters.items():
        assert close(other.parameters[name], weights, 1e-9), name


def test_built_in_models_give_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(build(*TINY), new(build(*TINY), 2))


def test_distances_equal_the_cpu_for_arrays_on_either_device():
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(4, 16, 40, 6, generator=generator, dtype=torch.float64).cumsum(dim=2)
    inputs = torch.randn(16, 40, 2, generator=generator, dtype=torch.float64)
    recurrent, columns = hidden[:, 0, :6], hidden[:, 1, :6, :2]
    hyperparameters = dsa.Hyperparameters(n_components=4, lag=2, rank=6)

    def measured(device: torch.device) -> list[NDArray[np.float64]]:
        states, here = hidden.to(device), recurrent.to(device)
        operators, maps = dsa.controlled_operators(states, inputs.numpy(), hyperparameters)
        return [
            dsa.distance_matrix(operators, score="angular", seed=0, input_maps=maps.cpu()),
            dsa.distance_matrix(dsa.operators(states, hyperparameters), score="angular", seed=0),
            dsa.null_distances(states, hyperparameters, seed=0, inputs=inputs.numpy()),
            pif.distance_matrix(here, seed=0, input_weights=columns.numpy()),
        ]

    for cpu, cuda in zip(measured(torch.device("cpu")), measured(DEVICE), strict=True):
        assert cuda == pytest.approx(cpu, rel=1e-4, abs=1e-4)
