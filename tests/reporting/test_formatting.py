"""Text of estimates and effects."""

from __future__ import annotations

import math

import numpy as np
import pytest

from degen.reporting.formatting import (
    format_change,
    format_coverage,
    format_effect,
    format_estimate,
    format_p,
)
from degen.statistics import Bootstrap


def test_an_interval_that_rounds_to_zero_shows_its_sign():
    assert format_effect(-0.048, -0.101, -0.0021) == "-5% [-10%, -0.2%]"
    assert format_effect(-0.048, -0.101, 0.0049) == "-5% [-10%, +0.5%]"


def test_an_infinite_effect_has_no_interval():
    assert format_effect(math.inf, math.nan, math.nan) == "not finite"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0, 2.0], "1.5 [no interval: 2 networks]"),
        ([1.0, 2.0, np.inf, 3.0, 4.0], "inf [no interval: not finite]"),
        ([2.0] * 5, "2 [2, 2]"),
    ],
)
def test_a_table_states_why_a_value_has_no_interval(values, text):
    with np.errstate(invalid="ignore"):
        interval = Bootstrap(n_samples=100, level=0.95, seed=0).mean(np.array(values))
    assert format_estimate(*interval, n_networks=len(values)) == text


def test_large_changes_are_multiples():
    assert format_change(9.99) == "+999%"
    assert format_change(14.0) == "15-fold"
    assert format_change(1e7) == format_change(math.inf) == "over 10,000-fold"


def test_p_has_its_error_only_where_the_outcome_may_change():
    assert format_p(0.049, error=0.0021, significance=0.05) == "0.049 \u00b1 0.002"
    assert format_p(0.052, error=0.0021, significance=0.05) == "0.052 \u00b1 0.002"
    assert format_p(0.03, error=0.0017, significance=0.05) == "0.03"


def test_the_coverage_of_intervals_is_stated_where_it_is_known():
    assert format_coverage([math.nan]) == ""
    assert format_coverage([0.9, math.nan, 0.9]).endswith("case: 90%")
