"""Delayed match to sample."""

from __future__ import annotations

import torch

from degen.streams import Stream
from tests.conftest import task


def test_pulses_delays_and_responses_have_their_times():
    here = task("task=delayed_match", "task.n_items=3")
    trials = here.generate(400, Stream.named([0], "test", dtype=torch.float64))
    assert set(trials.inputs.unique().tolist()) == {0.0, 4.0}
    delays = set()
    for inputs, targets in zip(trials.inputs[0], trials.targets[0, ..., 0].tolist(), strict=True):
        on = inputs.norm(dim=-1).long().tolist()
        onset = next(t for t in range(6, 24) if on[t])
        delays.add(onset - 6)
        assert on == [4 * int(2 <= t < 6 or onset <= t < onset + 4) for t in range(24)]
        is_match = torch.equal(inputs[2], inputs[onset])
        response = range(onset + 4, onset + 10)
        assert targets == [(1 if is_match else -1) if t in response else 0 for t in range(24)]
    assert delays == set(range(1, 7))


def test_half_of_the_trials_match_and_the_others_are_uniform():
    here = task("task=delayed_match", "task.n_items=4", "task.max_delay=1")
    trials = here.generate(16_000, Stream.named([0], "test", dtype=torch.float64))
    items = trials.inputs[0, :, [2, 7]].argmax(dim=-1)
    counts = torch.bincount(items[:, 0] * 4 + items[:, 1], minlength=16).reshape(4, 4)
    expected = torch.full((4, 4), 16_000 / 24).fill_diagonal_(16_000 / 8)
    assert ((counts - expected).abs() < 4.5 * expected.sqrt()).all()
