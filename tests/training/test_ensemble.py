"""Ensembles: networks do not depend on the ensemble size (`docs/design.md`, contract 2)."""

from __future__ import annotations

import dataclasses
import math
import statistics

import pytest
import torch

from degen.streams import Stream
from degen.training import Ensemble, NuclearNorm, train
from degen.training.gradients import loss_and_gradients
from degen.training.recipe import epochs_to_convergence
from tests.composed import files
from tests.conftest import TINY, build
from tests.training.members import SMALL, assert_identical, trained


@pytest.mark.parametrize(
    "overrides",
    [
        (*TINY, "task=flip_flop"),
        (*TINY, "task=sine_wave", "parameterization=mup", "regularizer=l1"),
        (*TINY, "task=path_integration", "task.dimensions=3", "parameterization=mup", "width=9"),
        (*TINY, "task=path_integration", "task.start=hidden_state", "regularizer=nuclear_norm", "width=5"),
        (*TINY, "task=delayed_discrimination", "task.n_steps=60", "width=3", "dtype=float64"),
        (*TINY, "task=flip_flop", "width=1", "task.channels=1", "training.batch_size=1"),
        (*TINY, "training=sgd", "training.optimizer.weight_decay=0.1"),
        (*TINY, "training.optimizer.weight_decay=0.1", "parameterization.initial_rank=3"),
        *(
            (*TINY, f"parameterization={cell}", "regularizer=nuclear_norm")
            for cell in files("parameterization")
        ),
    ],
    ids=" ".join,
)
def test_networks_do_not_depend_on_the_ensemble_size_on_the_cpu(overrides):
    # No sum runs over networks or depends on their number. For groups see cpu/test_batched_gradients.py.
    condition = build(*overrides)
    together = trained(condition, [5, 0, 8])
    assert sorted(together) == [0, 5, 8]
    for seed in (5, 0, 8):
        assert_identical(trained(condition, [seed])[seed], together[seed])


@pytest.mark.parametrize("parameterization", files("parameterization"))
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
        member_weights = {name: weights[i : i + 1] for name, weights in parameters.items()}
        alone = loss_and_gradients(
            condition.model,
            condition.regularizer,
            member_weights,
            trials.map(lambda array, i=i: array[i : i + 1]),
        )
        for value, other in zip(alone[:2], batched[:2], strict=True):
            assert torch.allclose(value[0], other[i], rtol=tolerance, atol=tolerance)
        for name, gradient in alone[2].items():
            assert torch.allclose(gradient[0], batched[2][name][i], rtol=tolerance, atol=tolerance)


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
        assert [len(ensemble.histories[0]) for ensemble in (member, settled[seed])] == [2, 4]
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
    for healthy, with_nan in (
        (losses, spoilt[0]),
        (penalties, spoilt[1]),
        *zip(gradients.values(), spoilt[2].values(), strict=True),
    ):
        assert torch.equal(healthy[[0, 2]], with_nan[[0, 2]])
