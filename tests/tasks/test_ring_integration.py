"""Ring integration."""

from __future__ import annotations

import math

import torch

from degen.streams import Stream
from tests.conftest import task


def test_velocities_have_their_deviation_and_correlation():
    here = task("task=ring_integration", "task.channels=2")
    velocity = here.generate(4000, Stream.named([0], "test", dtype=torch.float64)).inputs[0]
    assert ((velocity.std(dim=0) - 1).abs() < 0.06).all()
    for lag in (1, 10, 30):
        products = (velocity[:, lag:] * velocity[:, :-lag]).mean()
        assert abs(products - math.exp(-lag / 10)) < 0.02
    across = (velocity[..., 0] * velocity[..., 1]).mean()
    assert abs(across) < 0.02


def test_targets_are_sines_and_cosines_of_the_summed_velocity():
    here = task("task=ring_integration", "task.channels=2")
    trials = here.generate(20, Stream.named([0], "test", dtype=torch.float64))
    angle = [
        [0.1 * sum(trial[: t + 1, c].tolist()) for c in range(2)]
        for trial in trials.inputs[0]
        for t in (0, 37)
    ]
    expected = [[*map(math.sin, pair), *map(math.cos, pair)] for pair in angle]
    targets = trials.targets[0][:, [0, 37]].flatten(0, 1)
    assert torch.allclose(targets, torch.tensor(expected, dtype=torch.float64), atol=1e-12)
