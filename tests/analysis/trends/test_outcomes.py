"""Words for trends, and their order of precedence."""

from __future__ import annotations

import math

import pytest

from analysis.trends.outcomes import (
    AGREES,
    COMPARED,
    DECIDED,
    DISAGREES,
    OUTCOMES,
    Evidence,
    compare_with_paper,
    judge,
)

RISES, FALLS, NEITHER = "\u2191", "\u2193", "-"
CLEAR = {"direction": RISES, "smallest_p": 0.001, "detectable_change": 0.2}


def test_the_first_outcome_that_applies_is_the_outcome():
    faults = [
        ("smallest_p", 0.05),
        ("problem", "a degeneracy of 0"),
        ("is_at_baseline", True),
        ("opposed", "one rises, other falls"),
        ("influential_networks", 2),
    ]
    # With all faults, then without the first one, without the first two, ...
    words = [judge(Evidence(**(CLEAR | dict(faults[i:]))), 0.05).word for i in range(len(faults) + 1)]
    assert words == [*OUTCOMES[:5], "rises"]
    assert judge(None, 0.05).word == OUTCOMES[0]


@pytest.mark.parametrize(("direction", "word"), [*DECIDED.items(), (NEITHER, "no effect seen")])
def test_a_direction_becomes_a_word(direction, word):
    assert judge(Evidence(**CLEAR | {"direction": direction}), 0.05).word == word


@pytest.mark.parametrize(
    ("log_change", "text"),
    [
        (math.log(1.25), "no effect seen (a change of +25% would have been)"),
        (math.log(15), "no effect seen (a change of 15-fold would have been)"),
        (math.inf, "no effect seen"),
        (math.nan, "no effect seen"),
    ],
)
def test_no_effect_says_what_would_have_been_seen(log_change, text):
    evidence = Evidence(**CLEAR | {"direction": NEITHER, "detectable_change": log_change})
    assert str(judge(evidence, 0.05)) == text


def test_networks_that_hide_a_trend_do_not_make_it_fragile():
    evidence = Evidence(**CLEAR | {"direction": NEITHER, "influential_networks": 2})
    assert judge(evidence, 0.05).word == "no effect seen"


def test_only_directions_are_compared_with_the_paper():
    assert compare_with_paper("higher", RISES) == compare_with_paper("lower", FALLS) == AGREES
    assert compare_with_paper("rises", RISES) == compare_with_paper("falls", FALLS) == AGREES
    assert compare_with_paper("rises", FALLS) == compare_with_paper("falls", RISES) == DISAGREES
    for word in OUTCOMES:
        assert compare_with_paper(word, "") == word
        if word not in (*DECIDED.values(), *COMPARED.values()):
            assert compare_with_paper(word, RISES) == word
