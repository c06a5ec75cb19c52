"""Training steps: their trials, their loss, Adam and the learning rate."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from degen.streams import Stream
from degen.tasks import Task, Trials
from degen.training import CosineAnnealingWarmRestarts, Ensemble, Training
from degen.training.gradients import task_loss
from degen.training.step import epoch_trials
from degen.training.validation import Validation
from tests.conftest import build
from tests.training.members import SMALL, assert_identical, trained

OPTIMIZERS = {
    "Adam": (
        ("training.optimizer.eps=1e-3",),
        lambda leaves: torch.optim.Adam(leaves, lr=0.001, betas=(0.9, 0.999), eps=1e-3),
    ),
    "AdamW": (
        ("training.optimizer.eps=1e-3", "training.optimizer.weight_decay=0.3"),
        lambda leaves: torch.optim.AdamW(leaves, lr=0.001, betas=(0.9, 0.999), eps=1e-3, weight_decay=0.3),
    ),
    "SGD": (
        ("training=sgd", "training.optimizer.weight_decay=0.2", "training.optimizer.momentum=0.8"),
        lambda leaves: torch.optim.SGD(leaves, lr=0.001, momentum=0.8, weight_decay=0.2),
    ),
    "SGD without momentum": (
        ("training=sgd", "training.optimizer.momentum=0"),
        lambda leaves: torch.optim.SGD(leaves, lr=0.001),
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_equal_torchs(name):
    overrides, torchs = OPTIMIZERS[name]
    condition = build(*SMALL, "dtype=float64", "training.max_epochs=7", *overrides)
    (mine,) = trained(condition, [3]).values()
    task, model, training = condition.task, condition.model, condition.training
    weights = model.initialize(task, Stream.named([3], "initial weights", dtype=torch.float64))
    leaves = {name: array.requires_grad_() for name, array in weights.items()}
    optimizer = torchs(leaves.values())
    for epoch in range(7):
        losses = []
        for step in range(3):
            stream = Stream.named([3], "training trials", epoch, step, dtype=torch.float64)
            trials = task.generate(training.batch_size, stream)
            optimizer.zero_grad()
            loss = ((model(leaves, trials) - trials.targets) ** 2).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert mine.histories[0].loss[epoch] == pytest.approx(sum(losses) / 3, rel=1e-12)
    for name, array in leaves.items():
        assert torch.allclose(mine.parameters[name], array, rtol=0, atol=1e-13)
        assert not torch.allclose(mine.parameters[name], mine.initial[name], rtol=0, atol=1e-5)


def test_the_learning_rate_is_gamma_times_schedule_times_base():
    condition = build(*SMALL, "training.optimizer.learning_rate=0.01", "gamma=3")
    schedule = CosineAnnealingWarmRestarts(T_0=2, eta_min=0.0)
    training = dataclasses.replace(condition.training, schedule=schedule)
    (member,) = trained(dataclasses.replace(condition, training=training), [0]).values()
    assert member.histories[0].learning_rate == pytest.approx([0.03, 0.015, 0.03])


def test_initial_weights_are_stored_and_depend_on_the_seed():
    condition = build(*SMALL)
    member = trained(condition, [4])[4]
    drawn = condition.model.initialize(condition.task, Stream.named([4], "initial weights"))
    assert all(torch.equal(member.initial[name], drawn[name]) for name in drawn)


def test_validation_confirmation_and_training_trials_differ():
    condition = build(*SMALL)
    drawn = [
        condition.task.generate(5, Stream.named([0], purpose)).inputs
        for purpose in ("validation trials", "confirmation trials", "training trials", "test trials")
    ]
    assert len({tuple(inputs.flatten().tolist()) for inputs in drawn}) == 4


def test_the_loss_is_the_mean_weighted_by_the_mask():
    outputs = Stream.named([0, 1], "outputs").normal(3, 4, 2)
    targets = Stream.named([0, 1], "targets").normal(3, 4, 2)
    plain = task_loss(outputs, Trials(outputs, targets))
    assert plain.tolist() == pytest.approx(
        [((o - t) ** 2).mean().item() for o, t in zip(outputs, targets, strict=True)]
    )
    ones = torch.ones(2, 3, 4)
    assert torch.allclose(task_loss(outputs, Trials(outputs, targets, mask=7 * ones)), plain)
    window = torch.zeros(2, 3, 4)
    window[:, :, 2] = 1
    seen = ((outputs - targets) ** 2)[:, :, 2].mean(dim=(1, 2))
    assert torch.allclose(task_loss(outputs, Trials(outputs, targets, mask=window)), seen)
    window[:, 0, 3] = 3
    by_hand = [
        sum(
            window[s, i, t].item() * ((outputs - targets)[s, i, t] ** 2).mean().item()
            for i in range(3)
            for t in range(4)
        )
        / 6
        for s in range(2)
    ]
    assert task_loss(outputs, Trials(outputs, targets, mask=window)).tolist() == pytest.approx(by_hand)


class _Masked(Task):
    """A flip-flop whose loss counts every other step only."""

    n_inputs = n_outputs = 3

    def generate(self, n_trials: int, stream: Stream) -> Trials:
        trials = build(*SMALL).task.generate(n_trials, stream)
        mask = torch.arange(10).remainder(2).to(stream.dtype).expand(trials.inputs.shape[:-1])
        targets = trials.targets + 1000 * (1 - mask.unsqueeze(-1))
        return Trials(trials.inputs, targets, mask=mask)

    def ood(self) -> Task:
        return self


def test_masked_time_steps_do_not_change_training():
    condition = dataclasses.replace(build(*SMALL), task=_Masked())
    ended = trained(condition, [0, 1])
    assert all(loss < 10 for member in ended.values() for loss in member.histories[0].loss)
    assert_identical(ended[1], trained(condition, [1])[1])


@pytest.mark.parametrize(("fresh", "distinct"), [(True, 6), (False, 3)])
def test_trials_are_fresh_in_every_epoch_or_repeated(fresh, distinct):
    condition = build(*SMALL, f"training.fresh_trials={fresh}".lower())
    like = torch.zeros(())
    seen = [
        trials.inputs[0]
        for epoch in (0, 1)
        for trials in epoch_trials([3], [epoch], condition.task, condition.model, condition.training, like)
    ]
    assert len(seen) == 6
    assert len({tuple(inputs.flatten().tolist()) for inputs in seen}) == distinct
    first = condition.task.generate(5, Stream.named([3], "training trials", 0, 1))
    assert torch.equal(seen[1], first.inputs[0])


def test_noise_is_fresh_in_every_epoch_even_if_trials_are_not():
    condition = build(*SMALL, "parameterization=noisy", "training.fresh_trials=false")
    parts = condition.task, condition.model, condition.training, torch.zeros(())
    drawn = [trials for epoch in (0, 1) for trials in epoch_trials([3], [epoch], *parts)]
    assert torch.equal(drawn[0].inputs, drawn[3].inputs)
    assert len({tuple(trials.noise.flatten().tolist()) for trials in drawn}) == 6


def test_trials_do_not_depend_on_steps_per_draw(monkeypatch):
    condition = build(*SMALL, "task=path_integration", "parameterization=noisy")
    training: Training = dataclasses.replace(condition.training, steps_per_epoch=7)

    def drawn() -> list[torch.Tensor]:
        epoch = epoch_trials([0, 1], [2, 5], condition.task, condition.model, training, torch.zeros(()))
        return [array for trials in epoch for array in (trials.inputs, trials.noise)]

    at_once = drawn()
    assert len(at_once) == 2 * 7
    for block in (1, 20, 40):
        monkeypatch.setattr("degen.training.step.TRIALS_PER_DRAW", block)
        assert all(torch.equal(blockwise, whole) for blockwise, whole in zip(drawn(), at_once, strict=True))


def test_float64_and_float32_start_from_the_same_network():
    narrow, wide = (
        Ensemble.new([0], build(*SMALL).task, build(*SMALL).model, dtype=dtype)
        for dtype in (torch.float32, torch.float64)
    )
    for name, weights in narrow.initial.items():
        assert torch.allclose(weights, wide.initial[name].float(), rtol=1e-6, atol=1e-7)


def test_input_noise_is_added_to_training_trials_only():
    condition, plain = build(*SMALL, "training.input_noise=0.3", "training.fresh_trials=false"), build(*SMALL)
    parts = condition.task, condition.model, condition.training, torch.zeros(())
    noisy = [trials for epoch in (0, 1) for trials in epoch_trials([3], [epoch], *parts)]
    clean = list(epoch_trials([3], [0], plain.task, plain.model, plain.training, torch.zeros(())))
    noise = [trials.inputs - clean[i % 3].inputs for i, trials in enumerate(noisy)]
    assert torch.stack(noise).std().item() == pytest.approx(0.3, rel=0.1)  # 900 values
    assert len({tuple(sample.flatten().tolist()) for sample in noise}) == 6  # new in every epoch
    assert all(torch.equal(trials.targets, clean[i % 3].targets) for i, trials in enumerate(noisy))
    drawn = [
        Validation(built.task, built.model, built.training, torch.zeros(())) for built in (condition, plain)
    ]
    assert torch.equal(*(validation.validation_trials.inputs for validation in drawn))


def test_noise_of_a_network_does_not_depend_on_the_others():
    condition = build(*SMALL, "training.input_noise=0.3", "parameterization=noisy")
    assert_identical(trained(condition, [0, 1, 2])[1], trained(condition, [1])[1])
