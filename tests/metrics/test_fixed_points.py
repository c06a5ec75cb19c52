"""Fixed points: planted ones are found, with the eigenvalues of the Jacobian."""

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
    """Three bits in the first three of eight units: each remembers its sign; the other units forget."""
    weights = torch.zeros(8, 8, dtype=states.dtype)
    weights[:3, :3] = GAIN * torch.eye(3, dtype=states.dtype)
    return torch.tanh(states @ weights.mT)


def starts(points: int = 300) -> torch.Tensor:
    return 2 * torch.rand(points, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1


def test_three_bits_have_eight_stable_corners():
    found = fixed_points(flip_flop, starts(1000))
    corners = found.states[found.stable]
    assert len(corners) == 8
    signs = {tuple(sign) for sign in corners[:, :3].sign().int().tolist()}
    assert signs == set(itertools.product((-1, 1), repeat=3))
    # tanh(2 h) = h away from 0
    assert corners[:, :3].abs().numpy() == pytest.approx(0.9575040240772688, abs=1e-9)


def test_a_trained_network_of_three_bits_has_eight_stable_corners():
    """Seed 0 of `launch.train task=flip_flop task.channels=3 width=64 training.batch_size=64 seeds=8`."""
    condition = build("task=flip_flop", "task.channels=3", "width=64")
    weights, _ = read_tensors(Path(__file__).with_name("flip_flop.safetensors"))
    trials = condition.task.generate(8, Stream.named([0], "probe"))
    visited = condition.model.unroll(weights, trials)[0, :, 20::10].flatten(0, 1)
    double = {name: array.double() for name, array in weights.items()}

    def step(states: torch.Tensor) -> torch.Tensor:
        return condition.model.step(double, states.unsqueeze(0), states.new_zeros(1, len(states), 3))[0]

    found = fixed_points(step, visited)
    memories = condition.model.readout(double, found.states[found.stable][None, None])[0, 0]
    assert {tuple(bits) for bits in memories.round().int().tolist()} == set(
        itertools.product((-1, 1), repeat=3)
    )
    assert len(memories) == 8


def test_corners_edges_faces_and_the_centre_are_all_fixed():
    assert len(fixed_points(flip_flop, starts(3000)).states) == 27


def test_eigenvalues_are_those_of_the_jacobian():
    found = fixed_points(flip_flop, torch.zeros(1, 8))
    assert found.eigenvalues.abs()[0].tolist() == pytest.approx([GAIN] * 3 + [0.0] * 5)
    assert not found.stable[0]


def test_slow_points_that_are_not_fixed_are_left_out_unless_asked_for():
    def drift(states: torch.Tensor) -> torch.Tensor:
        return states + 1e-3 * (1 + states**2)

    start = torch.ones(1, 1, dtype=torch.float64)
    assert len(fixed_points(drift, start).states) == 0
    slow = fixed_points(drift, start, slowest=1e-6)
    assert slow.speed.item() == pytest.approx(0.5e-6, rel=0.1)


def leaky_line(states: torch.Tensor) -> torch.Tensor:
    """Eight units that integrate along the first axis and lose a thousandth a step; the others halve."""
    return states * torch.tensor([0.999] + [0.5] * 7, dtype=states.dtype)


def test_an_early_stop_leaves_a_line_of_slow_points_where_there_is_one_fixed_point():
    begun = 5 * starts()
    assert len(fixed_points(leaky_line, begun).states) == 1
    tolerance = 1e-4
    slow = fixed_points(leaky_line, begun, slowest=tolerance, stop=tolerance, apart=0.0)
    assert sorted(slow.start.tolist()) == list(range(len(begun)))
    assert (slow.speed <= tolerance).all()
    assert ((slow.eigenvalues.abs() > 0.98).sum(dim=1) == 1).all()
    # Where they are on the line is where they came from, and off it they may move 0.5 r <= sqrt(2 q).
    assert (slow.states[:, 0] / begun[slow.start, 0]).numpy() == pytest.approx(1, abs=0.01)
    assert slow.states[:, 1:].norm(dim=1).max() <= 2 * (2 * tolerance) ** 0.5


def test_an_early_stop_does_not_draw_lines_between_the_corners_of_a_flip_flop():
    slow = fixed_points(flip_flop, starts(1000), slowest=1e-4, stop=1e-4)
    fixed = fixed_points(flip_flop, starts(3000)).states
    nearest = torch.cdist(slow.states, fixed).min(dim=1).values
    assert nearest.max() < 0.05
    assert slow.stable.any()


def test_a_stop_above_what_is_kept_is_refused():
    with pytest.raises(BadInputError, match="stop must be at most slowest = 1e-06, got"):
        fixed_points(flip_flop, starts(), slowest=1e-6, stop=0.1)


def test_starts_that_are_not_finite_are_refused():
    with pytest.raises(BadInputError, match="starts must be finite"):
        fixed_points(flip_flop, torch.full((2, 8), float("nan")))


def test_a_state_from_which_there_is_no_step_is_no_fixed_point():
    def normalized(states: torch.Tensor) -> torch.Tensor:
        return states / states.sum(dim=1, keepdim=True)

    starts = torch.tensor([[0.0, 0.0], [0.5, 0.5]], dtype=torch.float64)
    found = fixed_points(normalized, starts)
    assert found.states.tolist() == [[0.5, 0.5]]
