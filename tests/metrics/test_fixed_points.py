"""Fixed and slow points of maps with known solutions, and of a trained network."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from degen.errors import BadInputError
from degen.files import read_tensors
from degen.metrics.fixed_points import fixed_points
from degen.streams import Stream
from tests.conftest import build

GAIN = 2.0


def flip_flop(states: torch.Tensor) -> torch.Tensor:
    """Step of an 8-unit network that stores three bits as the signs of its first three units."""
    weights = torch.zeros(8, 8, dtype=states.dtype)
    weights[:3, :3] = GAIN * torch.eye(3, dtype=states.dtype)
    return torch.tanh(states @ weights.mT)


def initial_states(points: int = 300) -> torch.Tensor:
    return 2 * torch.rand(points, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1


def test_three_bit_memory_has_eight_stable_points():
    points = fixed_points(flip_flop, initial_states(1000))
    corners = points.states[points.stable]
    assert len(corners) == 8
    signs = {tuple(sign) for sign in corners[:, :3].sign().int().tolist()}
    assert signs == set(itertools.product((-1, 1), repeat=3))
    # The nonzero solution of tanh(2 h) = h.
    assert corners[:, :3].abs().numpy() == pytest.approx(0.9575040240772688, abs=1e-9)


def test_trained_flip_flop_network_has_eight_stable_points():
    # Made by `launch.train task=flip_flop task.channels=3 width=64 training.batch_size=64 seeds=8`, seed 0.
    condition = build("task=flip_flop", "task.channels=3", "width=64")
    weights, _ = read_tensors(Path(__file__).with_name("flip_flop.safetensors"))
    trials = condition.task.generate(8, Stream.named([0], "probe"))
    visited = condition.model.unroll(weights, trials)[0, :, 20::10].flatten(0, 1)
    double = {name: array.double() for name, array in weights.items()}

    def step(states: torch.Tensor) -> torch.Tensor:
        return condition.model.step(double, states.unsqueeze(0), states.new_zeros(1, len(states), 3))[0]

    points = fixed_points(step, visited)
    memories = condition.model.readout(double, points.states[points.stable][None, None])[0, 0]
    assert {tuple(bits) for bits in memories.round().int().tolist()} == set(
        itertools.product((-1, 1), repeat=3)
    )
    assert len(memories) == 8


def test_unstable_fixed_points_are_included():
    # Corners, edges, faces and center of a cube.
    assert len(fixed_points(flip_flop, initial_states(3000)).states) == 27


def test_eigenvalues_belong_to_the_jacobian():
    origin = fixed_points(flip_flop, torch.zeros(1, 8))
    assert origin.eigenvalues.abs()[0].tolist() == pytest.approx([GAIN] * 3 + [0.0] * 5)
    assert not origin.stable[0]


def test_max_speed_determines_whether_slow_points_are_returned():
    def drift(states: torch.Tensor) -> torch.Tensor:
        return states + 1e-3 * (1 + states**2)

    start = torch.ones(1, 1, dtype=torch.float64)
    assert len(fixed_points(drift, start).states) == 0
    slow = fixed_points(drift, start, max_speed=1e-6)
    assert slow.speed.item() == pytest.approx(0.5e-6, rel=0.1)


def leaky_line(states: torch.Tensor) -> torch.Tensor:
    """Step of a leaky line attractor along the first of eight axes; the other axes decay quickly."""
    return states * torch.tensor([0.999] + [0.5] * 7, dtype=states.dtype)


def test_stop_speed_gives_slow_points_along_a_leaky_line():
    initial = 5 * initial_states()
    assert len(fixed_points(leaky_line, initial).states) == 1
    tolerance = 1e-4
    slow = fixed_points(leaky_line, initial, max_speed=tolerance, stop_speed=tolerance, min_distance=0.0)
    assert sorted(slow.start.tolist()) == list(range(len(initial)))
    assert (slow.speed <= tolerance).all()
    assert ((slow.eigenvalues.abs() > 0.98).sum(dim=1) == 1).all()
    # The coordinate along the line is preserved. A distance r from the line gives 0.5 r <= sqrt(2 q).
    assert (slow.states[:, 0] / initial[slow.start, 0]).numpy() == pytest.approx(1, abs=0.01)
    assert slow.states[:, 1:].norm(dim=1).max() <= 2 * (2 * tolerance) ** 0.5


def test_stop_speed_gives_no_slow_points_far_from_fixed_points():
    slow = fixed_points(flip_flop, initial_states(1000), max_speed=1e-4, stop_speed=1e-4)
    fixed = fixed_points(flip_flop, initial_states(3000)).states
    nearest = torch.cdist(slow.states, fixed).min(dim=1).values
    assert nearest.max() < 0.05
    assert slow.stable.any()


def test_stop_speed_above_max_speed_is_rejected():
    with pytest.raises(BadInputError, match="stop_speed must be at most max_speed = 1e-06, got"):
        fixed_points(flip_flop, initial_states(), max_speed=1e-6, stop_speed=0.1)


def test_initial_states_must_be_finite():
    with pytest.raises(BadInputError, match="initial_states must be finite"):
        fixed_points(flip_flop, torch.full((2, 8), float("nan")))


def test_states_with_undefined_step_are_not_fixed_points():
    def normalized(states: torch.Tensor) -> torch.Tensor:
        return states / states.sum(dim=1, keepdim=True)

    states = torch.tensor([[0.0, 0.0], [0.5, 0.5]], dtype=torch.float64)
    points = fixed_points(normalized, states)
    assert points.states.tolist() == [[0.5, 0.5]]
