"""Flip-flop."""

from __future__ import annotations

import pytest
import torch

from degen.streams import Stream
from tests.conftest import task


@pytest.mark.parametrize("channels", [1, 3])
def test_the_target_is_the_last_pulse_and_zero_before_the_first(channels):
    trials = task("task=flip_flop", f"task.channels={channels}").generate(20, Stream.named([0, 1], "test"))
    expected = torch.zeros_like(trials.targets)
    for member in range(2):
        for trial in range(20):
            for channel in range(channels):
                last = 0.0
                for t, value in enumerate(trials.inputs[member, trial, :, channel].tolist()):
                    last = value or last
                    expected[member, trial, t, channel] = last
    assert torch.equal(trials.targets, expected)


@pytest.mark.parametrize("probability", [0.3, 0.05, 1.0])
def test_pulses_of_both_signs_share_the_probability_equally(probability):
    here = task("task=flip_flop", f"task.pulse_probability={probability}")
    inputs = here.generate(1000, Stream.named([0], "test")).inputs
    assert set(inputs.unique().tolist()) == ({-1.0, 1.0} if probability == 1 else {-1.0, 0.0, 1.0})
    error = 4 * (probability / 2 / inputs.numel()) ** 0.5
    for sign in (-1, 1):
        assert (inputs == sign).double().mean().item() == pytest.approx(probability / 2, abs=error)


def test_channels_and_steps_are_independent():
    inputs = task("task=flip_flop").generate(2000, Stream.named([0], "test", dtype=torch.float64)).inputs[0]
    columns = torch.stack(
        (
            inputs[:, 1:, 0],
            inputs[:, 1:, 1],
            inputs[:, :-1, 0],
            inputs[:, 1:, 0].abs(),
            inputs[:, 1:, 2].abs(),
        )
    ).flatten(1)
    correlation = torch.corrcoef(columns) - torch.eye(5, dtype=torch.float64)
    assert correlation.abs().max() < 4 / columns.shape[1] ** 0.5
