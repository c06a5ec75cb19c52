"""The stop rule (`docs/specification.md`, section 4)."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from degen.errors import BadInputError
from degen.training import SGD, Adam, History, status
from degen.training.recipe import (
    epochs_to_convergence,
    epochs_to_threshold,
    needs_confirmation,
    step_learning_rates,
)
from tests.conftest import build


def training(**changes):
    base = build("task=flip_flop").training
    defaults = {"threshold": 0.1, "patience": 3, "max_epochs": 8, "settle_epochs": 2, "steps_per_epoch": 4}
    return dataclasses.replace(base, **defaults | changes)


def trained(
    losses: list[float], confirmations: list[float] = (), error: float = 0.0, **changes
) -> tuple[History, list[str]]:
    """The history of a network with these validation losses, and its status after each epoch.

    Args:
        confirmations: what the first, second, ... confirmation would find; 0 after these.
        error: standard error of every confirmation.
    """
    recipe, history, statuses = training(**changes), History(), [status(History(), training(**changes))]
    later = list(confirmations)
    for loss in losses:
        if statuses[-1] != "running":
            break
        history.learning_rate.append(step_learning_rates(history, recipe, 0.4)[0])
        history.loss.append(loss)
        history.penalty.append(0.0)
        history.validation_loss.append(loss)
        is_due = needs_confirmation(history, recipe)
        history.confirmation_loss.append((later.pop(0) if later else 0.0) if is_due else math.nan)
        history.confirmation_error.append(error if is_due else math.nan)
        statuses.append(status(history, recipe))
    return history, statuses


def test_convergence_needs_patience_and_a_confirmation():
    history, statuses = trained([0.5, 0.09, 0.09, 0.2, 0.09, 0.08, 0.07, 0.3, 0.3])
    assert statuses == ["running"] * 9 + ["converged"]
    assert epochs_to_convergence(history, training()) == 7
    assert epochs_to_threshold(history, training()) == 2
    assert [epoch for epoch, loss in enumerate(history.confirmation_loss, 1) if loss == 0] == [7]


def test_a_failed_confirmation_restarts_the_patience():
    history, _ = trained([0.09] * 20, [0.11, 0.1, 0.05], max_epochs=20)
    confirmed = [epoch for epoch, loss in enumerate(history.confirmation_loss, 1) if not math.isnan(loss)]
    assert confirmed == [3, 6, 9]
    assert epochs_to_convergence(history, training(max_epochs=20)) == 9
    assert len(history) == 9 + 2


def test_a_confirmation_needs_a_margin_of_two_standard_errors():
    assert trained([0.09] * 5, [0.079], error=0.01)[1][-1] == "converged"
    history, statuses = trained([0.09] * 8, [0.081, 0.081], error=0.01)
    assert statuses == ["running"] * 8 + ["unconverged"]
    assert [loss for loss in history.confirmation_loss if not math.isnan(loss)] == [0.081, 0.081]


def test_a_loss_equal_to_the_threshold_is_not_below():
    assert trained([0.1] * 9)[1] == ["running"] * 8 + ["unconverged"]
    assert trained([0.09] * 9, [0.1] * 9)[1] == ["running"] * 8 + ["unconverged"]


def test_settling_epochs_are_added_to_max_epochs():
    _, statuses = trained([0.5] * 5 + [0.09] * 3 + [0.2] * 5)
    assert statuses == ["running"] * 10 + ["converged"]
    _, statuses = trained([0.5] * 6 + [0.09] * 6)
    assert statuses == ["running"] * 8 + ["unconverged"]


def test_without_settling_training_ends_at_convergence():
    assert trained([0.5, 0.09], patience=1, settle_epochs=0)[1] == ["running"] * 2 + ["converged"]


def test_status_is_determined_before_settling():
    history, statuses = trained([0.09] * 3 + [7.0, math.nan])
    assert statuses == ["running"] * 5 + ["converged"]
    assert epochs_to_convergence(history, training()) == 3


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_nonfinite_loss_before_convergence_is_divergence(bad):
    assert trained([0.5, bad])[1] == ["running", "running", "diverged"]
    assert trained([0.09, 0.09, bad])[1][-1] == "diverged"
    history, _ = trained([0.5])
    history.validation_loss[-1] = bad
    assert status(history, training()) == "diverged"


def test_the_learning_rate_falls_linearly_to_zero_in_settling():
    history, _ = trained([0.09] * 5)
    assert history.learning_rate == pytest.approx([0.4, 0.4, 0.4, 0.4, 0.2])
    history.loss.pop()
    assert step_learning_rates(history, training(), 0.4) == pytest.approx([0.2, 0.15, 0.1, 0.05])


def test_settling_starts_from_the_last_learning_rate():
    cosine = build("task=delayed_discrimination").training.schedule
    history, _ = trained([0.5] * 22 + [0.09] * 5, schedule=cosine, max_epochs=50)
    assert history.learning_rate[25] == pytest.approx(history.learning_rate[24])
    assert 0 < history.learning_rate[24] < 0.4


@given(
    st.lists(st.floats(0.0, 0.3) | st.just(math.nan), min_size=8, max_size=8),
    st.lists(st.floats(0.0, 0.2), max_size=4),
    st.integers(1, 4),
)
@settings(max_examples=200, deadline=None)
def test_training_ends_once_after_a_confirmation(losses, confirmations, patience):
    changes = {"patience": patience, "settle_epochs": 0}
    history, statuses = trained(losses, confirmations, **changes)
    assert statuses[:-1] == ["running"] * len(history)
    run = history.validation_loss
    if statuses[-1] == "converged":
        assert all(loss < 0.1 for loss in run[-patience:])
        assert history.confirmation_loss[-1] < 0.1
        assert epochs_to_convergence(history, training(**changes)) == len(history)
    elif statuses[-1] == "diverged":
        assert math.isnan(run[-1])
    else:
        assert (statuses[-1], len(history)) == ("unconverged", 8)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_epochs", 0),
        ("steps_per_epoch", 0),
        ("batch_size", 0),
        ("batch_size", 2.0),
        ("threshold", -1.0),
        ("patience", 0),
        ("settle_epochs", -1),
        ("validation_trials", 0),
        ("confirmation_trials", 1),
        ("confirmation_trials", 2.5),
        ("fresh_trials", 1),
        ("input_noise", -0.1),
    ],
)
def test_a_bad_argument_names_its_field_and_value(field, value):
    with pytest.raises(BadInputError) as caught:
        training(**{field: value})
    assert str(caught.value).startswith(f"training.{field} must be ")
    assert str(caught.value).endswith(f", got {value!r}.")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", "fast"),
        ("betas", [0.9]),
        ("betas", [0.9, 1.0]),
        ("betas", [-0.1, 0.9]),
        ("eps", 0.0),
        ("weight_decay", -0.1),
    ],
)
def test_a_bad_argument_of_adam_names_its_field(field, value):
    with pytest.raises(BadInputError, match=f"^training.optimizer.{field} must be "):
        Adam(**{"learning_rate": 0.1, "betas": [0.9, 0.999], "eps": 1e-8} | {field: value})


@pytest.mark.parametrize(("field", "value"), [("momentum", 1.0), ("momentum", -0.1), ("weight_decay", -0.1)])
def test_a_bad_argument_of_sgd_names_its_field(field, value):
    with pytest.raises(BadInputError, match=f"^training.optimizer.{field} must be "):
        SGD(**{"learning_rate": 0.1, "momentum": 0.9} | {field: value})
