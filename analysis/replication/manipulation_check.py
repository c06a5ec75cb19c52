"""Does every condition converge, and does each factor move what it is meant to? The grids stand on this."""

from __future__ import annotations

import pandas as pd

from analysis.experiment_results import STATUSES_AND_MISSING, ExperimentResults

MEANT_TO_MOVE = {
    "feature_learning": ("weight_change", "kernel_alignment"),
    "network_size": ("kernel_alignment",),
    "low_rank": ("participation_ratio",),
    "sparsity": ("near_zero_fraction",),
    "task_complexity": ("weight_change", "kernel_alignment"),
}
"""For each experiment the means over networks to look at."""


def pilot(data: dict[str, ExperimentResults]) -> pd.DataFrame:
    """One row a condition of the experiments that have been analysed.

    Columns: experiment, task, factor_name, factor_value, networks by status and missing,
    epochs_to_threshold (median) and the means over converged networks of what the factor is meant to move.
    """
    tables = [_of(name, one) for name, one in data.items() if one.exists]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _of(name: str, one: ExperimentResults) -> pd.DataFrame:
    columns = MEANT_TO_MOVE.get(name, ())
    good = one.networks.groupby("condition")
    table = one.counts.assign(experiment=name)
    table["epochs_to_threshold"] = table["condition"].map(good["epochs_to_threshold"].median())
    for column in columns:
        if column in one.networks:
            table[column] = table["condition"].map(good[column].mean())
    kept = [column for column in columns if column in table]
    return table[
        [
            "experiment",
            "task",
            "label",
            "factor_name",
            "factor_value",
            *STATUSES_AND_MISSING,
            "epochs_to_threshold",
            *kept,
        ]
    ]
