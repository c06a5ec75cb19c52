"""Outcomes of planted trends: each fault that an independent check found is a case here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.steps.trends import compute_trends
from analysis.trends.outcomes import (
    AT_BASELINE,
    DEPENDS,
    FRAGILE,
    NO_EFFECT,
    NOT_DEFINED,
    TOO_FEW,
    format_fragility,
)
from degen.statistics import PermutationTest
from tests.analysis.planted import BOOTSTRAP, TEST, along, flat, plant, planted_experiment, trends

N = 9


@pytest.mark.parametrize(("means", "word", "change"), [((1, 2, 4), "rises", 3), ((4, 2, 1), "falls", -0.75)])
def test_a_planted_change_has_its_direction_and_size(tmp_path, means, word, change):
    row = trends(plant(tmp_path, flat(N), {"dsa": along(N, *means)}))["DSA"]
    assert (row.outcome, row.outcome_below_threshold) == (word, word)
    assert row.effect == pytest.approx(change, rel=0.1)
    assert row.low < row.effect < row.high
    assert (row.conditions, row.networks, row.left_out, row.influential_networks) == (3, 3 * N, 0, 0)
    assert row.networks_below_threshold == 3 * N


def test_a_trend_at_the_split_half_baseline_is_not_a_finding(tmp_path):
    # Distances and baselines of path integration networks along their width. The interval excludes zero.
    means, baselines = (0.062, 0.050, 0.045), (0.051, 0.046, 0.044)
    matrices = [
        along(16, mean, baseline=baseline)[0] for mean, baseline in zip(means, baselines, strict=True)
    ]
    row = trends(plant(tmp_path, flat(16), {"dsa": matrices}))["DSA"]
    assert row.high < 0
    assert row.p < 0.05
    assert row.outcome == AT_BASELINE
    assert row.conditions_at_baseline == 3
    assert row.baseline_ratio == pytest.approx(0.045 / 0.044, rel=0.1)


def test_one_condition_above_its_baseline_makes_a_trend_readable(tmp_path):
    matrices = [
        along(N, mean, baseline=baseline)[0] for mean, baseline in ((0.5, 0.1), (0.2, 0.19), (0.1, 0.1))
    ]
    row = trends(plant(tmp_path, flat(N), {"dsa": matrices}))["DSA"]
    assert (row.outcome, row.conditions_at_baseline) == ("falls", 2)


def test_distances_without_a_baseline_have_no_ratio(tmp_path):
    row = trends(plant(tmp_path, flat(N), {"pif": along(N, 3, 2, 1)}))["PIF"]
    assert np.isnan(row.baseline_ratio)
    assert row.conditions_at_baseline == 0


def test_settings_of_dsa_that_disagree_are_named(tmp_path):
    matrices = {
        "dsa": along(N, 3, 2, 1),
        "dsa_lag_1": along(N, 1, 2, 3),
        "dsa_rank_10": along(N, 2, 2, 2),
        "geometry": along(N, 1, 2, 3),
        "pif": along(N, 3, 2, 1),
    }
    rows = trends(plant(tmp_path, flat(N), matrices, variants=["dsa_lag_1", "dsa_rank_10"]))
    for name in ("DSA", "dsa_lag_1", "dsa_rank_10"):
        assert (rows[name].outcome, rows[name].outcome_detail) == (DEPENDS, "dsa_lag_1 rises, DSA falls")
    assert rows["geometry"].outcome == "rises"
    assert rows["PIF"].outcome == "falls"


def test_metrics_that_are_not_settings_of_dsa_do_not_vote(tmp_path):
    matrices = {"dsa": along(N, 3, 2, 1), "geometry": along(N, 1, 2, 3)}
    rows = trends(plant(tmp_path, flat(N), matrices))
    assert (rows["DSA"].outcome, rows["geometry"].outcome) == ("falls", "rises")


def test_a_setting_at_its_baseline_does_not_vote(tmp_path):
    matrices = {"dsa": along(N, 3, 2, 1), "dsa_lag_1": along(N, 1, 2, 3, baseline=3)}
    rows = trends(plant(tmp_path, flat(N), matrices, variants=["dsa_lag_1"]))
    assert (rows["DSA"].outcome, rows["dsa_lag_1"].outcome) == ("falls", AT_BASELINE)


def test_an_effect_of_one_network_is_fragile(tmp_path):
    generator = np.random.default_rng(37)
    losses = [20 + scale * generator.standard_normal(n) for scale, n in ((1, 8), (0.9, 11), (0.7, 14))]
    losses[0][4] = 24.0
    row = trends(plant(tmp_path, losses))["sigma OOD"]
    assert row.direction != "-"
    assert row.outcome == FRAGILE
    assert row.outcome_detail == format_fragility(row.influential_networks)
    name = planted_experiment().conditions[0].name
    start = f"without delayed_discrimination {name} seed 4: {NO_EFFECT}, "
    assert row.most_influential.startswith(start)


def test_two_conditions_of_five_seeds_are_too_few_networks(tmp_path):
    row = trends(plant(tmp_path, flat(5, conditions=2), {"dsa": along(5, 1, 100)}))["DSA"]
    assert row.low > 0
    assert row.smallest_p > 0.05
    assert row.outcome == TOO_FEW
    # Six seeds suffice.
    row = trends(plant(tmp_path, flat(7, conditions=2), {"dsa": along(7, 1, 100)}))["DSA"]
    assert (row.outcome, row.p < 0.05) == ("rises", True)


def test_conditions_without_a_shared_seed_are_tested(tmp_path):
    results = plant(tmp_path, flat(N), {"dsa": along(N, 1, 10, 100)}, shares_seeds=False)
    row = trends(results)["DSA"]
    assert (row.outcome, row.p < 0.05) == ("rises", True)


def test_a_row_without_two_conditions_of_enough_networks_says_so(tmp_path):
    losses = [flat(N)[0], flat(2)[1], flat(1)[2]]
    row = trends(plant(tmp_path, losses))["sigma OOD"]
    assert (row.outcome, row.conditions, row.networks, row.left_out) == (TOO_FEW, 0, 0, N + 3)
    assert np.isnan([row.effect, row.low, row.high, row.p, row.q]).all()


def test_a_condition_of_four_networks_is_left_out(tmp_path):
    losses = [flat(N)[0], flat(N)[1], flat(4)[2]]
    distances = [*along(N, 1, 2), *along(4, 4)]
    rows = trends(plant(tmp_path, losses, {"dsa": distances}))
    for name in ("DSA", "sigma OOD"):
        assert (rows[name].conditions, rows[name].networks, rows[name].left_out) == (2, 2 * N, 4)


def test_a_standard_deviation_of_zero_is_not_no_effect(tmp_path):
    losses = flat(N)
    losses[1][:] = 3.0
    row = trends(plant(tmp_path, losses))["sigma OOD"]
    assert row.outcome == NOT_DEFINED


def test_no_effect_states_the_change_that_would_have_been_seen(tmp_path):
    row = trends(plant(tmp_path, flat(N), {"pif": along(N, 2, 2, 2, spread=0.2)}))["PIF"]
    assert row.outcome == NO_EFFECT
    assert row.low < 0 < row.high
    assert row.outcome_detail == f"a change of {row.detectable_change:+.0%} would have been"


def test_a_row_says_what_networks_below_the_threshold_show(tmp_path):
    # The networks of the last condition that are not below the threshold make the trend.
    generator = np.random.default_rng(0)
    networks = np.concatenate([generator.normal(1, 0.05, N), generator.normal(3, 0.05, N)])
    matrix = (networks[:, None] + networks[None, :]) / 2
    np.fill_diagonal(matrix, 0.0)
    low = along(2 * N, 1, 1)
    ratios = [np.full(2 * N, 0.5), np.full(2 * N, 0.5), np.repeat([0.5, 1.2], N)]
    row = trends(plant(tmp_path, flat(2 * N), {"pif": [*low, (matrix, None)]}, ratios=ratios))["PIF"]
    assert (row.outcome, row.networks) == ("rises", 6 * N)
    assert (row.outcome_below_threshold, row.networks_below_threshold) == (NO_EFFECT, 5 * N)


def test_q_is_of_the_papers_measures_only(tmp_path):
    matrices = {
        "dsa": along(N, 3, 2, 1),
        "dsa_weighted": along(N, 3, 2, 1),
        "pif": along(N, 2, 2, 2),
        "pif_unaligned": along(N, 3, 2, 1),
    }
    rows = trends(plant(tmp_path, flat(N), matrices))
    family = [rows[name] for name in ("DSA", "PIF", "sigma OOD")]
    # Benjamini & Hochberg: p times the number of tests over the rank, made monotone from the largest p.
    expected, smallest = {}, 1.0
    for rank, row in reversed(list(enumerate(sorted(family, key=lambda row: row.p), start=1))):
        smallest = min(smallest, row.p * 3 / rank)
        expected[row.measure] = smallest
    assert {row.measure: row.q for row in family} == pytest.approx(expected)
    assert [name for name, row in rows.items() if np.isfinite(row.q)] == ["DSA", "PIF", "sigma OOD"]
    assert [name for name, row in rows.items() if row.is_main_measure] == [
        "DSA",
        "dsa_weighted",
        "PIF",
        "sigma OOD",
        "sigma log OOD",
    ]
    assert rows["dsa_weighted"].heading == "dynamics (dsa_weighted)"


def test_a_condition_without_a_matrix_is_left_out(tmp_path):
    matrices = {"dsa": [*along(N, 3, 2), None], "pif": along(N, 3, 2, 1)}
    rows = trends(plant(tmp_path, flat(N), matrices))
    assert (rows["DSA"].conditions, rows["DSA"].left_out) == (2, N)
    assert (rows["PIF"].conditions, rows["PIF"].left_out) == (3, 0)


def test_a_measure_of_no_condition_has_no_row(tmp_path):
    results = plant(tmp_path, flat(N), {"dsa": along(N, 3, 2, 1)})
    table = pd.read_parquet(results.degeneracy)
    # The loss on further trials exists for the first two conditions only.
    further = table[table["measure"] == "sigma_ood"].assign(measure="sigma_ood_outside")
    pd.concat([table, further[:2]]).to_parquet(results.degeneracy)
    networks = pd.read_parquet(results.networks)
    networks["ood_loss_outside"] = networks["ood_loss"]
    networks.to_parquet(results.networks)
    assert trends(results)["sigma_ood_outside"].conditions == 2
    pd.concat([table, further[:2].assign(condition="another")]).to_parquet(results.degeneracy)
    assert "sigma_ood_outside" not in trends(results)


def test_the_table_is_computed_again_only_if_its_inputs_change(tmp_path, caplog):
    caplog.set_level("INFO")

    def compute(test: PermutationTest = TEST) -> str:
        caplog.clear()
        compute_trends(planted_experiment(), results, BOOTSTRAP, test, 0.5)
        return caplog.messages[-1]

    results = plant(tmp_path, flat(N), {"dsa": along(N, 3, 2, 1)})
    assert compute().endswith("rows, new")
    before = pd.read_csv(results.trends.with_suffix(".csv"))
    assert compute().endswith("rows, unchanged")
    assert compute(PermutationTest(n_permutations=99, significance=0.05)).endswith("rows, new")
    plant(tmp_path, flat(N), {"dsa": along(N, 1, 2, 3)})
    assert compute().endswith("rows, new")
    after = pd.read_csv(results.trends.with_suffix(".csv"))
    assert before.columns.tolist() == after.columns.tolist()
    assert before.set_index("measure")["outcome"]["DSA"] == "falls"
    assert after.set_index("measure")["outcome"]["DSA"] == "rises"
