"""Degeneracy: one value with its interval per condition and measure (section 2.3 of the paper)."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.cache import cached, fingerprint, write_csv
from analysis.factors import factor_columns, swept_columns
from analysis.labels import format_factor
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.steps.feature_learning import ALIGNMENTS
from degen.condition import Condition
from degen.files import read_tensors
from degen.reporting.formatting import format_estimate
from degen.statistics import Bootstrap, Estimate, networks_for_precision
from launch.experiment import Experiment

MEANS = {
    "feature learning": ("weight_change", *ALIGNMENTS),
    "structure": ("participation_ratio", "near_zero_fraction"),
}
"""Columns of the table of networks whose means are reported: quantities that a factor should change."""

STATUSES = ("converged", "unconverged", "diverged")

logger = logging.getLogger(__name__)


def compute_degeneracy(
    experiment: Experiment,
    results: ResultsFolder,
    table: pd.DataFrame,
    metrics: Sequence[str],
    bootstrap: Bootstrap,
) -> pd.DataFrame:
    """Store the degeneracy table, as parquet and as CSV.

    The table contains the conditions with at least two converged networks. Columns: task, condition, label,
    factor_name, factor_value, level, measure, value, low, high (empty for two networks), nominal_level (of
    the interval), networks (converged, that the value is computed from), networks_for_10_percent (needed for
    an interval of +-10 %), converged, unconverged, diverged, missing, and every swept field under its path.
    Measures:

    - every metric: mean over pairs of converged networks. <metric>_null, where the metric has one: mean
      distance of a network from itself on other trials (split-half baseline);
    - sigma_ood and mean_ood: population standard deviation and mean of the OOD loss. sigma_ood_<name> and
      mean_ood_<name> refer to an extra OOD condition;
    - sigma_test: population standard deviation of the loss on fresh trials of the training distribution.
      sigma_ood reflects generalization only as far as it exceeds sigma_test;
    - `MEANS`: means over converged networks.

    Args:
        table: the table of `analysis.steps.feature_learning.compute_feature_learning`.
        metrics: names of the metrics.
    """
    swept = swept_columns(experiment)
    rows: list[dict[str, Any]] = []
    for condition in track("degeneracy", experiment.conditions):
        networks = table[table["condition"] == condition.signature]
        counts = {status: int((networks["status"] == status).sum()) for status in STATUSES}
        counts["missing"] = len(experiment.seeds) - len(networks)
        if counts["converged"] < 2:
            continue
        identity = {
            "task": condition.task_name,
            "condition": condition.signature,
            "label": condition.label,
            **factor_columns(experiment, condition),
        }
        measures = _measure(condition, networks, results, metrics, bootstrap)
        rows += [identity | measure | counts | swept[condition.signature] for measure in measures]
    degeneracy = pd.DataFrame(rows)
    key = fingerprint(degeneracy.to_csv(), dataclasses.asdict(bootstrap))
    is_new = cached(results.degeneracy, key, lambda: degeneracy)
    write_csv(results.degeneracy, degeneracy)
    logger.info("degeneracy: %d values, %s", len(degeneracy), "new" if is_new else "unchanged")
    return degeneracy


def _measure(
    condition: Condition,
    networks: pd.DataFrame,
    results: ResultsFolder,
    metrics: Sequence[str],
    bootstrap: Bootstrap,
) -> list[dict[str, Any]]:
    """Return level, measure, value, interval and numbers of networks of every measure."""
    converged = networks[networks["status"] == "converged"].sort_values("seed")
    n_networks = len(converged)
    estimates = [
        *_behavior(converged, bootstrap),
        *_distances(condition, results, metrics, bootstrap),
        *(
            (level, column, bootstrap.mean(converged[column].to_numpy(np.float64)))
            for level, columns in MEANS.items()
            for column in columns
        ),
    ]
    return [
        {
            "level": level,
            "measure": measure,
            "value": value,
            "low": low,
            "high": high,
            "nominal_level": bootstrap.level,
            "networks": n_networks,
            "networks_for_10_percent": networks_for_precision(Estimate(value, low, high), n_networks),
        }
        for level, measure, (value, low, high) in estimates
    ]


LevelEstimate = tuple[str, str, tuple[float, float, float]]
"""Level, measure, and a value with the bounds of its interval."""


def _behavior(converged: pd.DataFrame, bootstrap: Bootstrap) -> list[LevelEstimate]:
    test = converged["test_loss"].to_numpy(np.float64)
    estimates: list[LevelEstimate] = [("behavior", "sigma_test", bootstrap.deviation(test))]
    # The columns of other tasks are empty here.
    losses_out = converged.filter(like="ood_loss").dropna(axis="columns", how="all")
    for column in losses_out.columns:
        losses, suffix = converged[column].to_numpy(np.float64), column.removeprefix("ood_loss")
        estimates.append(("behavior", f"sigma_ood{suffix}", bootstrap.deviation(losses)))
        estimates.append(("behavior", f"mean_ood{suffix}", bootstrap.mean(losses)))
    return estimates


def _distances(
    condition: Condition, results: ResultsFolder, metrics: Sequence[str], bootstrap: Bootstrap
) -> list[LevelEstimate]:
    estimates: list[LevelEstimate] = []
    for name in metrics:
        if not results.matrix(name, condition.signature).exists():
            continue  # the metric could not measure this condition
        arrays, metadata = read_tensors(results.matrix(name, condition.signature))
        level = metadata["level"]
        estimates.append((level, name, bootstrap.mean_distance(arrays["distances"].numpy())))
        if "null" in arrays:
            estimates.append((level, f"{name}_null", bootstrap.mean(arrays["null"].numpy())))
    return estimates


def format_degeneracy(table: pd.DataFrame, level: float) -> str:
    """Format the degeneracy table for a terminal: one column per condition, one row per measure.

    Args:
        level: nominal level of the intervals.
    """
    columns = ["value", "low", "high", "networks"]
    cells = table.assign(cell=[format_estimate(*row) for row in table[columns].itertuples(index=False)])
    if cells.duplicated(["label", "measure"]).any():
        # Conditions may differ in fields that are not part of their labels.
        for path in [column for column in table.columns if "." in column]:
            cells["label"] += [f" {path.rpartition('.')[2]}={format_factor(value)}" for value in table[path]]
    wide = cells.pivot(index="label", columns="measure", values="cell")
    wide = wide.loc[cells["label"].unique(), cells["measure"].unique()].fillna("not measured")
    counts = cells.drop_duplicates("label").set_index("label")[[*STATUSES, "missing"]]
    levels = dict(table.drop_duplicates("measure")[["measure", "level"]].to_numpy())
    wide.columns = pd.Index([f"{levels[measure]}: {measure}" for measure in wide.columns])
    wide.insert(0, "converged/unconverged/diverged/missing", counts.astype(str).agg("/".join, axis=1))
    transposed = wide.T.rename_axis(columns=None).to_string()
    return f"{transposed}\n(value [{level:.0%} interval, bootstrap over networks])"
