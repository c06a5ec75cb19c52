"""Members computed together, in places that stay: the numbers are those of members computed alone."""

from __future__ import annotations

import pytest
import torch

from degen.condition import Condition
from degen.training import Ensemble
from degen.training.cuda.ensemble_batches import EnsembleBatches
from degen.training.memory import draw_bytes, step_bytes
from degen.training.recipe import status
from degen.training.step import TrainingStep, train_epoch
from degen.training.validation import TRIALS_PER_BLOCK, Validation
from tests.conftest import TINY, build

ALL = 2**40


def batches(condition: Condition, free_bytes: int = ALL) -> EnsembleBatches:
    return EnsembleBatches(
        condition.task, condition.model, condition.training, condition.regularizer, free_bytes=free_bytes
    )


def new(condition: Condition, seeds: list[int]) -> Ensemble:
    return Ensemble.new(seeds, condition.task, condition.model, dtype=condition.dtype)


def room_for(members: int, condition: Condition) -> int:
    """Bytes in which so many fit, but not one more."""
    batch = condition.training.batch_size
    member = step_bytes(condition.task, condition.model, max(batch, TRIALS_PER_BLOCK), condition.dtype)
    member += draw_bytes(condition.task, batch, condition.dtype)
    return int((members + 0.5) * member / 0.6)


@pytest.mark.parametrize(
    "overrides",
    [
        ("task=flip_flop",),
        ("task=path_integration", "task.start=hidden_state", "regularizer=l1"),
        ("task=delayed_discrimination", "task.n_steps=60", "regularizer=nuclear_norm"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("parameterization", ["standard", "mup", "gru", "lstm", "noisy"])
def test_a_batch_agrees_with_single_networks_to_rounding(overrides, parameterization):
    # Twelve steps of Adam, whose first ones divide a gradient by its own size: errors of a gradient grow.
    condition = build(*TINY, *overrides, f"parameterization={parameterization}", "dtype=float64")
    together, epochs = new(condition, [4, 0, 2]), batches(condition)
    alone = [new(condition, [seed]) for seed in (4, 0, 2)]
    for _ in range(3):
        together = epochs.epoch(together, lambda: None)
        for member in alone:
            step = TrainingStep.create(member, condition.model, condition.training, condition.regularizer)
            train_epoch(step, condition.task, lambda: None)
            Validation(condition.task, condition.model, condition.training, member.like)(member)
    assert together.seeds == [4, 0, 2]
    for i, member in enumerate(alone):
        assert together.histories[i].loss == pytest.approx(member.histories[0].loss, rel=1e-9)
        assert together.histories[i].penalty == pytest.approx(member.histories[0].penalty, rel=1e-9)
        assert together.histories[i].learning_rate == member.histories[0].learning_rate
        validated = member.histories[0].validation_loss
        assert together.histories[i].validation_loss == pytest.approx(validated, rel=1e-9)
        for name, weights in member.parameters.items():
            assert torch.allclose(together.parameters[name][i], weights[0], rtol=0, atol=1e-9), name
            assert torch.equal(together.initial[name][i], member.initial[name][0])


@pytest.mark.parametrize("fit", [2, 3])
def test_several_batches_equal_one_batch_bitwise(fit):
    condition = build(*TINY)
    whole, parts = new(condition, [0, 1, 2, 3, 4, 5]), new(condition, [0, 1, 2, 3, 4, 5])
    at_once, split = batches(condition), batches(condition, room_for(fit, condition))
    for _ in range(2):
        whole, parts = at_once.epoch(whole, lambda: None), split.epoch(parts, lambda: None)
    assert len(at_once.step.ensemble) == 6
    assert len(split.step.ensemble) == fit
    assert parts.seeds == whole.seeds
    assert parts.histories == whole.histories
    for kind, parameters in whole.tensors.items():
        for name, weights in parameters.items():
            assert torch.equal(weights, parts.tensors[kind][name]), (kind, name)


def test_networks_in_a_partial_batch_are_trained_once():
    condition = build(*TINY)
    seven, epochs = new(condition, list(range(7))), batches(condition, room_for(3, condition))
    after = epochs.epoch(seven, lambda: None)
    assert after.seeds == list(range(7))
    assert [len(history.loss) for history in after.histories] == [1] * 7
    alone = batches(condition).epoch(new(condition, list(range(7))), lambda: None)
    assert [history.loss for history in after.histories] == [history.loss for history in alone.histories]


def test_one_network_is_tried_even_if_none_fits():
    condition = build(*TINY)
    epochs = batches(condition, free_bytes=1)
    assert epochs.epoch(new(condition, [0, 1]), lambda: None).seeds == [0, 1]
    assert len(epochs.step.ensemble) == 1


def test_slots_are_kept_until_a_quarter_is_idle():
    condition = build(*TINY)
    members, epochs = new(condition, list(range(8))), batches(condition)
    slots = []
    for left in (8, 7, 6, 5, 5, 4, 3, 1):
        members = epochs.epoch(members.select(range(left)), lambda: None)
        slots.append(len(epochs.step.ensemble))
        assert members.seeds == list(range(left))
    assert slots == [8, 8, 8, 5, 5, 5, 3, 1]
    step = epochs.step
    epochs.epoch(members, lambda: None)
    assert epochs.step is step


def test_networks_at_different_epochs_share_a_batch():
    condition = build(*TINY, "dtype=float64")
    old = new(condition, [0])
    for _ in range(2):
        old = batches(condition).epoch(old, lambda: None)
    mixed = batches(condition).epoch(old.join(new(condition, [1])), lambda: None)
    assert [len(history.loss) for history in mixed.histories] == [3, 1]
    alone = batches(condition).epoch(old, lambda: None)
    assert mixed.histories[0].loss == pytest.approx(alone.histories[0].loss, rel=1e-10)


def test_the_given_ensemble_is_not_modified():
    # An interruption within an epoch must leave the last one whole.
    condition = build(*TINY)
    members = new(condition, [0, 1])
    before = members.select([0, 1])
    batches(condition).epoch(members, lambda: None)
    assert all(torch.equal(members.parameters[name], before.parameters[name]) for name in before.parameters)
    assert [status(history, condition.training) for history in members.histories] == ["running"] * 2
    assert members.histories == before.histories
