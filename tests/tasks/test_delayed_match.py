"""Delayed match to sample."""

from __future__ import annotations

import math

import torch

from degen.streams import Stream
from tests.conftest import task


def test_pulses_delays_and_responses_have_their_times():
    here = task("task=delayed_match")
    trials = here.generate(400, Stream.named([0], "test", dtype=torch.float64))
    delays = set()
    for inputs, targets in zip(trials.inputs[0], trials.targets[0, ..., 0].tolist(), strict=True):
        on = inputs.norm(dim=-1).round().long().tolist()
        onset = next(t for t in range(10, 60) if on[t])
        delays.add(onset - 10)
        assert on == [int(5 <= t < 10 or onset <= t < onset + 5) for t in range(60)]
        is_match = torch.equal(inputs[5], inputs[onset])
        response = range(onset + 5, onset + 15)
        assert targets == [(1 if is_match else -1) if t in response else 0 for t in range(60)]
    assert delays == set(range(5, 21))


def test_half_of_the_trials_match_and_the_others_are_uniform():
    here = task("task=delayed_match", "task.max_delay=5")
    trials = here.generate(16_000, Stream.named([0], "test", dtype=torch.float64))
    angles = torch.atan2(trials.inputs[0, ..., 0], trials.inputs[0, ..., 1]) / (2 * math.pi / 4)
    items = angles[:, [5, 15]].round().long() % 4
    counts = torch.bincount(items[:, 0] * 4 + items[:, 1], minlength=16).reshape(4, 4)
    expected = torch.full((4, 4), 16_000 / 24).fill_diagonal_(16_000 / 8)
    assert ((counts - expected).abs() < 4.5 * expected.sqrt()).all()
