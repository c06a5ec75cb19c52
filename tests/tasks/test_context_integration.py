"""Context-dependent integration."""

from __future__ import annotations

import torch

from degen.streams import Stream
from degen.tasks import Trials
from tests.conftest import task


def draw(*overrides: str, n_trials: int = 3000) -> Trials:
    stream = Stream.named([0], "test", dtype=torch.float64)
    return task("task=context_integration", *overrides).generate(n_trials, stream)


def test_the_target_is_the_sign_of_the_cued_evidence():
    trials = draw("task.modalities=3", "task.noise_std=0", n_trials=200)
    evidence, cues = trials.inputs[0, ..., :3], trials.inputs[0, ..., 3:]
    assert (cues.sum(dim=-1) == 1).all()
    assert torch.equal(cues, cues[:, :1].expand_as(cues))
    cued = (evidence * cues).sum(dim=-1)
    assert torch.equal(trials.targets[0, :, -1, 0], cued[:, 20].sign())
    assert (trials.targets[0, :, :45] == 0).all()
    assert (trials.targets[0, :, 45:].abs() == 1).all()
    assert (evidence[:, :5] == 0).all()
    assert (evidence[:, 45:] == 0).all()


def test_coherences_and_contexts_are_uniform_and_independent():
    trials = draw("task.noise_std=0")
    coherence, cue = trials.inputs[0, :, 20, :2], trials.inputs[0, :, 20, 2]
    values = torch.tensor([-3, -2, -1, 1, 2, 3], dtype=torch.float64) / 3
    codes = (coherence.unsqueeze(-1) - values).abs().argmin(dim=-1)
    cells = torch.bincount(codes[:, 0] * 12 + codes[:, 1] * 2 + cue.long(), minlength=72)
    assert ((cells - 3000 / 72).abs() < 4.5 * (3000 / 72) ** 0.5).all()


def test_noise_has_its_deviation_during_the_stimulus_only():
    noisy, silent = draw(), draw("task.noise_std=0")
    noise = noisy.inputs - silent.inputs
    assert abs(noise[0, :, 5:45, :2].std() - 1.0) < 0.02
    assert (noise[0, :, :5] == 0).all()
    assert (noise[0, :, 45:] == 0).all()
    assert (noise[..., 2:] == 0).all()


def test_an_ideal_integrator_solves_the_task():
    # The error of the best linear readout bounds the threshold of conf/task/context_integration.yaml.
    trials = draw()
    total = (trials.inputs[0, ..., :2] * trials.inputs[0, ..., 2:]).sum(dim=(1, 2))
    wrong = (total.sign() != trials.targets[0, :, -1, 0]).double().mean()
    assert 4 * wrong * 15 / 60 < 0.05


def test_ood_trials_have_twice_the_stimulus():
    longer = task("task=context_integration").ood()
    assert (longer.stimulus_steps, longer.n_steps) == (80, 100)
