"""Random numbers, gradients, steps and distances on a CUDA device, compared with the CPU (`make gpu`)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from degen.condition import Condition
from degen.metrics import dsa, pif
from degen.streams import Stream
from degen.training import Ensemble
from degen.training.cuda.graph_step import CudaGraphStep
from degen.training.gradients import loss_and_gradients
from degen.training.step import TrainingStep, epoch_trials
from tests.conftest import TINY, build
from tests.gpu.device import DEVICE, close, conditions, needs_device, new, no_waiting, parameterizations

pytestmark = [pytest.mark.gpu, needs_device]


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
        expected, result = getattr(here, field.name), getattr(there, field.name)
        assert (expected is None) == (result is None)
        if expected is not None:
            assert result.device.type == DEVICE.type
            assert close(result, expected), field.name


@conditions
def test_drawing_trials_does_not_sync(overrides):
    task = build(*TINY, *overrides).task
    stream = Stream(torch.zeros(4, 3, dtype=torch.int64, device=DEVICE))
    with no_waiting():
        task.generate(5, stream)


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


def step_of(condition: Condition, ensemble: Ensemble) -> TrainingStep:
    return TrainingStep.create(ensemble, condition.model, condition.training, condition.regularizer)


@conditions
@parameterizations
@pytest.mark.parametrize("seeds", [1, 3])
def test_replayed_steps_equal_eager_steps_without_sync(overrides, parameterization, seeds):
    condition = build(*TINY, *overrides, f"parameterization={parameterization}", "dtype=float64")
    plain, placed = step_of(condition, new(condition, seeds)), step_of(condition, new(condition, seeds))
    ones = plain.loss_sum.new_ones(seeds)
    parts = condition.task, condition.model, condition.training, plain.ensemble.like
    drawn = epoch_trials(list(range(seeds)), [0] * seeds, *parts, 2)
    given = list(drawn)
    graph_step = CudaGraphStep(placed, given[0], torch.stack((ones, ones)))
    assert graph_step.graph is not None
    placed.ensemble.load(plain.ensemble)  # capturing has changed them
    placed.loss_sum.zero_()
    placed.penalty_sum.zero_()
    coefficients = [torch.stack((1e-3 * ones / (i + 1), ones)) for i in range(len(given))]
    with no_waiting():
        for trials, numbers in zip(given, coefficients, strict=True):
            graph_step(trials, numbers)
    for trials, numbers in zip(given, coefficients, strict=True):
        plain(trials, numbers)
    assert close(placed.loss_sum, plain.loss_sum, 1e-12)
    assert close(placed.penalty_sum, plain.penalty_sum, 1e-12)
    for kind, parameters in plain.ensemble.tensors.items():
        for name, weights in parameters.items():
            assert close(placed.ensemble.tensors[kind][name], weights, 1e-9), (kind, name)


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
            dsa.half_distances(operators, operators.flip(0), seed=0).between,
            dsa.distance_matrix(dsa.weighted_operators(states, inputs=inputs.numpy())[0], seed=0),
            pif.distance_matrix(here, seed=0, input_weights=columns.numpy()),
        ]

    for cpu, cuda in zip(measured(torch.device("cpu")), measured(DEVICE), strict=True):
        assert cuda == pytest.approx(cpu, rel=1e-4, abs=1e-4)
