"""Degeneracy: one value with its interval per condition and measure (section 2.3 of the paper)."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.cache import cached, fingerprint, write_csv
from analysis.labels import format_factor
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.steps.feature_learning import ALIGNMENTS
from analysis.trends.factors import factor_columns, swept_columns
from degen.condition import Condition
from degen.files import read_metadata, read_tensors
from degen.reporting.formatting import format_coverage, format_estimate
from degen.statistics import MIN_NETWORKS, Bootstrap, Estimate, networks_for_precision
from degen.statistics.coverage import SIMULATED_LEVEL, Kind, true_coverage
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
    factor_name, factor_value, level, measure, variant_of (quantity of which a metric is a variant), value,
    low, high (empty for fewer than five networks), nominal_level (of the interval), true_coverage (of the
    95 % interval, in the worst simulated case; empty without an interval and at other levels), baseline_ratio
    (of a metric: distance between networks over the split-half baseline, both from half of the trials),
    networks (converged, that the value is computed from), networks_for_10_percent (needed for an interval of
    +-10 %; only for mean distances), converged, unconverged, diverged, missing, and every swept field under
    its path. Measures:

    - every metric: mean over pairs of converged networks. <metric>_null, where the metric has one: mean
      distance of a network from itself on other trials (split-half baseline);
    - sigma_ood and mean_ood: population standard deviation and mean of the OOD loss;
    - sigma_log_ood: population standard deviation of the logarithm of the OOD loss, which does not depend on
      how low the losses of a condition are at the end of training;
    - sigma_test and sigma_log_test: those of the loss on fresh trials of the training distribution. sigma_ood
      reflects generalization only as far as it exceeds sigma_test;
    - names that end in an extra OOD condition, or in settled (weights): for its losses;
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
    estimates = [
        *_behavior(converged, bootstrap),
        *_distances(condition, results, metrics, bootstrap),
        *(
            (level, column, "mean", bootstrap.mean(converged[column].to_numpy(np.float64)))
            for level, columns in MEANS.items()
            for column in columns
        ),
    ]
    matrices = {name: read_metadata(results.matrix(name, condition.signature)) for name in metrics}
    return [
        {
            "level": level,
            "measure": measure,
            "variant_of": matrices.get(measure, {}).get("variant_of"),
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "nominal_level": bootstrap.level,
            "true_coverage": _coverage(kind, estimate, n, bootstrap.level),
            "baseline_ratio": matrices.get(measure, {}).get("baseline_ratio") or np.nan,
            "networks": n,
            "networks_for_10_percent": (
                float(networks_for_precision(estimate, n)) if kind == "distance" else np.nan
            ),
        }
        for level, measure, kind, estimate in estimates
        for n in [len(matrices.get(measure.removesuffix("_null"), {}).get("seeds", converged))]
    ]


def _coverage(kind: Kind, estimate: Estimate, n_networks: int, level: float) -> float:
    """Return the true coverage of an interval, NaN if there is none or its level was not simulated."""
    has_coverage = level == SIMULATED_LEVEL and np.isfinite(estimate.low)
    return true_coverage(kind, n_networks) if has_coverage else np.nan


MeasureEstimate = tuple[str, str, Kind, Estimate]
"""Level, measure, kind of statistic, and the value with its interval."""


def _behavior(converged: pd.DataFrame, bootstrap: Bootstrap) -> list[MeasureEstimate]:
    estimates: list[MeasureEstimate] = []
    # OOD columns of other tasks are empty here.
    filled = converged.dropna(axis="columns", how="all").columns
    for column in [name for name in filled if name.startswith(("test_loss", "ood_loss"))]:
        if column == "test_loss_ratio":
            continue
        losses, name = converged[column].to_numpy(np.float64), column.replace("_loss", "", 1)
        logarithms = bootstrap.deviation(np.log(losses))
        estimates.append(("behavior", f"sigma_{name}", "deviation", bootstrap.deviation(losses)))
        estimates.append(("behavior", f"sigma_log_{name}", "deviation", logarithms))
        if column.startswith("ood_loss"):
            estimates.append(("behavior", f"mean_{name}", "mean", bootstrap.mean(losses)))
    return estimates


def _distances(
    condition: Condition, results: ResultsFolder, metrics: Sequence[str], bootstrap: Bootstrap
) -> list[MeasureEstimate]:
    estimates: list[MeasureEstimate] = []
    for name in metrics:
        if not results.matrix(name, condition.signature).exists():
            continue  # the metric could not measure this condition
        arrays, metadata = read_tensors(results.matrix(name, condition.signature))
        level = metadata["level"]
        estimates.append((level, name, "distance", bootstrap.mean_distance(arrays["distances"].numpy())))
        if "null" in arrays:
            estimates.append((level, f"{name}_null", "mean", bootstrap.mean(arrays["null"].numpy())))
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
    return f"{transposed}\n{_footer(table, level)}"


def _footer(table: pd.DataFrame, level: float) -> str:
    """Explain the intervals of a printed table, and state their coverage."""
    intervals = f"{level:.0%} interval over networks; none below {MIN_NETWORKS} networks"
    coverage = format_coverage(table["true_coverage"])
    return "\n".join([f"(value [{intervals}])", *([f"({coverage}; docs/statistics.md)"] if coverage else [])])
