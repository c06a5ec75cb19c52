"""Gradients of several networks in one pass (`docs/design.md`, contract 2)."""

from __future__ import annotations

import pytest
import torch

from degen.condition import Condition
from degen.streams import Stream
from degen.tasks import Trials
from degen.training import Ensemble
from degen.training.cpu.batched_gradients import BatchedGradients, merge_equality, split_into_groups
from degen.training.cpu.data_parallel import TRIALS_PER_BLOCK
from degen.training.gradients import LossesAndGradients, loss_and_gradients
from tests.conftest import TINY, build
from tests.training.members import assert_identical, trained


def sizes(members: int, *overrides: str) -> list[int]:
    condition = build(*overrides)
    ensemble = Ensemble.new(range(members), condition.task, condition.model)
    result = split_into_groups(ensemble, condition.task, condition.model, condition.training)
    assert [seed for group in result for seed in group.seeds] == [*range(members)]
    return [len(group) for group in result]


def test_every_core_has_a_group_of_limited_size(cores):
    small = ("width=8", "training.batch_size=16")
    cores(2)
    assert sizes(1, *small) == [1]
    assert sizes(2, *small) == [1, 1]
    assert sizes(5, *small) == [2, 3]
    assert sizes(16, *small) == [8, 8]
    assert sizes(17, *small) == [4, 4, 4, 5]
    cores(4)
    assert sizes(3, *small) == [1, 1, 1]
    cores(1)
    # 100 steps of 128 trials take 7 MB with 64 units, and 100 MB with 1024.
    assert sizes(8, "width=64", f"training.batch_size={TRIALS_PER_BLOCK}") == [4, 4]
    assert sizes(3, "width=1024", f"training.batch_size={TRIALS_PER_BLOCK}") == [1, 1, 1]
    # Beyond whole vectors a sigmoid computes otherwise.
    assert sizes(3, "width=33", "training.batch_size=16") == [1, 1, 1]
    # Products of a few rows depend on where these lie.
    assert sizes(3, "width=64", "training.batch_size=8") == [1, 1, 1]
    # More than one block of trials is distributed over a network's workers.
    assert sizes(3, "width=8", f"training.batch_size={TRIALS_PER_BLOCK + 1}") == [1, 1, 1]


WIDE = ("task.n_steps=12", "training.steps_per_epoch=3", "training.max_epochs=2")
SHAPES = [
    (*WIDE, "width=64", "training.batch_size=64"),
    (*WIDE, "width=64", "training.batch_size=64", "parameterization=mup", "regularizer=l1"),
    (*WIDE, "width=32", "training.batch_size=32", "task=sine_wave", "regularizer=nuclear_norm"),
    (*WIDE, "width=48", "training.batch_size=16", "task=path_integration", "task.start=hidden_state"),
    (*WIDE, "width=64", "training.batch_size=64", "task=delayed_discrimination", "task.n_steps=60"),
    (*WIDE, "width=16", "training.batch_size=16", "task=lorenz96", "dtype=float64"),
    (*WIDE, "width=64", "training.batch_size=64", "parameterization=gru"),
    (*WIDE, "width=32", "training.batch_size=32", "parameterization=lstm", "task=sine_wave"),
    (*WIDE, "width=64", "training.batch_size=64", "parameterization=noisy", "leak_rate=0.3"),
    (*WIDE, "width=32", "training.batch_size=32", "parameterization=dale"),
    (*WIDE, "width=32", "training.batch_size=32", "parameterization=softplus"),
    (*WIDE, "width=32", "training.batch_size=32", "parameterization=low_rank"),
    # No group: sigmoids of 231 and of 15 numbers a member. Of the last few, one in 25 has another last bit.
    (*WIDE, "width=33", "training.batch_size=7"),
    (*WIDE, "width=5", "training.batch_size=3", "parameterization=mup"),
    # So few pulses that whole batches are empty, and no product has anything to add; and too few trials.
    (*WIDE, "width=64", "training.batch_size=16", "task.n_steps=1", "parameterization=mup"),
    (*WIDE, "width=96", "training.batch_size=1", "task.n_steps=4", "parameterization=mup"),
]


@pytest.mark.parametrize("overrides", SHAPES, ids=" ".join)
def test_a_network_does_not_depend_on_its_group(cores, overrides):
    condition = build(*overrides)
    cores(1)
    together = trained(condition, [*range(5)])
    for seed in range(5):
        assert_identical(together[seed], trained(condition, [seed])[seed])


def given(condition: Condition, members: int) -> tuple:
    parameters = condition.model.initialize(condition.task, Stream.named(range(members), "w"))
    trials = condition.task.generate(condition.training.batch_size, Stream.named(range(members), "t"))
    return condition.model, condition.regularizer, parameters, trials


@pytest.mark.parametrize("overrides", SHAPES[:12], ids=" ".join)
def test_batched_products_of_common_shapes_are_bitwise_equal(overrides):
    # Seen with torch's own libraries on x86_64 with AVX2; elsewhere a failure here means slower, not wrong.
    together = BatchedGradients(loss_and_gradients)
    together(*given(build(*overrides), 4))
    assert together.is_bitwise_equal


class Counted:
    """`loss_and_gradients` that notes how many members it was asked for, slightly different for several."""

    def __init__(self, off: float):
        self.off = off
        self.asked: list[int] = []

    def __call__(self, model, regularizer, parameters, trials: Trials) -> LossesAndGradients:
        members = len(trials.inputs)
        self.asked.append(members)
        losses, penalties, gradients = loss_and_gradients(model, regularizer, parameters, trials)
        gradients["bias"][-1, -1] += self.off * (members - 1)
        return LossesAndGradients(losses, penalties, gradients)


@pytest.mark.parametrize(("off", "then"), [(0.0, [3] * 3), (1e-3, [1, 1, 1] * 3)])
def test_a_batched_pass_is_used_only_if_bitwise_equal(off, then):
    condition = build(*TINY, "width=16", "training.batch_size=16")
    counted = Counted(off)
    together = BatchedGradients(counted)
    steps = [together(*given(condition, 3)) for _ in range(3)]
    assert counted.asked == [3, 1, 1, 1, *then]
    model, regularizer, parameters, trials = given(condition, 3)
    for i in range(3):
        member_weights = {name: weights[[i]] for name, weights in parameters.items()}
        alone = loss_and_gradients(
            model, regularizer, member_weights, trials.map(lambda array, i=i: array[[i]])
        )
        for losses, _, gradients in steps:
            assert torch.equal(losses[[i]], alone[0])
            assert all(torch.equal(gradients[name][[i]], alone[2][name]) for name in gradients)


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ((None, True), True),
        ((True, None), True),
        ((False, True), False),
        ((True, False), False),
        ((None, False), False),
        ((None, None), None),
    ],
)
def test_equality_checks_are_merged(verdicts, whole):
    assert merge_equality(*verdicts) is whole
