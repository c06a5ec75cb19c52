"""Sine wave generation."""

from __future__ import annotations

import math

import pytest
import torch

from degen.streams import Stream
from tests.conftest import task


def test_the_input_is_a_constant_frequency_the_target_its_sine():
    here = task("task=sine_wave", "task.channels=2")
    trials = here.generate(50, Stream.named([0], "test", dtype=torch.float64))
    assert torch.equal(trials.inputs, trials.inputs[..., :1, :].expand_as(trials.inputs))
    for trial in range(50):
        for channel in range(2):
            f = trials.inputs[0, trial, 0, channel].item()
            expected = [math.sin(2 * math.pi * f * step * 0.01) for step in range(100)]
            assert trials.targets[0, trial, :, channel].tolist() == pytest.approx(expected, abs=1e-12)


def test_frequencies_are_100_evenly_spaced_from_1_to_30():
    trials = task("task=sine_wave").generate(3000, Stream.named([0], "test", dtype=torch.float64))
    frequencies = trials.inputs.unique().tolist()
    assert frequencies == pytest.approx([1 + 29 * i / 99 for i in range(100)], abs=1e-12)


def test_channels_have_independent_frequencies():
    inputs = (
        task("task=sine_wave", "task.channels=2").generate(2000, Stream.named([0], "test")).inputs[0, :, 0]
    )
    assert abs(torch.corrcoef(inputs.double().T)[0, 1]) < 4 / 2000**0.5


def test_a_single_frequency_is_the_lowest():
    here = task("task=sine_wave", "task.n_frequencies=1", "task.min_frequency=3")
    assert here.generate(5, Stream.named([0], "test")).inputs.unique().tolist() == [3.0]
