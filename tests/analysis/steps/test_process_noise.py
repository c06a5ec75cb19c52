"""Losses of an analysis are computed with process noise, activations without."""

from __future__ import annotations

import torch

from analysis.steps.networks import draw_loss_trials
from analysis.trials import TrialSet
from tests.conftest import build


def test_trials_of_losses_contain_noise_and_probes_do_not():
    condition = build("parameterization=noisy", "width=6", "task.n_steps=12")
    trial_set = TrialSet(n_trials=3, seed=0)
    drawn = draw_loss_trials(condition, trial_set, {})
    assert {name: batch.noise.shape for name, batch in drawn.items()} == {
        "test_loss": (1, 3, 12, 6),
        "ood_loss": (1, 3, 24, 6),
    }
    assert trial_set.draw(condition.task, "probe", torch.float32).noise is None
    again = draw_loss_trials(condition, trial_set, {})
    assert all(torch.equal(batch.noise, again[name].noise) for name, batch in drawn.items())
    assert not torch.equal(drawn["test_loss"].noise, drawn["ood_loss"].noise[:, :, :12])
