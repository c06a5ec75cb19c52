"""Hand-written backpropagation through time against autograd and finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from degen.models import Model, Parameters, recurrence
from degen.models.base import Model as Base
from degen.models.nonlinearities import RELU, SOFTPLUS, TANH
from degen.streams import Stream
from degen.tasks import Task, Trials
from tests.composed import files
from tests.conftest import build

CONDITIONS = [
    (task, parameterization, "width=7", gamma)
    for task in (
        "task=flip_flop task.channels=2",
        "task=path_integration task.start=hidden_state",
        "task=delayed_discrimination",  # tau below 1 under mup
    )
    for parameterization in ("parameterization=standard", "parameterization=mup")
    for gamma in ("gamma=1", "gamma=0.3")
] + [
    (task, f"parameterization={cell}", "width=7", "gamma=0.3")
    for task in (
        "task=flip_flop task.channels=2",
        "task=path_integration task.start=hidden_state",  # tau below 1 in noisy
    )
    for cell in files("parameterization")
    if cell not in ("standard", "mup")
]
conditions = pytest.mark.parametrize("overrides", CONDITIONS, ids=" ".join)


def drawn(overrides: tuple[str, ...], n_trials: int = 4) -> tuple[Task, Model, Parameters, Trials]:
    """Three members with weights and 12 steps of trials in float64."""
    condition = build(*" ".join(overrides).split())
    stream = Stream.named([0, 1, 2], "weights", dtype=torch.float64)
    parameters = condition.model.initialize(condition.task, stream)
    if "bias" in parameters:
        assert parameters["bias"].abs().min() > 0  # or its gradient would not be tested
    trials = condition.task.generate(n_trials, Stream.named([0, 1, 2], "trials", dtype=torch.float64))
    short = Trials(trials.inputs[:, :, :12], trials.targets[:, :, :12], start=trials.start)
    noise_stream = Stream.named([0, 1, 2], "noise", dtype=torch.float64)
    return condition.task, condition.model, parameters, condition.model.add_noise(short, noise_stream)


def plain_loop(model: Model, parameters: Parameters, trials: Trials) -> Tensor:
    """Outputs by way of `step`, for autograd to record."""
    return model.readout(parameters, model.unroll(parameters, trials))


def gradients(outputs_of, parameters: Parameters, trials: Trials) -> tuple[Tensor, Parameters]:
    """Outputs and gradients of a loss on them."""
    leaves = {name: weights.clone().requires_grad_() for name, weights in parameters.items()}
    outputs = outputs_of(leaves, trials)
    loss = ((outputs - trials.targets) ** 2).sum()
    return outputs, dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


@conditions
@pytest.mark.parametrize("members", [1, 3])  # one member takes two-dimensional products
def test_outputs_and_gradients_equal_the_plain_loop(overrides, members):
    _, model, parameters, trials = drawn(overrides)
    parameters = {name: weights[:members] for name, weights in parameters.items()}
    trials = trials.map(lambda array: array[:members])
    assert type(model).__call__ is not Base.__call__
    fast = gradients(model, parameters, trials)
    slow = gradients(lambda *given: plain_loop(model, *given), parameters, trials)
    assert torch.allclose(fast[0], slow[0], rtol=0, atol=1e-13)
    for name, gradient in slow[1].items():
        assert gradient.abs().max() > 0
        assert torch.allclose(fast[1][name], gradient, rtol=1e-11, atol=1e-12), name


@pytest.mark.parametrize("nonlinearity", [TANH, RELU, SOFTPLUS], ids=["tanh", "relu", "softplus"])
@pytest.mark.parametrize("leak", [0.0, 0.7])
@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("steps", [1, 5])
def test_gradients_equal_finite_differences(steps, members, leak, nonlinearity):
    def array(*shape: int) -> Tensor:
        return Stream.named([0], f"array {shape}", dtype=torch.float64).normal(*shape)[0].requires_grad_()

    n_inputs, n, n_outputs, trials = 2, 4, 3, 5
    inputs = array(members, trials, steps, n_inputs).detach()
    state, rates = array(members, trials, n), array(members, trials, n)
    driven, read = array(members, n, n + n_inputs), array(members, n_outputs, n)

    def outputs(driven: Tensor, read: Tensor, state: Tensor, rates: Tensor) -> Tensor:
        weights = torch.cat((driven, nn.functional.pad(read, (0, n_inputs))), dim=1)
        noise = inputs.new_ones(members, trials, steps, n) / 8
        return recurrence.outputs(weights, inputs, state, rates, leak, nonlinearity, noise)

    assert torch.autograd.gradcheck(outputs, (driven, read, state, rates))


@conditions
def test_outputs_do_not_depend_on_the_ensemble_size(overrides):
    _, model, parameters, trials = drawn(overrides)
    together = model(parameters, trials)
    for i in range(3):
        member_weights = {name: weights[i : i + 1] for name, weights in parameters.items()}
        alone = model(member_weights, trials.map(lambda array, i=i: array[i : i + 1]))
        # One member takes the two-dimensional product, which may add in another order.
        assert torch.allclose(alone[0], together[i], rtol=0, atol=1e-12)


def test_float32_agrees_to_rounding():
    """Rates are 2 sigmoid(2 p) - 1: absolute, not relative, precision near zero."""
    _, model, parameters, trials = drawn(("task=flip_flop", "width=64"), n_trials=20)
    narrow = {name: weights.float() for name, weights in parameters.items()}
    result = gradients(model, narrow, trials.map(Tensor.float))
    exact = gradients(model, parameters, trials)
    assert (result[0] - exact[0]).abs().max() < 2e-6
    for name, gradient in exact[1].items():
        assert (result[1][name] - gradient).norm() < 1e-5 * gradient.norm(), name


def test_arguments_are_not_modified():
    for overrides in (CONDITIONS[4], CONDITIONS[6]):
        _, model, parameters, trials = drawn(overrides)
        before = {name: weights.clone() for name, weights in parameters.items()}, trials.map(torch.clone)
        gradients(model, parameters, trials)
        assert all(torch.equal(parameters[name], before[0][name]) for name in parameters)
        assert torch.equal(trials.inputs, before[1].inputs)
        assert torch.equal(trials.start, before[1].start)
