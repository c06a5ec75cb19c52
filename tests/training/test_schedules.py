"""Schedules as pure functions against torch's stateful ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from degen.errors import BadInputError
from degen.training import Constant, CosineAnnealingWarmRestarts, ReduceLROnPlateau

losses = st.lists(st.floats(0.001, 2.0), max_size=60)


def optimizer(rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)


@given(period=st.integers(1, 20), lowest=st.floats(0, 1), initial=st.floats(1, 3))
@settings(max_examples=25, deadline=None)
def test_cosine_warm_restarts_equal_torchs(period, lowest, initial):
    schedule = CosineAnnealingWarmRestarts(T_0=period, eta_min=lowest)
    sgd = optimizer(initial)
    theirs = lr_scheduler.CosineAnnealingWarmRestarts(sgd, T_0=period, T_mult=1, eta_min=lowest)
    for epoch in range(45):
        rate = schedule.learning_rate(initial, [0.5] * epoch)
        assert rate == pytest.approx(sgd.param_groups[0]["lr"], abs=1e-12)
        sgd.step()
        theirs.step()


@given(losses=losses, patience=st.integers(0, 5), factor=st.floats(0.1, 0.9), threshold=st.floats(0, 0.2))
@settings(max_examples=50, deadline=None)
def test_reduce_on_plateau_equals_torchs(losses, patience, factor, threshold):
    schedule = ReduceLROnPlateau(factor=factor, patience=patience, threshold=threshold)
    sgd = optimizer(0.3)
    # torch stops reducing at steps below eps; here nothing does.
    theirs = lr_scheduler.ReduceLROnPlateau(sgd, factor=factor, patience=patience, threshold=threshold, eps=0)
    for epoch, loss in enumerate(losses):
        rate = schedule.learning_rate(0.3, losses[:epoch])
        assert rate == pytest.approx(sgd.param_groups[0]["lr"], rel=1e-12)
        theirs.step(loss)


def test_constant_is_the_initial_learning_rate():
    assert Constant().learning_rate(0.2, [3.0, 2.0, 1.0]) == 0.2


@pytest.mark.parametrize(
    ("schedule", "field", "values"),
    [
        (CosineAnnealingWarmRestarts, "T_0", {"T_0": 0, "eta_min": 0.0}),
        (CosineAnnealingWarmRestarts, "eta_min", {"T_0": 5, "eta_min": -0.1}),
        (ReduceLROnPlateau, "factor", {"factor": 0.0, "patience": 1, "threshold": 0.0}),
        (ReduceLROnPlateau, "patience", {"factor": 0.5, "patience": -1, "threshold": 0.0}),
        (ReduceLROnPlateau, "threshold", {"factor": 0.5, "patience": 1, "threshold": -0.1}),
    ],
)
def test_a_bad_argument_names_its_field_and_value(schedule, field, values):
    with pytest.raises(
        BadInputError, match=rf"^training.schedule.{field} must be .*, got {values[field]}\.$"
    ):
        schedule(**values)
