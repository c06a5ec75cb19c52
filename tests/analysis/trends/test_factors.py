"""Planted effects of named levels and of crossed factors, from the table of trends to the summary."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from analysis.reporting.report import _by_task
from analysis.reporting.summary import IN_WORDS, LEFT_OUT, format_summary, question, summary_lines
from analysis.results import ResultsFolder
from analysis.steps.trends import compute_trends
from analysis.trends.design import find_design
from analysis.trends.outcomes import AT_BASELINE, NO_EFFECT, NOT_DEFINED, TOO_FEW
from analysis.trends.rows import TrendRow, correct_pairs
from launch.experiment import Experiment
from tests.analysis.planted import BOOTSTRAP, TEST, along, flat, plant, sweep

N = 9
CELLS = ("task=flip_flop", "parameterization=standard,relu,softplus")
NUMBERS = ("gamma=1,2,4", "task.channels=1,2")
MIXED = ("gamma=1,2,4", "parameterization=standard,relu")
NAMES = ("parameterization=standard,relu,softplus", "task.n_steps=20,30")


def rows_of(
    folder: Path, experiment: Experiment, means: list[float], spread: float = 0.05, **options: object
) -> dict[tuple[str, str], TrendRow]:
    """Return the rows of PIF, by term and levels, for distances with these means."""
    n = len(experiment.conditions)
    results = plant(
        folder,
        flat(N, conditions=n),
        {"pif": along(N, *means, spread=spread)},
        planted=experiment,
        **options,  # type: ignore[arg-type]
    )
    rows = compute_trends(experiment, results, BOOTSTRAP, TEST, 0.5)
    return {(row.term, row.levels): row for row in rows if row.measure == "PIF"}


def outcomes(rows: dict[tuple[str, str], TrendRow]) -> dict[tuple[str, str], str]:
    return {key: row.outcome_text for key, row in rows.items()}


def test_named_levels_have_one_test_of_all_and_one_of_each_pair(tmp_path):
    rows = rows_of(tmp_path, sweep(*CELLS), [1, 1, 3])
    label = "parameterization"
    texts = outcomes(rows)
    # The two levels of equal distances are last or first, whatever the noise.
    assert texts.pop((label, "")).startswith("differs (highest in Softplus, lowest in ")
    assert texts.pop((label, "ReLU vs. Standard")).startswith(NO_EFFECT)
    assert texts == {
        (label, "Softplus vs. Standard"): "higher in Softplus than in Standard",
        (label, "Softplus vs. ReLU"): "higher in Softplus than in ReLU",
    }
    every, pair = rows[label, ""], rows[label, "Softplus vs. ReLU"]
    assert (every.kind, every.conditions, every.networks) == ("levels", 3, 3 * N)
    assert np.isnan([every.effect, every.low, every.high]).all()
    assert every.detectable_change < 1
    assert (pair.kind, pair.conditions, pair.networks, pair.left_out) == ("pair", 2, 2 * N, 0)
    assert pair.effect == pytest.approx(2, rel=0.1)
    assert pair.low < 2 < pair.high


def test_pairs_are_a_family_of_their_own(tmp_path):
    experiment = sweep(*CELLS)
    rows_of(tmp_path, experiment, [1, 1, 3])
    rows = compute_trends(experiment, ResultsFolder(tmp_path), BOOTSTRAP, TEST, 0.5)
    pairs = [row for row in rows if row.kind == "pair"]
    for measure in ("PIF", "sigma OOD", "mean OOD"):
        family = sorted((row for row in pairs if row.measure == measure), key=lambda row: row.p)
        p = [row.p for row in family]
        # Benjamini & Hochberg for three tests.
        expected = [min(3 * p[0], 1.5 * p[1], p[2]), min(1.5 * p[1], p[2]), p[2]]
        assert [row.q for row in family] == pytest.approx(expected)
    assert [row.measure for row in rows if row.is_in_family] == ["PIF", "sigma OOD"]


def test_a_pair_needs_a_q_below_the_significance_level(tmp_path):
    row = rows_of(tmp_path, sweep(*CELLS), [1, 1, 3])["parameterization", "Softplus vs. ReLU"]
    unlikely, likely = (
        dataclasses.replace(row, levels=name, p=p) for name, p in (("a vs. b", 0.04), ("b vs. c", 0.9))
    )
    corrected = correct_pairs([unlikely, likely])
    assert corrected[0].q == pytest.approx(0.08)
    assert (corrected[0].outcome, corrected[0].direction) == (NO_EFFECT, "-")
    assert corrected[0].outcome_text == "no effect seen (q of all pairs is not below 0.05)"
    assert correct_pairs([unlikely])[0].outcome == "higher"


def test_the_order_of_levels_does_not_change_a_test_of_all(tmp_path):
    forward = rows_of(tmp_path / "a", sweep(*CELLS), [1, 1.1, 1.2], spread=0.3)
    backward = rows_of(
        tmp_path / "b", sweep("task=flip_flop", "parameterization=softplus,relu,standard"), [1, 1.1, 1.2], 0.3
    )
    parameter_first, regularizer_first = forward["parameterization", ""], backward["parameterization", ""]
    assert parameter_first.p == pytest.approx(
        regularizer_first.p, abs=4 * (parameter_first.p_error + regularizer_first.p_error)
    )


def test_two_levels_have_one_row(tmp_path):
    experiment = sweep("task=delayed_discrimination", "task.auxiliary_loss=false,true")
    rows = rows_of(tmp_path, experiment, [2, 1])
    assert outcomes(rows) == {
        ("auxiliary loss", "with vs. without"): "lower with auxiliary loss than without"
    }
    (row,) = rows.values()
    assert row.effect == pytest.approx(-0.5, abs=0.05)
    assert row.direction == "\u2193"


def test_two_crossed_numbers_have_two_trends_and_an_interaction(tmp_path):
    # Falls with gamma by the same factor at both numbers of channels, and rises with channels.
    rows = rows_of(tmp_path, sweep(*NUMBERS), [4, 8, 2, 4, 1, 2])
    assert {key: row.outcome for key, row in rows.items()} == {
        ("gamma", ""): "falls",
        ("channels", ""): "rises",
        ("gamma x channels", ""): NO_EFFECT,
    }
    assert rows["gamma", ""].effect == pytest.approx(-0.75, abs=0.05)
    assert rows["channels", ""].effect == pytest.approx(1, rel=0.1)
    assert rows["gamma x channels", ""].low < 0 < rows["gamma x channels", ""].high
    lines = summary_lines(sweep(*NUMBERS), list(rows.values()))
    assert lines[IN_WORDS] == [
        "N-bit flip-flop, weights (PIF): falls with gamma; rises with channels; "
        "no dependence of the fall on channels seen"
    ]


def test_a_fall_at_one_level_only_is_an_interaction(tmp_path):
    rows = rows_of(tmp_path, sweep(*NUMBERS), [4, 1, 2, 1, 1, 1])
    row = rows["gamma x channels", ""]
    assert row.outcome == "interaction"
    assert row.effect == pytest.approx(3, rel=0.1)  # from a quarter to one
    assert row.outcome_detail.startswith("along gamma: -7")
    assert " at channels 1, " in row.outcome_detail
    (sentence,) = summary_lines(sweep(*NUMBERS), list(rows.values()))[IN_WORDS]
    assert "; the fall depends on channels (along gamma: " in sentence


def test_a_number_is_crossed_with_names(tmp_path):
    rows = rows_of(tmp_path, sweep(*MIXED), [1, 2, 1, 2, 1, 2])
    assert outcomes(rows)["parameterization", "ReLU vs. Standard"] == "higher in ReLU than in Standard"
    assert rows["parameterization", "ReLU vs. Standard"].kind == "levels"
    assert rows["gamma", ""].outcome == NO_EFFECT
    assert rows["gamma x parameterization", ""].outcome == NO_EFFECT


def test_names_are_crossed_with_numbers(tmp_path):
    rows = rows_of(tmp_path, sweep(*NAMES), [1, 1, 1, 1, 1, 6])
    assert list(rows) == [
        ("parameterization", ""),
        ("parameterization", "ReLU vs. Standard"),
        ("parameterization", "Softplus vs. Standard"),
        ("parameterization", "Softplus vs. ReLU"),
        ("n steps", ""),
        ("parameterization x n steps", ""),
    ]
    assert rows["parameterization x n steps", ""].outcome == "interaction"
    assert np.isnan(rows["parameterization x n steps", ""].effect)  # two effects
    pair = rows["parameterization", "Softplus vs. ReLU"]
    assert (pair.conditions, pair.outcome) == (4, "higher")
    assert pair.effect == pytest.approx(np.sqrt(6) - 1, rel=0.15)


def test_a_missing_combination_leaves_out_its_level(tmp_path):
    means = [4.0, 8.0, 2.0, 4.0, 1.0, 2.0]
    results = plant(
        tmp_path,
        [*flat(N, conditions=5), flat(4)[0]],
        {"pif": [*along(N, *means[:5]), *along(4, 2)]},
        planted=sweep(*NUMBERS),
    )
    rows = compute_trends(sweep(*NUMBERS), results, BOOTSTRAP, TEST, 0.5)
    row = next(row for row in rows if (row.measure, row.term) == ("PIF", "gamma"))
    assert (row.outcome, row.conditions, row.networks) == ("falls", 4, 4 * N)
    assert row.effect == pytest.approx(-0.5, abs=0.05)
    text = "gamma 4, channels 1 (9 of 9 converged), gamma 4, channels 2 (4 of 4 converged)"
    assert row.left_out_conditions == text
    assert summary_lines(sweep(*NUMBERS), rows)[LEFT_OUT] == [f"N-bit flip-flop: {text}"]


def test_three_crossed_factors_are_not_tested(tmp_path):
    experiment = sweep("gamma=1,2", "task.channels=1,2", "width=8,16")
    rows = rows_of(tmp_path, experiment, [1] * 8)
    (row,) = rows.values()
    assert (row.outcome, row.networks) == (NOT_DEFINED, 0)
    text = "conditions differ in more than two crossed factors, vary two of gamma, width, channels"
    assert row.outcome_detail == text


def test_tasks_are_compared_where_units_allow_it(tmp_path):
    experiment = sweep("task=flip_flop,sine_wave")
    n = len(experiment.conditions)
    results = plant(tmp_path, flat(N, conditions=n), {"pif": along(N, 1, 3)}, planted=experiment)
    rows = {row.measure: row for row in compute_trends(experiment, results, BOOTSTRAP, TEST, 0.5)}
    assert rows["PIF"].outcome_text == "higher in sine wave than in N-bit flip-flop"
    assert rows["PIF"].is_headline
    assert rows["sigma OOD"].outcome == NOT_DEFINED
    assert rows["sigma OOD"].outcome_detail == "losses of different tasks have different scales"
    assert rows["sigma log OOD"].outcome not in (NOT_DEFINED, TOO_FEW, AT_BASELINE)


def test_conditions_with_few_converged_networks_are_left_out(tmp_path):
    experiment = sweep("task=flip_flop", "gamma=1,2,4")
    # Half of the networks suffice: 9 of 18. Fewer do not: 9 of 19.
    (row,) = rows_of(tmp_path, experiment, [1, 1, 8], unconverged=[0, 9, 10]).values()
    assert (row.conditions, row.networks, row.left_out) == (2, 2 * N, 9 + 19)
    assert row.left_out_conditions == "gamma 4 (9 of 19 converged)"
    assert row.outcome == NO_EFFECT
    assert summary_lines(experiment, [row])[LEFT_OUT] == ["N-bit flip-flop: gamma 4 (9 of 19 converged)"]
    all_rows = compute_trends(experiment, ResultsFolder(tmp_path), BOOTSTRAP, TEST, 0.0)
    everything = next(row for row in all_rows if row.measure == "PIF")
    assert (everything.conditions, everything.outcome, everything.left_out_conditions) == (3, "rises", "")


def test_question_and_table_name_every_factor_and_term(tmp_path):
    rows = list(rows_of(tmp_path, sweep(*NUMBERS), [4, 8, 2, 4, 1, 2]).values())
    assert (
        question(sweep(*NUMBERS)) == "How does degeneracy change along gamma (1, 2, 4) and channels (1, 2)?"
    )
    assert list(_by_task(rows)) == [
        "N-bit flip-flop: gamma",
        "N-bit flip-flop: channels",
        "N-bit flip-flop: gamma x channels",
    ]
    assert "N-bit flip-flop, weights (PIF), channels: rises; " in format_summary(sweep(*NUMBERS), rows)


@pytest.mark.parametrize(
    ("overrides", "labels"),
    [
        (("gamma=1,2",), ["gamma"]),
        (("parameterization=standard,mup", "width=8,16"), ["parameterization", "width"]),
        (("gamma=1,2", "regularizer=none,l1"), ["gamma", "regularizer"]),  # not its strength
        (("gamma=1,2", "task=flip_flop,sine_wave"), ["gamma"]),
    ],
)
def test_factors_are_those_of_the_conditions(overrides, labels):
    assert [factor.label for factor in find_design(sweep(*overrides)).factors] == labels
