"""Schedules as pure functions against torch's stateful ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, ReduceLROnPlateau

from degen.errors import BadInputError
from degen.training import Constant, CosineWarmRestarts, ReduceOnPlateau

losses = st.lists(st.floats(0.001, 2.0), max_size=60)


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)


@given(period=st.integers(1, 20), floor=st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_cosine_warm_restarts_is_torchs(period, floor):
    schedule = CosineWarmRestarts(period=period, floor=floor)
    sgd = optimizer()
    theirs = CosineAnnealingWarmRestarts(sgd, T_0=period, T_mult=1, eta_min=floor)
    for epoch in range(45):
        assert schedule.factor([0.5] * epoch) == pytest.approx(sgd.param_groups[0]["lr"], abs=1e-12)
        sgd.step()
        theirs.step()


@given(losses=losses, patience=st.integers(0, 5), decay=st.floats(0.1, 0.9), tolerance=st.floats(0, 0.2))
@settings(max_examples=50, deadline=None)
def test_reduce_on_plateau_is_torchs(losses, patience, decay, tolerance):
    schedule = ReduceOnPlateau(decay=decay, patience=patience, tolerance=tolerance)
    sgd = optimizer()
    # torch stops reducing at steps below eps; here nothing does.
    theirs = ReduceLROnPlateau(sgd, factor=decay, patience=patience, threshold=tolerance, eps=0)
    for epoch, loss in enumerate(losses):
        assert schedule.factor(losses[:epoch]) == pytest.approx(sgd.param_groups[0]["lr"], rel=1e-12)
        theirs.step(loss)


def test_constant_is_one():
    assert Constant().factor([3.0, 2.0, 1.0]) == 1


@pytest.mark.parametrize(
    ("schedule", "field", "values"),
    [
        (CosineWarmRestarts, "period", {"period": 0, "floor": 0.0}),
        (CosineWarmRestarts, "floor", {"period": 5, "floor": 1.1}),
        (ReduceOnPlateau, "decay", {"decay": 0.0, "patience": 1, "tolerance": 0.0}),
        (ReduceOnPlateau, "patience", {"decay": 0.5, "patience": -1, "tolerance": 0.0}),
        (ReduceOnPlateau, "tolerance", {"decay": 0.5, "patience": 1, "tolerance": -0.1}),
    ],
)
def test_a_bad_argument_names_its_field_and_value(schedule, field, values):
    with pytest.raises(
        BadInputError, match=rf"^training.schedule.{field} must be .*, got {values[field]}\.$"
    ):
        schedule(**values)
