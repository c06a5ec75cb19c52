"""The summary says what changes along the factor, what does not, and what cannot be told."""

from __future__ import annotations

import dataclasses
import math

import pytest

from analysis.reporting.summary import CHANGES, UNCHANGED, UNKNOWN, describe, format_summary, summarize
from analysis.trends.outcomes import AT_BASELINE, FRAGILE, NO_EFFECT, NOT_DEFINED, OUTCOMES, SEEN, TOO_FEW
from tests.analysis.conftest import summary_word, table
from tests.analysis.planted import along, flat, plant, planted_experiment, trends

N = 8


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    matrices = {
        "dsa": along(N, 2, 2, 2, baseline=2),
        "pif": along(N, 1, 2, 4),
        "pif_unaligned": along(N, 3, 2, 1),
    }
    return trends(plant(tmp_path_factory.mktemp("planted"), flat(N), matrices))


def test_main_measures_are_grouped_by_what_can_be_said(rows):
    groups = {name: [row.measure for row in group] for name, group in summarize(list(rows.values())).items()}
    # A doubled standard deviation of the losses of 8 networks would not have been seen.
    assert groups == {CHANGES: ["PIF"], UNCHANGED: [], UNKNOWN: ["DSA", "sigma OOD", "sigma log OOD"]}


@pytest.mark.parametrize(("change", "group"), [(1.0, UNCHANGED), (1.01, UNKNOWN), (math.nan, UNKNOWN)])
def test_no_effect_needs_a_design_that_sees_a_doubling(rows, change, group):
    row = dataclasses.replace(rows["PIF"], outcome=NO_EFFECT, detectable_change=change)
    assert summarize([row])[group] == [row]


@pytest.mark.parametrize("word", OUTCOMES)
def test_every_outcome_has_a_group(rows, word):
    row = dataclasses.replace(rows["PIF"], outcome=word, detectable_change=0.2)
    (group,) = (name for name, members in summarize([row]).items() if members)
    assert group == (CHANGES if word in SEEN else UNCHANGED if word == NO_EFFECT else UNKNOWN)


def test_the_summary_is_readable(rows):
    text = format_summary(planted_experiment(), list(rows.values()))
    assert text.startswith("How does degeneracy change along longest delay")
    assert "changes:\n  delayed discrimination, weights (PIF): rises; +" in text
    assert "cannot be told:\n  delayed discrimination, dynamics (DSA): at the split-half baseline; " in text
    assert "pif_unaligned" not in text


def test_a_line_names_everything_that_limits_an_outcome(rows):
    row = dataclasses.replace(
        rows["PIF"],
        outcome=NO_EFFECT,
        conditions_at_baseline=1,
        influential_networks=2,
        most_influential="without network 4: rises",
        outcome_below_threshold=TOO_FEW,
        networks_below_threshold=7,
    )
    line = describe(row)
    assert "1 of 3 conditions at their split-half baseline" in line
    assert "another outcome without any one of 2 networks" in line
    assert "with the 7 networks below the threshold on fresh trials: too few networks" in line
    assert "another outcome" not in describe(dataclasses.replace(row, outcome=FRAGILE))
    # Rows without numbers have none.
    empty = dataclasses.replace(
        rows["PIF"], low=float("nan"), outcome=NOT_DEFINED, outcome_below_threshold=NOT_DEFINED
    )
    assert describe(empty) == "delayed discrimination, weights (PIF): not defined"
    assert AT_BASELINE in describe(rows["DSA"])


def test_p_near_the_significance_has_its_monte_carlo_error(rows):
    row = dataclasses.replace(rows["PIF"], p=0.049, p_error=0.0021, q=float("nan"))
    assert describe(row).endswith("p 0.049 \u00b1 0.002")
    assert describe(dataclasses.replace(row, p=0.02)).endswith("p 0.02")


def test_an_analysis_prints_its_summary(analyzed):
    printed = (analyzed / "printed").read_text()
    assert "How does degeneracy change along bits (1, 2)?\n" in printed
    rows = table(analyzed, "trends")
    for row in rows[rows["is_headline"]].to_dict("records"):
        assert f"  N-bit flip-flop, {row['level']} ({row['measure']}): {summary_word(row)}" in printed
