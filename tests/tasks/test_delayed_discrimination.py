"""Delayed discrimination."""

from __future__ import annotations

import pytest
import torch

from degen.streams import Stream
from tests.conftest import task


def decoded(inputs: list[list[float]], channels: int) -> tuple[int, list[int], list[int]]:
    """The onset of f2 and both amplitudes of every channel, read off a trial's inputs (time, 2C)."""
    (onset,) = {next(t for t, row in enumerate(inputs) if row[channels + c]) for c in range(channels)}
    amplitudes = [int(value) for value in inputs[5][:channels] + inputs[onset][channels:]]
    return onset, amplitudes[:channels], amplitudes[channels:]


@pytest.mark.parametrize("auxiliary", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_pulses_and_response_have_the_papers_times(channels, auxiliary):
    here = task(
        "task=delayed_discrimination", f"task.channels={channels}", f"task.auxiliary_loss={auxiliary}".lower()
    )
    trials = here.generate(200, Stream.named([0], "test", dtype=torch.float64))
    delays = set()
    for inputs, targets in zip(trials.inputs[0].tolist(), trials.targets[0].tolist(), strict=True):
        onset, first, second = decoded(inputs, channels)
        delays.add(onset - 10)
        assert all(f1 != f2 for f1, f2 in zip(first, second, strict=True))
        signs = [1.0 if f2 > f1 else -1.0 for f1, f2 in zip(first, second, strict=True)]
        scaled = [(f2 - f1) / 8 for f1, f2 in zip(first, second, strict=True)] if auxiliary else []
        for t in range(60):
            f1_now = first if 5 <= t <= 9 else [0] * channels
            f2_now = second if onset <= t < onset + 5 else [0] * channels
            assert inputs[t] == f1_now + f2_now
            in_window = onset + 15 <= t < onset + 20
            assert targets[t] == (signs + scaled if in_window else [0.0] * here.n_outputs)
    assert delays == set(range(5, 21))


def test_the_response_starts_25_steps_after_f1_at_delay_5():
    # h* = 25 in Fig. 9 of the paper.
    here = task("task=delayed_discrimination", "task.max_delay=5")
    trials = here.generate(1, Stream.named([0], "test"))
    end_of_f1 = int(trials.inputs[0, 0, :, 0].nonzero().max())
    response = int(trials.targets[0, 0].nonzero()[:, 0].min())
    assert response - end_of_f1 - 1 == 5 + 15
    assert response + 5 - end_of_f1 - 1 == 25


def test_amplitude_pairs_are_uniform_over_unequal_pairs():
    trials = task("task=delayed_discrimination").generate(30_000, Stream.named([0], "test"))
    pairs = trials.inputs[0].amax(dim=1).long()
    counts = torch.bincount((pairs[:, 0] - 2) * 9 + pairs[:, 1] - 2, minlength=81).reshape(9, 9)
    assert counts.diagonal().tolist() == [0] * 9
    assert set(pairs.unique().tolist()) == set(range(2, 11))
    expected = 30_000 / 72
    off_diagonal = counts[~torch.eye(9, dtype=torch.bool)]
    assert ((off_diagonal - expected).abs() < 4.5 * expected**0.5).all()


def test_the_largest_auxiliary_target_is_one():
    here = task("task=delayed_discrimination", "task.auxiliary_loss=true")
    assert here.generate(2000, Stream.named([0], "test")).targets[..., 1].abs().max() == 1


@pytest.mark.parametrize(("longest", "n_steps"), [(20, 60), (30, 60), (40, 70), (12, 60)])
def test_the_ood_delay_is_doubled_and_fits_the_trial(longest, n_steps):
    here = task("task=delayed_discrimination", f"task.max_delay={longest}", f"task.n_steps={n_steps}")
    there = here.ood()
    assert (there.min_delay, there.max_delay) == (10, 2 * longest)
    assert there.n_steps == max(n_steps, 5 + 5 + 2 * longest + 15 + 5)
    trials = there.generate(400, Stream.named([0], "test"))
    assert (trials.targets.abs().sum(dim=2) == 5).all()
    onsets = (trials.inputs[0, :, :, 1] != 0).int().argmax(dim=1) - 10
    assert (onsets.min(), onsets.max()) == (10, 2 * longest)


def test_the_longest_delay_that_fits_is_allowed_and_reported():
    task("task=delayed_discrimination", "task.max_delay=30")
    with pytest.raises(ValueError, match="at most 30 in a trial of 60 steps"):
        task("task=delayed_discrimination", "task.max_delay=31")
