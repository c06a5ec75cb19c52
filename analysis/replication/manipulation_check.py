"""Manipulation check: convergence of every condition, and the quantities that each factor should change."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.experiment_results import STATUSES_AND_MISSING, ExperimentResults

TARGET_QUANTITIES = {
    "feature_learning": ("weight_change", "kernel_alignment"),
    "network_size": ("kernel_alignment",),
    "low_rank": ("participation_ratio",),
    "sparsity": ("near_zero_fraction",),
    "task_complexity": ("weight_change", "kernel_alignment"),
}
"""For each experiment the columns of the table of networks that its factor should change."""


def manipulation_check(all_results: Mapping[str, ExperimentResults]) -> pd.DataFrame:
    """Return one row per condition of the analyzed experiments.

    Columns: experiment, task, label, factor_name, factor_value, number of networks by status,
    epochs_to_threshold (median), and the means of `TARGET_QUANTITIES` over converged networks.
    """
    tables = [_table(name, results) for name, results in all_results.items() if results.exists]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _table(name: str, results: ExperimentResults) -> pd.DataFrame:
    quantities = [column for column in TARGET_QUANTITIES.get(name, ()) if column in results.networks]
    by_condition = results.networks.groupby("condition")
    table = results.counts.assign(experiment=name)
    table["epochs_to_threshold"] = table["condition"].map(by_condition["epochs_to_threshold"].median())
    for column in quantities:
        table[column] = table["condition"].map(by_condition[column].mean())
    columns = [
        "experiment",
        "task",
        "label",
        "factor_name",
        "factor_value",
        *STATUSES_AND_MISSING,
        "epochs_to_threshold",
        *quantities,
    ]
    return table[columns]
