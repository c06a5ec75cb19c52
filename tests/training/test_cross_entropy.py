"""The cross-entropy: its value, its gradient, and training with it."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from degen.condition import Condition
from degen.streams import Stream
from degen.tasks import Trials
from degen.tasks.contract import require_valid
from degen.training import Ensemble, NoPenalty
from degen.training.cuda.ensemble_batches import EnsembleBatches
from degen.training.gradients import loss_and_gradients, task_loss
from degen.training.validation import TRIALS_PER_BLOCK, mean_loss, trial_losses
from tests.composed import files
from tests.conftest import build
from tests.training.classification import LargestSum
from tests.training.members import SMALL, assert_identical, trained

CELLS = files("parameterization")


def condition(*overrides: str) -> Condition:
    return dataclasses.replace(build(*SMALL, *overrides), task=LargestSum(n_steps=10))


def drawn(loss_weights: bool, n_trials: int = 6) -> tuple[Tensor, Trials]:
    """Outputs of two networks and trials with five classes, in float64."""
    stream = Stream.named([0, 1], "drawn", dtype=torch.float64)
    outputs, classes = 3 * stream.normal(n_trials, 4, 5), stream.integers(0, 4, n_trials, 4)
    targets = torch.nn.functional.one_hot(classes, 5).double()
    mask = stream.uniform(n_trials, 4) if loss_weights else None
    return outputs, Trials(outputs, targets, mask, loss="cross_entropy")


@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_equals_torchs_cross_entropy(masked):
    outputs, trials = drawn(masked)
    losses = torch.nn.functional.cross_entropy(
        outputs.flatten(0, 2), trials.targets.argmax(dim=-1).flatten(), reduction="none"
    ).view(2, -1)
    weights = torch.ones_like(losses) if trials.mask is None else trials.mask.flatten(1)
    expected = (losses * weights).sum(dim=1) / weights.sum(dim=1)
    assert torch.allclose(task_loss(outputs, trials), expected, rtol=1e-13)


@pytest.mark.parametrize("masked", [False, True])
def test_the_gradient_is_probability_minus_target(masked):
    outputs, trials = drawn(masked)
    leaf = outputs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(task_loss(leaf, trials).sum(), leaf)
    exponentials = (outputs - outputs.max()).exp()
    probabilities = exponentials / exponentials.sum(dim=-1, keepdim=True)
    weights = torch.ones(2, 6, 4, dtype=torch.float64) if trials.mask is None else trials.mask
    weights = weights / weights.sum(dim=(1, 2), keepdim=True)
    expected = (probabilities - trials.targets) * weights.unsqueeze(-1)
    assert torch.allclose(gradient, expected, rtol=0, atol=1e-15)


def test_equal_logits_give_the_logarithm_of_the_classes():
    _, trials = drawn(True)
    assert task_loss(torch.full((2, 6, 4, 5), 7.0), trials).tolist() == pytest.approx([math.log(5)] * 2)


def test_large_logits_give_a_finite_loss():
    outputs, trials = drawn(False)
    assert task_loss(1e6 * outputs, trials).isfinite().all()
    assert task_loss(1e6 * (2 * trials.targets - 1), trials).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_weights_equal_autograd_through_steps(cell):
    small = condition(f"parameterization={cell}", "gamma=0.5", "width=7", "dtype=float64")
    model, task = small.model, small.task
    weights = model.initialize(task, Stream.named([0, 1], "weights", dtype=torch.float64))
    trials = task.generate(5, Stream.named([0, 1], "trials", dtype=torch.float64))
    trials = model.add_noise(trials, Stream.named([0, 1], "noise", dtype=torch.float64))
    mine = loss_and_gradients(model, NoPenalty(), weights, trials)
    leaves = {name: array.clone().requires_grad_() for name, array in weights.items()}
    losses = task_loss(model.readout(leaves, model.unroll(leaves, trials)), trials)
    gradients = torch.autograd.grad(losses.sum(), list(leaves.values()))
    assert torch.allclose(mine.losses, losses, rtol=1e-12)
    for name, gradient in zip(leaves, gradients, strict=True):
        assert gradient.abs().max() > 0
        assert torch.allclose(mine.gradients[name], gradient, rtol=1e-10, atol=1e-13), name


def test_a_network_does_not_depend_on_the_others():
    together = trained(condition("training.batch_size=16", "width=8"), [0, 1, 2])
    assert_identical(together[1], trained(condition("training.batch_size=16", "width=8"), [1])[1])


def test_blocks_of_trials_sum_to_the_whole_batch():
    large = condition(f"training.batch_size={2 * TRIALS_PER_BLOCK + 5}", "dtype=float64")
    (member,) = trained(large, [3]).values()
    batches = EnsembleBatches(large.task, large.model, large.training, large.regularizer, 2**40)
    whole = batches.epoch(Ensemble.new([3], large.task, large.model, dtype=torch.float64), lambda: None)
    assert member.histories[0].loss[0] == pytest.approx(whole.histories[0].loss[0], rel=1e-10)
    expected = whole.histories[0].validation_loss[0]
    assert member.histories[0].validation_loss[0] == pytest.approx(expected, rel=1e-10)


def test_validation_blocks_and_trials_average_to_the_task_loss():
    small = condition("dtype=float64")
    networks = Ensemble.new([3, 1], small.task, small.model, dtype=torch.float64)
    n_trials = 2 * TRIALS_PER_BLOCK + 3
    here = small.task.generate(n_trials, Stream.named([0], "trials", dtype=torch.float64))
    both = here.map(lambda array: array.expand(2, *array.shape[1:]))
    expected = task_loss(small.model(networks.parameters, both), both)
    assert torch.allclose(mean_loss(small.model, networks.parameters, here), expected, rtol=1e-12)
    single = trial_losses(small.model, networks.parameters, here)
    assert torch.allclose(single.mean(dim=1), expected, rtol=1e-12)


def test_training_learns_the_classes():
    settings = ("width=16", "training.optimizer.learning_rate=0.01", "training.batch_size=64")
    rule = ("training.steps_per_epoch=60", "training.max_epochs=5", "training.threshold=0.35")
    learner = condition(*settings, *rule, "training.patience=1", "training.settle_epochs=1")
    require_valid(learner.task)
    (member,) = trained(learner, [0]).values()
    history = member.histories[0]
    assert history.loss[0] < math.log(3)
    assert 0 < history.confirmation_loss[-2] < 0.35
    trials = learner.task.generate(500, Stream.named([9], "test"))
    outputs = learner.model(member.parameters, trials)
    is_correct = outputs.argmax(dim=-1) == trials.targets.argmax(dim=-1)
    assert is_correct[..., 1:].float().mean() > 0.85
