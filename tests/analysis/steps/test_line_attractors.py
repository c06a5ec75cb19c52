"""Line attractors: a planted integrator has one, and networks that forget, turn or latch have none."""

from __future__ import annotations

import math

import pytest
import torch

from analysis.steps.line_attractors import compute_periods, measure_period, step_without_input
from degen.models import Parameters
from tests.conftest import build

WIDTH = 16
CONDITION = build("task=delayed_discrimination", f"width={WIDTH}")


def weights(recurrent: torch.Tensor, into_line: float) -> Parameters:
    """Return weights of a single network that adds f1 and subtracts f2 along the first axis of `axes`."""
    inputs = into_line * torch.outer(axes()[0], torch.tensor([1.0, -1.0], dtype=torch.float64))
    return {
        "recurrent": recurrent[None],
        "input": inputs[None],
        "bias": torch.zeros(1, WIDTH, dtype=torch.float64),
        "output": torch.zeros(1, 1, WIDTH, dtype=torch.float64),
        "output_bias": torch.zeros(1, 1, dtype=torch.float64),
    }


def axes() -> torch.Tensor:
    """Two orthogonal unit vectors, all units of the first alike: small states, hardly bent by tanh."""
    first = torch.full((WIDTH,), WIDTH**-0.5, dtype=torch.float64)
    second = first * torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(WIDTH // 2)
    return torch.stack((first, second))


def measured(recurrent: torch.Tensor, into_line: float, period: str) -> dict[str, float]:
    network = weights(recurrent, into_line)
    step = step_without_input(CONDITION, network)
    return measure_period(step, compute_periods(CONDITION, network)[period])


def integrator(gain: float) -> torch.Tensor:
    return gain * torch.outer(axes()[0], axes()[0])


@pytest.mark.parametrize(("period", "wait"), [("delay", 20), ("response", 15)])
def test_an_integrator_has_a_line_attractor(period, wait):
    result = measured(integrator(1.0), 0.012, period)
    assert result["is_attractor"]
    assert result["fraction_reached"] == 1
    assert result["straightness"] == pytest.approx(1)
    assert result["rank_correlation"] > 0.99  # points of one value are tied
    assert result["one_neutral"] > 0.99
    assert result["second_modulus"] == pytest.approx(0, abs=1e-9)
    # f1 is 2 to 10, the difference -8 to 8, for 5 steps; tanh takes off up to 1/6.
    reach = {"delay": 8, "response": 16}[period] * 5 * 0.012
    assert 5 / 6 * reach < result["length"] < reach
    assert result["drift"] == pytest.approx(wait * result["speed"], rel=0.05)


def test_one_that_forgets_is_no_line():
    result = measured(integrator(0.9), 0.012, "delay")
    assert not result["is_line"]
    assert result["drift"] > result["length"] / 8
    assert result["one_neutral"] == 0


def test_one_that_latches_is_no_line():
    # Two stable states and no place between them: f1 is lost.
    result = measured(integrator(2.0), 0.012, "delay")
    assert result["speed"] < 1e-3
    assert not result["is_line"]


def test_one_that_holds_more_than_a_line_is_not_a_line_attractor():
    plane = integrator(1.0) + torch.outer(axes()[1], axes()[1])
    result = measured(plane, 0.012, "delay")
    assert result["is_line"]
    assert result["several_neutral"] > 0.99
    assert not result["is_attractor"]


def test_one_that_turns_holds_f1_but_on_no_slow_point():
    angle = math.pi / 4
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]).double()
    result = measured(axes().T @ turn @ axes(), 0.012, "delay")
    assert result["displacement"] > result["length"]
    assert not result["is_line"]


def test_the_line_of_an_lstm_lies_in_its_full_state():
    """Open gates and no recurrence: every c is a fixed point, with h = tanh(c) / 2, and c adds f1 up."""
    condition = build("task=delayed_discrimination", "width=4", "parameterization=lstm")
    shapes = {"recurrent": (16, 4), "input": (16, 2), "bias": (16,), "output": (1, 4), "output_bias": (1,)}
    network = {name: torch.zeros(1, *shape, dtype=torch.float64) for name, shape in shapes.items()}
    network["bias"][:, :8] = 40.0  # input and forget gates are 1 to rounding
    network["input"][:, 8:12] = 0.01 * torch.tensor([1.0, -1.0], dtype=torch.float64)
    period = compute_periods(condition, network)["delay"]
    assert period.states.shape[1] == 8
    cell = 5 * torch.tanh(0.01 * period.values.double())
    assert torch.allclose(period.states[:, 4:], cell.unsqueeze(1).expand(-1, 4), atol=1e-12)
    result = measure_period(step_without_input(condition, network), period)
    assert result["is_line"]
    assert result["speed"] == pytest.approx(0, abs=1e-12)
    assert not result["is_attractor"]  # differences between the four cells last as well
    assert result["several_neutral"] == 1
