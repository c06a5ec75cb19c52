"""Validation and confirmation losses."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from degen.streams import Stream
from degen.tasks import Trials
from degen.training import Ensemble
from degen.training.gradients import task_loss
from degen.training.validation import TRIALS_PER_BLOCK, Validation, mean_loss, trial_losses
from tests.conftest import build

CONDITION = build("task.n_steps=7", "width=6", "dtype=float64")
N_TRIALS = 2 * TRIALS_PER_BLOCK + 3


def trials(masked: bool) -> Trials:
    stream = Stream.named([0], "trials", dtype=torch.float64)
    drawn = CONDITION.task.generate(N_TRIALS, stream)
    return dataclasses.replace(drawn, mask=stream.uniform(N_TRIALS, 7) if masked else None)


@pytest.mark.parametrize("masked", [False, True])
def test_losses_of_blocks_and_trials_average_to_the_task_loss(masked):
    networks, here = (
        Ensemble.new([3, 1], CONDITION.task, CONDITION.model, dtype=torch.float64),
        trials(masked),
    )
    both = here.map(lambda array: array.expand(2, *array.shape[1:]))
    expected = task_loss(CONDITION.model(networks.parameters, both), both)
    single = trial_losses(CONDITION.model, networks.parameters, here)
    assert single.shape == (2, N_TRIALS)
    assert torch.allclose(mean_loss(CONDITION.model, networks.parameters, here), expected, rtol=1e-12)
    assert torch.allclose(single.mean(dim=1), expected, rtol=1e-12)
    # One trial by itself, by hand.
    outputs = CONDITION.model(networks.parameters, both)[1, 200]
    squares = (outputs - here.targets[0, 200]).square().mean(dim=-1)
    weights = torch.ones(7) if here.mask is None else here.mask[0, 200] / here.mask.mean()
    assert single[1, 200].item() == pytest.approx((squares * weights).mean().item(), rel=1e-12)


@pytest.mark.parametrize(("margin", "converges"), [(2.01, True), (1.99, False)])
def test_a_confirmed_loss_is_two_standard_errors_below(margin, converges):
    ensemble = Ensemble.new([5], CONDITION.task, CONDITION.model, dtype=torch.float64)
    drawn = CONDITION.task.generate(400, Stream.named([0], "confirmation trials", dtype=torch.float64))
    losses = trial_losses(CONDITION.model, ensemble.parameters, drawn)[0]
    mean, error = losses.mean().item(), losses.std().item() / math.sqrt(400)
    training = dataclasses.replace(
        CONDITION.training, patience=1, confirmation_trials=400, threshold=mean + margin * error
    )
    validation = Validation(CONDITION.task, CONDITION.model, training, ensemble.like)
    validation.validation_trials = drawn  # so that the validation loss is below the threshold
    (history,) = ensemble.histories
    history.loss.append(1.0)
    validation(ensemble)
    assert history.confirmation_loss == pytest.approx([mean], rel=1e-12)
    assert history.confirmation_error == pytest.approx([error], rel=1e-12)
    is_stored = torch.equal(ensemble.converged["recurrent"], ensemble.parameters["recurrent"])
    assert is_stored == converges
