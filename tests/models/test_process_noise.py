"""Process noise of leaky networks."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from scipy import stats
from torch import Tensor

from degen.streams import Stream
from degen.tasks import Trials
from tests.conftest import build
from tests.models.flip_flops import drawn
from tests.training.members import SMALL, trained


@pytest.mark.parametrize("leak_rate", [0.05, 0.5, 1.0])
def test_noise_has_the_stationary_deviation_of_the_formula(leak_rate):
    """Without weights, h is an autoregressive process of variance 2 a s^2 / (1 - (1 - a)^2)."""
    options = (f"leak_rate={leak_rate}", "parameterization.noise_std=0.3", "task.n_steps=300")
    condition, weights, trials = drawn("noisy", *options, n_trials=40)
    nothing = {name: torch.zeros_like(array) for name, array in weights.items()}
    noisy = condition.model.add_noise(trials, Stream.named([0, 1], "noise", dtype=torch.float64))
    states = condition.model.unroll(nothing, noisy)[:, :, -1]
    assert states.std().item() == pytest.approx(0.3 * (2 / (2 - leak_rate)) ** 0.5, rel=0.07)  # 800 values
    assert torch.equal(condition.model.unroll(nothing, trials), torch.zeros_like(noisy.noise))


def test_a_leaky_network_without_noise_equals_a_plain_loop():
    condition, weights, trials = drawn("noisy", "leak_rate=0.2", "parameterization.noise_std=0")
    assert condition.model.add_noise(trials, Stream.named([0, 1], "noise")) is trials
    w, u, b = (weights[name][0] for name in ("recurrent", "input", "bias"))
    state: Tensor = torch.zeros(10, dtype=torch.float64)
    for t in range(12):
        state = 0.8 * state + 0.2 * (w @ torch.tanh(state) + u @ trials.inputs[0, 3, t] + b)
    assert torch.allclose(condition.model.unroll(weights, trials)[0, 3, -1], state, rtol=1e-12)
    read = weights["output"][0] @ torch.tanh(state) + weights["output_bias"][0]
    assert torch.allclose(condition.model(weights, trials)[0, 3, -1], read, rtol=1e-12)


def test_training_and_validation_losses_are_computed_with_noise():
    quiet, noisy = (
        trained(build(*SMALL, "parameterization=noisy", f"parameterization.noise_std={std}"), [0])[0]
        for std in (1e-9, 0.5)
    )
    assert noisy.histories[0].loss[0] != pytest.approx(quiet.histories[0].loss[0], rel=1e-3)
    assert noisy.histories[0].validation_loss[0] != pytest.approx(
        quiet.histories[0].validation_loss[0], rel=1e-3
    )


def test_noise_differs_between_seeds_trials_steps_and_units():
    condition, _, trials = drawn("noisy")
    noise = condition.model.add_noise(trials, Stream.named([0, 1], "noise", dtype=torch.float64)).noise
    assert len(noise.flatten().unique()) == noise.numel() == 2 * 5 * 12 * 10
    assert stats.kstest(noise.flatten().numpy(), stats.norm(0, 2**0.5 * 0.02).cdf).pvalue > 1e-3


def test_trials_map_includes_the_noise():
    condition, _, trials = drawn("noisy")
    noisy = condition.model.add_noise(trials, Stream.named([0, 1], "noise"))
    halved = noisy.map(lambda array: array[:, :2])
    assert {field.name: getattr(halved, field.name) is not None for field in dataclasses.fields(Trials)}[
        "noise"
    ]
    assert halved.noise.shape == (2, 2, 12, 10)
