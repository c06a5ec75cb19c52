"""Ensembles: networks do not depend on the ensemble size (`docs/design.md`, contract 2)."""

from __future__ import annotations

import dataclasses
import math
import statistics

import pytest
import torch

from degen.condition import Condition
from degen.streams import Stream
from degen.tasks import Task, Trials
from degen.training import CosineAnnealingWarmRestarts, Ensemble, NuclearNorm, Training, train
from degen.training.gradients import loss_and_gradients, task_loss
from degen.training.recipe import epochs_to_convergence
from degen.training.step import epoch_trials
from tests.conftest import TINY, build

SMALL = (
    "task.n_steps=10",
    "width=6",
    "training.batch_size=5",
    "training.steps_per_epoch=3",
    "training.max_epochs=3",
)


def trained(condition: Condition, seeds: list[int], ensemble: Ensemble | None = None) -> dict[int, Ensemble]:
    """Seed to the finished member, an ensemble of one."""
    ended: dict[int, Ensemble] = {}

    def on_epoch(running: Ensemble, done: Ensemble) -> None:
        for member, seed in enumerate(done.seeds):
            assert seed not in ended
            ended[seed] = done.select([member])

    ensemble = ensemble or Ensemble.new(seeds, condition.task, condition.model, dtype=condition.dtype)
    train(
        ensemble,
        condition.task,
        condition.model,
        condition.training,
        condition.regularizer,
        on_epoch=on_epoch,
    )
    return ended


def assert_identical(one: Ensemble, other: Ensemble) -> None:
    assert one.seeds == other.seeds
    for kind, parameters in one.tensors.items():
        for name, weights in parameters.items():
            assert torch.equal(weights, other.tensors[kind][name]), (kind, name)
    assert repr(one.histories) == repr(other.histories)  # NaN equals NaN


@pytest.mark.parametrize(
    "overrides",
    [
        (*TINY, "task=flip_flop"),
        (*TINY, "task=sine_wave", "parameterization=mup", "regularizer=l1"),
        (*TINY, "task=path_integration", "task.dimensions=3", "parameterization=mup", "width=9"),
        (*TINY, "task=path_integration", "task.start=hidden_state", "regularizer=nuclear_norm", "width=5"),
        (*TINY, "task=delayed_discrimination", "task.n_steps=60", "width=3", "dtype=float64"),
        (*TINY, "task=flip_flop", "width=1", "task.channels=1", "training.batch_size=1"),
    ],
    ids=" ".join,
)
def test_networks_do_not_depend_on_the_ensemble_size_on_the_cpu(overrides):
    # No sum runs over members or depends on their number; of groups on one core see test_groups.py.
    condition = build(*overrides)
    together = trained(condition, [5, 0, 8])
    assert sorted(together) == [0, 5, 8]
    for seed in (5, 0, 8):
        assert_identical(trained(condition, [seed])[seed], together[seed])


@pytest.mark.parametrize("parameterization", ["standard", "mup"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batched_pass_agrees_with_single_networks(parameterization, dtype):
    # A batched product may add in another order, so a sum of k terms may differ by some k epsilons; the
    # longest sum, over 8 trials x 20 steps, has 160. Losses and gradients are of order one.
    condition = build(
        *TINY, f"parameterization={parameterization}", "regularizer=nuclear_norm", f"dtype={dtype}"
    )
    parameters = condition.model.initialize(
        condition.task, Stream.named(range(4), "w", dtype=condition.dtype)
    )
    trials = condition.task.generate(8, Stream.named(range(4), "t", dtype=condition.dtype))
    batched = loss_and_gradients(condition.model, condition.regularizer, parameters, trials)
    tolerance = 160 * torch.finfo(condition.dtype).eps
    for i in range(4):
        one = {name: weights[i : i + 1] for name, weights in parameters.items()}
        alone = loss_and_gradients(
            condition.model, condition.regularizer, one, trials.map(lambda array, i=i: array[i : i + 1])
        )
        for value, other in zip(alone[:2], batched[:2], strict=True):
            assert torch.allclose(value[0], other[i], rtol=tolerance, atol=tolerance)
        for name, gradient in alone[2].items():
            assert torch.allclose(gradient[0], batched[2][name][i], rtol=tolerance, atol=tolerance)


def test_adam_equals_torchs():
    condition = build(*SMALL, "dtype=float64", "training.max_epochs=7", "training.optimizer.eps=1e-3")
    (mine,) = trained(condition, [3]).values()
    task, model, training = condition.task, condition.model, condition.training
    weights = model.initialize(task, Stream.named([3], "initial weights", dtype=torch.float64))
    leaves = {name: array.requires_grad_() for name, array in weights.items()}
    adam = torch.optim.Adam(
        leaves.values(), lr=training.optimizer.learning_rate, betas=(0.9, 0.999), eps=1e-3
    )
    for epoch in range(7):
        losses = []
        for step in range(3):
            stream = Stream.named([3], "training trials", epoch, step, dtype=torch.float64)
            trials = task.generate(training.batch_size, stream)
            adam.zero_grad()
            loss = ((model(leaves, trials) - trials.targets) ** 2).mean()
            loss.backward()
            adam.step()
            losses.append(loss.item())
        assert mine.histories[0].loss[epoch] == pytest.approx(sum(losses) / 3, rel=1e-12)
    for name, array in leaves.items():
        assert torch.allclose(mine.parameters[name], array, rtol=0, atol=1e-13)
        assert not torch.allclose(mine.parameters[name], mine.initial[name], rtol=0, atol=1e-4)


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


def test_networks_at_different_epochs_train_together():
    condition = build(*SMALL, "training.max_epochs=5")
    saved: list[Ensemble] = []
    keep = lambda running, done: saved.append(running.select(range(len(running))))  # noqa: E731
    fresh = Ensemble.new([0, 1], condition.task, condition.model)
    parts = (condition.task, condition.model, condition.training, condition.regularizer)
    train(fresh, *parts, on_epoch=keep)
    mixed = saved[1].select([1]).join(saved[3].select([0]))
    mixed = mixed.join(Ensemble.new([2], condition.task, condition.model))
    assert [len(history.loss) for history in mixed.histories] == [2, 4, 0]
    ended = trained(condition, [], mixed)
    for seed in (0, 1, 2):
        assert_identical(ended[seed], trained(condition, [seed])[seed])


def test_networks_end_at_different_epochs():
    condition = build(
        *(*SMALL, "training.max_epochs=6", "training.patience=1", "training.settle_epochs=2"),
        *("training.optimizer.learning_rate=0.03", "training.threshold=0"),
    )
    every = trained(condition, list(range(6)))
    threshold = statistics.median(member.histories[0].validation_loss[2] for member in every.values())
    training = dataclasses.replace(condition.training, threshold=threshold)
    condition = dataclasses.replace(condition, training=training)
    members = []
    fresh = Ensemble.new(list(range(6)), condition.task, condition.model)
    parts = (condition.task, condition.model, condition.training, condition.regularizer)
    train(fresh, *parts, on_epoch=lambda running, done: members.append((running.seeds, done.seeds)))
    assert sorted(seed for _, done in members for seed in done) == list(range(6))
    assert members[-1][0] == []
    ended = trained(condition, list(range(6)))
    for seed, member in every.items():
        history = ended[seed].histories[0]
        converged = epochs_to_convergence(history, training)
        assert len(history) == (6 if converged is None else converged + 2)
        same = converged or 6
        assert history.loss[:same] == member.histories[0].loss[:same]
        assert history.validation_loss[:same] == member.histories[0].validation_loss[:same]
    assert len({len(member.histories[0]) for member in ended.values()}) > 1


def test_converged_weights_equal_training_without_settling():
    quick = ("training.threshold=10", "training.patience=2", "dtype=float64")
    settled = trained(build(*SMALL, *quick, "training.settle_epochs=2"), [0, 1])
    plain = trained(build(*SMALL, *quick, "training.settle_epochs=0"), [0, 1])
    for seed, member in plain.items():
        assert [len(one.histories[0]) for one in (member, settled[seed])] == [2, 4]
        for name, weights in member.parameters.items():
            assert torch.equal(settled[seed].converged[name], weights)
            assert not torch.equal(settled[seed].parameters[name], weights)


def test_validation_losses_are_computed_on_frozen_trials():
    condition = build(*SMALL, "training.validation_trials=300", "training.confirmation_trials=150")
    condition = dataclasses.replace(
        condition, training=dataclasses.replace(condition.training, threshold=10.0, settle_epochs=0)
    )
    together, (alone,) = trained(condition, [0, 1, 2]), trained(condition, [1]).values()
    assert repr(together[1].histories) == repr(alone.histories)
    for purpose, n_trials, field in (
        ("validation trials", 300, "validation_loss"),
        ("confirmation trials", 150, "confirmation_loss"),
    ):
        trials = condition.task.generate(n_trials, Stream.named([0], purpose))
        for member in together.values():
            outputs = condition.model(member.parameters, trials)
            expected = ((outputs - trials.targets) ** 2).mean().item()
            assert getattr(member.histories[0], field)[-1] == pytest.approx(expected, rel=1e-5)


def test_validation_confirmation_and_training_trials_differ():
    condition = build(*SMALL)
    drawn = [
        condition.task.generate(5, Stream.named([0], purpose)).inputs
        for purpose in ("validation trials", "confirmation trials", "training trials", "test trials")
    ]
    assert len({tuple(inputs.flatten().tolist()) for inputs in drawn}) == 4


@pytest.mark.parametrize("regularizer", ["none", "l1", "nuclear_norm"])
@pytest.mark.parametrize("spoilt", ["recurrent", "input", "output"])
def test_a_diverging_network_does_not_change_the_others(regularizer, spoilt):
    condition = build(*SMALL, f"regularizer={regularizer}")
    ensemble = Ensemble.new([0, 1, 2], condition.task, condition.model)
    ensemble.parameters[spoilt][1] = math.nan
    ended = trained(condition, [], ensemble)
    assert len(ended[1].histories[0].loss) == 1
    assert math.isnan(ended[1].histories[0].loss[0])
    for seed in (0, 2):
        assert_identical(ended[seed], trained(condition, [seed])[seed])


def test_a_batched_pass_isolates_a_diverging_network():
    condition = build(*SMALL)
    parameters = condition.model.initialize(condition.task, Stream.named([0, 1, 2], "test"))
    trials = condition.task.generate(5, Stream.named([0, 1, 2], "test"))
    regularizer = NuclearNorm(strength=0.1)
    losses, penalties, gradients = loss_and_gradients(condition.model, regularizer, parameters, trials)
    parameters["recurrent"][1] = math.nan
    spoilt = loss_and_gradients(condition.model, regularizer, parameters, trials)
    assert spoilt[0].isnan().tolist() == spoilt[1].isnan().tolist() == [False, True, False]
    for one, other in (
        (losses, spoilt[0]),
        (penalties, spoilt[1]),
        *zip(gradients.values(), spoilt[2].values(), strict=True),
    ):
        assert torch.equal(one[[0, 2]], other[[0, 2]])


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
        for trials in epoch_trials([3], [epoch], condition.task, condition.training, like)
    ]
    assert len(seen) == 6
    assert len({tuple(inputs.flatten().tolist()) for inputs in seen}) == distinct
    first = condition.task.generate(5, Stream.named([3], "training trials", 0, 1))
    assert torch.equal(seen[1], first.inputs[0])


def test_trials_do_not_depend_on_steps_per_draw(monkeypatch):
    condition = build(*SMALL, "task=path_integration")
    training: Training = dataclasses.replace(condition.training, steps_per_epoch=7)

    def drawn() -> list[torch.Tensor]:
        epoch = epoch_trials([0, 1], [2, 5], condition.task, training, torch.zeros(()))
        return [trials.inputs for trials in epoch]

    at_once = drawn()
    assert len(at_once) == 7
    for block in (1, 20, 40):
        monkeypatch.setattr("degen.training.step.TRIALS_PER_DRAW", block)
        assert all(torch.equal(one, other) for one, other in zip(drawn(), at_once, strict=True))


def test_float64_and_float32_start_from_the_same_network():
    narrow, wide = (
        Ensemble.new([0], build(*SMALL).task, build(*SMALL).model, dtype=dtype)
        for dtype in (torch.float32, torch.float64)
    )
    for name, weights in narrow.initial.items():
        assert torch.allclose(weights, wide.initial[name].float(), rtol=1e-6, atol=1e-7)
