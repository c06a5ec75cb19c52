"""The stop rule (SPEC, section 4)."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from degen.errors import BadInputError
from degen.training import status
from degen.training.recipe import epochs_to_threshold
from tests.conftest import build


def training(**changes):
    base = build("task=flip_flop").training
    return dataclasses.replace(base, **{"threshold": 0.1, "extra_epochs": 3, "max_epochs": 8} | changes)


def words(losses: list[float], **changes) -> list[str]:
    """The status after no epoch, after the first, ..."""
    recipe = training(**changes)
    return [status(losses[:epoch], recipe) for epoch in range(len(losses) + 1)]


def test_three_more_epochs_are_trained_after_the_first_below_the_threshold():
    assert words([0.5, 0.09, 0.2, 0.3, 0.04]) == ["running"] * 5 + ["converged"]


def test_a_network_whose_loss_has_leapt_up_again_is_trained_until_it_is_below():
    # Seen with path integration: 0.0495 (threshold 0.05), 0.146, 0.0707, 4.06.
    assert words([0.09, 0.2, 0.2, 4.0, 0.1, 0.09]) == ["running"] * 6 + ["converged"]
    assert words([0.09] + [4.0] * 7) == ["running"] * 8 + ["unconverged"]


def test_the_threshold_itself_is_not_below_it():
    assert words([0.1] * 8) == ["running"] * 8 + ["unconverged"]


def test_extra_epochs_end_at_the_limit_of_epochs():
    assert words([0.5] * 6 + [0.09, 0.09]) == ["running"] * 8 + ["converged"]
    assert words([0.09], max_epochs=1) == ["running", "converged"]


def test_without_extra_epochs_the_first_epoch_below_is_the_last():
    assert words([0.5, 0.09], extra_epochs=0) == ["running", "running", "converged"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_divergence_even_after_the_threshold(bad):
    assert words([0.5, bad]) == ["running", "running", "diverged"]
    assert words([0.09, 0.09, bad])[-1] == "diverged"
    assert words([0.5] * 7 + [bad])[-1] == "diverged"


@given(st.lists(st.floats(0.0, 0.3) | st.just(math.nan), min_size=8, max_size=8), st.integers(0, 4))
@settings(max_examples=200, deadline=None)
def test_training_ends_once_and_never_after_the_limit(losses, extra):
    said = words(losses, extra_epochs=extra)
    end = next(epoch for epoch, word in enumerate(said) if word != "running")
    assert 1 <= end <= 8
    run = losses[:end]
    below = [epoch for epoch, loss in enumerate(run, start=1) if loss < 0.1]
    expected = "diverged" if math.isnan(run[-1]) else "converged" if run[-1] < 0.1 else "unconverged"
    assert said[end] == expected
    assert epochs_to_threshold(run, training()) == (below[0] if below else None)
    if expected == "converged":
        assert end == min(epoch for epoch in below if epoch >= min(below[0] + extra, 8))
    if expected == "unconverged":
        assert end == 8


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", "fast"),
        ("max_epochs", 0),
        ("steps_per_epoch", 0),
        ("batch", 0),
        ("batch", 2.0),
        ("threshold", -1.0),
        ("extra_epochs", -1),
        ("fresh_trials", 1),
        ("first_moment_decay", 1.0),
        ("second_moment_decay", -0.1),
    ],
)
def test_a_bad_argument_names_its_field_and_value(field, value):
    with pytest.raises(BadInputError) as caught:
        training(**{field: value})
    assert str(caught.value).startswith(f"training.{field} must be ")
    assert str(caught.value).endswith(f", got {value!r}.")
