"""Text of effects."""

from __future__ import annotations

import math

from degen.reporting.formatting import format_effect


def test_an_interval_that_rounds_to_zero_shows_its_sign():
    assert format_effect(-0.048, -0.101, -0.0021) == "-5% [-10%, -0.2%]"
    assert format_effect(-0.048, -0.101, 0.0049) == "-5% [-10%, +0.5%]"


def test_an_infinite_effect_has_no_interval():
    assert format_effect(math.inf, math.nan, math.nan) == "not finite"
