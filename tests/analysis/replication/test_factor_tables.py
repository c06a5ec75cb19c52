"""Tables of the pages of full-size results, from planted networks and trends."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.replication.factor_tables import main_table, networks_table, settings_table

NAN = np.nan
COLUMNS = ["task", "level", "measure", "variant_of", "effect", "low", "high", "p", "q", "detectable_change"]
COLUMNS += ["outcome", "outcome_detail"]
DEPENDS, OPPOSED = "depends on the embedding", "input_dsa rises, dsa_lag_1 falls"
TRENDS = pd.DataFrame(
    [
        ("pooled", "dynamics", "DSA", NAN, 0.1, 0.04, 0.2, 0.012, 0.03, 0.3, "rises", NAN),
        ("pooled", "dynamics", "dsa_lag_1", "DSA", -0.4, -0.5, -0.3, 0.001, NAN, 0.2, "falls", NAN),
        ("sine_wave", "weights", "PIF", NAN, -0.07, -0.2, 0.1, 0.5, NAN, 0.25, "no effect seen", "a limit"),
        ("flip_flop", "weights", "PIF", NAN, -0.07, -0.09, -0.05, 0.001, NAN, 0.25, "falls", NAN),
        ("pooled", "weights", "svcca", NAN, 1, 1, 1, 1, 1, 1, "rises", NAN),
        ("pooled", "dynamics", "dsa_weighted", "DSA", 0.2, -0.1, 0.4, 0.2, NAN, 0.5, DEPENDS, OPPOSED),
    ],
    columns=COLUMNS,
)


def rows(table: str) -> list[str]:
    return table.splitlines()[2:]


def test_main_measures_are_compared_with_the_paper():
    assert rows(main_table("low_rank", TRENDS)) == [
        "| N-bit flip-flop | weights | PIF | -7% [-9%, -5%] | 0.001 |  | **agrees** | \u2193 |",
        "| sine wave | weights | PIF | -7% [-20%, +10%] | 0.5 |  | no effect seen (a limit) | \u2193 |",
        "| all tasks | dynamics | DSA | +10% [+4%, +20%] | 0.012 | 0.03 | **disagrees** | \u2193 |",
        "| all tasks | dynamics | DSA, weighted by variance | +20% [-10%, +40%] | 0.2 |  | "
        "depends on the embedding (*DSA, with inputs* rises, *DSA, lag 1* falls) | \u2193 |",
    ]


def test_settings_of_dsa_are_sorted_by_their_effect():
    assert rows(settings_table(TRENDS)) == [
        "| DSA, lag 1 | -40% [-50%, -30%] | 0.001 | falls | +20% |",
        "| **DSA** | +10% [+4%, +20%] | 0.012 | rises | +30% |",
        "| **DSA, weighted by variance** | +20% [-10%, +40%] | 0.2 |  | +50% |",
    ]


def test_networks_are_counted_per_condition():
    networks = pd.DataFrame(
        {
            "task": "flip_flop",
            "factor_value": [1e-4, 1e-4, 1e-4, NAN],
            "status": ["converged", "converged", "unconverged", "converged"],
            "epochs": [10, 14, 300, 7],
            "threshold": 2.0,
            "test_loss": [1.0, 2.0, 90.0, 1.0],
        }
    )
    assert rows(networks_table(networks)) == [
        "| N-bit flip-flop | 1e-4 | 2 of 3 | 12 (14) | 0.75 (1.00) |",
        "| N-bit flip-flop | nan | 1 of 1 | 7 (7) | 0.50 (0.50) |",
    ]
