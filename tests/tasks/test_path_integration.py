"""Path integration."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from degen.streams import Stream
from degen.tasks import Trials
from tests.conftest import task

HEADINGS = ("angle", "unit_vector", "velocity")
STARTS = ("displacement", "pulse", "constant", "hidden_state")


def drawn(dimensions: int, heading: str, start: str, n_trials: int = 40, *more: str) -> Trials:
    """Trials without noise, in float64, of one member: arrays (trials, ...)."""
    here = task(
        "task=path_integration",
        f"task.dimensions={dimensions}",
        f"task.heading={heading}",
        f"task.start={start}",
        "task.input_noise_std=0",
        *more,
    )
    return here.generate(n_trials, Stream.named([0], "test", dtype=torch.float64)).map(lambda array: array[0])


def velocities(inputs: Tensor, dimensions: int, heading: str) -> Tensor:
    """Return the steps in the inputs (trials, time, dimensions), derived entry by entry."""
    steps = torch.empty(*inputs.shape[:2], dimensions, dtype=inputs.dtype)
    for trial, rows in enumerate(inputs.tolist()):
        for t, row in enumerate(rows):
            if heading == "velocity":
                step = row[:dimensions]
            elif heading == "unit_vector":
                step = [row[dimensions] * component for component in row[:dimensions]]
            elif dimensions == 2:
                step = [row[1] * math.cos(row[0]), row[1] * math.sin(row[0])]
            else:
                level = row[2] * math.cos(row[1])
                step = [level * math.cos(row[0]), level * math.sin(row[0]), row[2] * math.sin(row[1])]
            steps[trial, t] = torch.tensor(step, dtype=inputs.dtype)
    return steps


def origin(trials: Trials, dimensions: int, start: str) -> Tensor:
    """The start (trials, dimensions) as the network learns of it."""
    if start == "displacement":
        return torch.zeros_like(trials.targets[:, 0])
    return trials.start if start == "hidden_state" else trials.inputs[:, 0, -dimensions:]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("heading", HEADINGS)
@pytest.mark.parametrize("start", STARTS)
def test_the_target_is_the_start_plus_the_sum_of_input_steps(dimensions, heading, start):
    trials = drawn(dimensions, heading, start)
    here = origin(trials, dimensions, start).clone()
    steps = velocities(trials.inputs, dimensions, heading)
    for t in range(100):
        here += steps[:, t]
        assert torch.allclose(trials.targets[:, t], here, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("start", STARTS)
def test_every_heading_encodes_the_same_walk(dimensions, start):
    angle, unit, velocity = (drawn(dimensions, heading, start) for heading in HEADINGS)
    assert torch.equal(angle.targets, velocity.targets)
    assert torch.equal(angle.targets, unit.targets)
    heading_size = angle.targets.shape[-1]
    assert torch.allclose(unit.inputs[..., :heading_size].norm(dim=-1), torch.ones(1, dtype=torch.float64))
    assert torch.allclose(
        unit.inputs[..., :heading_size] * unit.inputs[..., heading_size : heading_size + 1],
        velocity.inputs[..., :heading_size],
    )


@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_start_encodes_the_same_walk(dimensions):
    displaced, pulse, constant, hidden = (drawn(dimensions, "angle", start) for start in STARTS)
    where = hidden.start
    assert torch.equal(pulse.targets, hidden.targets)
    assert torch.equal(constant.targets, hidden.targets)
    assert torch.allclose(displaced.targets + where[:, None], hidden.targets, rtol=0, atol=1e-12)
    assert torch.equal(constant.inputs[..., -dimensions:], where[:, None].expand(-1, 100, -1))
    assert torch.equal(pulse.inputs[:, 0, -dimensions:], where)
    assert (pulse.inputs[:, 1:, -dimensions:] == 0).all()
    for other in (displaced, pulse, constant):
        assert torch.equal(other.inputs[..., :dimensions], hidden.inputs)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("more", [(), ("task.box_size=0.8", "task.mean_stop=1"), ("task.box_size=2",)])
def test_position_and_speed_stay_within_bounds(dimensions, more):
    trials = drawn(dimensions, "velocity", "hidden_state", 300, "task.n_steps=200", *more)
    box = float(dict(word.split("=") for word in more).get("task.box_size", 10))
    assert trials.targets.abs().max() <= box / 2 + 1e-12
    assert trials.start.abs().max() < box / 2
    # It comes near every wall, too.
    assert (trials.targets.amax(dim=(0, 1)) > 0.45 * box).all()
    assert (trials.targets.amin(dim=(0, 1)) < -0.45 * box).all()
    speeds = trials.inputs.norm(dim=-1)
    assert 0.39 < speeds.max() <= 0.4 + 1e-12


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_wall_reflects_only_the_component_that_hits_it(dimensions):
    # Without turns of its own, a walker moves along lines whose components change sign at walls alone.
    trials = drawn(dimensions, "unit_vector", "hidden_state", 100, "task.heading_std=0", "task.box_size=2")
    direction, speed = trials.inputs[..., :dimensions], trials.inputs[..., dimensions:]
    assert torch.allclose(direction.abs(), direction[:, :1].abs().expand_as(direction))
    turned = direction[:, 1:] * direction[:, :-1] < -1e-12
    beyond = (trials.targets[:, :-1] + speed[:, 1:] * direction[:, :-1]).abs() > 1
    assert turned.any(dim=1).any(dim=0).all()
    assert torch.equal(turned, beyond & (direction[:, 1:].abs() > 1e-12))


def test_standing_and_walking_have_their_mean_durations():
    here = drawn(2, "angle", "displacement", 400, "task.n_steps=1000", "task.speed_std=0")
    going = here.inputs[..., 1] > 0
    assert going.double().mean().item() == pytest.approx(50 / 80, abs=0.02)
    assert going[:, 0].double().mean().item() == pytest.approx(50 / 80, abs=4 * 0.48 / 400**0.5)
    stops = (going[:, :-1] & ~going[:, 1:]).sum() / going[:, :-1].sum()
    goes = (~going[:, :-1] & going[:, 1:]).sum() / (~going[:, :-1]).sum()
    assert stops.item() == pytest.approx(1 / 50, rel=0.06)
    assert goes.item() == pytest.approx(1 / 30, rel=0.06)


def test_speed_and_heading_increments_have_their_stds():
    # Far from limits and walls: fast, slow and with much room.
    always = ("task.n_steps=2", "task.mean_go=1e9")
    walk = drawn(2, "angle", "displacement", 4000, *always, "task.max_speed=9", "task.box_size=1000")
    faster = walk.inputs[:, 1, 1] - walk.inputs[:, 0, 1]
    assert faster.mean().item() == pytest.approx(0, abs=0.01)
    assert faster.std().item() == pytest.approx(0.1, rel=0.05)
    walk = drawn(2, "angle", "displacement", 4000, *always, "task.max_speed=1e-6")
    turn = torch.remainder(walk.inputs[:, 1, 0] - walk.inputs[:, 0, 0] + math.pi, 2 * math.pi) - math.pi
    assert turn.mean().item() == pytest.approx(0, abs=0.02)
    assert turn.std().item() == pytest.approx(math.pi / 10, rel=0.05)


@pytest.mark.parametrize("start", STARTS)
def test_only_heading_and_speed_inputs_are_noisy(start):
    noisy, quiet = (
        task("task=path_integration", f"task.start={start}", f"task.input_noise_std={std}").generate(
            100, Stream.named([0], "test", dtype=torch.float64)
        )
        for std in (0.5, 0)
    )
    noise = noisy.inputs - quiet.inputs
    assert noise[..., :2].std(dim=(0, 1, 2)).tolist() == pytest.approx([0.5, 0.5], rel=0.03)
    assert (noise[..., 2:] == 0).all()
    assert torch.equal(noisy.targets, quiet.targets)
    assert start != "hidden_state" or torch.equal(noisy.start, quiet.start)


def test_angles_are_within_one_turn():
    inputs = drawn(3, "angle", "displacement", 200, "task.n_steps=300").inputs
    assert inputs[..., 0].abs().max() <= math.pi
    assert inputs[..., 1].abs().max() <= math.pi / 2


def test_starts_fill_the_box_uniformly():
    where = drawn(2, "angle", "hidden_state", 20_000, "task.n_steps=1").start
    counts = torch.histogramdd(where, bins=[4, 4], range=[-5.0, 5.0, -5.0, 5.0]).hist
    assert ((counts - 1250).abs() < 4.5 * 1250**0.5).all()
