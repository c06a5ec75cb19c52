"""Next-step prediction of the Lorenz-96 system."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from degen.errors import BadInputError
from degen.streams import Stream
from tests.conftest import task


def velocity(_: float, x: np.ndarray) -> list[float]:
    """The equation, site by site on the ring."""
    n = len(x)
    return [(x[(i + 1) % n] - x[i - 2]) * x[i - 1] - x[i] + 8.0 for i in range(n)]


def test_the_target_is_the_next_input_and_solves_the_equation():
    here = task("task=lorenz96", "task.dt=0.01")  # order 4: 625 times the accuracy of 0.05
    trials = here.generate(3, Stream.named([0], "test", dtype=torch.float64))
    assert torch.equal(trials.targets[..., :-1, :], trials.inputs[..., 1:, :])
    for start, end in zip(trials.inputs[0, :, 10], trials.targets[0, :, 10], strict=True):
        solved = solve_ivp(velocity, (0, 0.01), 8 * start.numpy(), rtol=1e-10, atol=1e-10).y[:, -1]
        np.testing.assert_allclose(8 * end.numpy(), solved, atol=1e-5)


def test_noise_moves_the_system_to_the_known_attractor():
    resting = task("task=lorenz96", "task.initial_noise_std=1e-12", "task.burn_in_steps=0", "task.n_steps=5")
    assert (resting.generate(2, Stream.named([0], "test")).inputs - 1).abs().max() < 1e-5
    # Of long runs at F = 8 (Lorenz & Emanuel 1998: mean 2.3, standard deviation 3.6).
    states = 8 * task("task=lorenz96", "task.channels=40").generate(40, Stream.named([0], "test")).inputs
    assert 2.1 < states.mean() < 2.6
    assert 3.3 < states.std() < 3.9


def test_trials_differ_and_close_starts_diverge():
    here = task("task=lorenz96", "task.n_steps=200")
    states = here.generate(1, Stream.named([0], "test", dtype=torch.float64)).inputs[0, 0] * 8
    moved = states[0] + 1e-6
    for _ in range(200):
        moved = here._advance(moved)
    after = here._advance(states[-1])
    assert (moved - after).norm() > 100 * 1e-6 * 8**0.5


@pytest.mark.parametrize("forcing", [0.5, 8.0, 16.0, 64.0])
def test_the_largest_allowed_time_step_is_stable(forcing):
    longest = min(0.1, 0.8 / forcing)
    there = task("task=lorenz96", f"task.forcing={forcing}", f"task.dt={longest}")
    assert torch.isfinite(there.generate(200, Stream.named([0], "trials")).targets).all()
    if forcing > 8:
        with pytest.raises(BadInputError, match=f"at most {longest:g} where task.forcing is {forcing:g}"):
            dataclasses.replace(there, dt=1.1 * longest)
