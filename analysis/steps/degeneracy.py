"""Degeneracy: one number with its interval for each condition and measure (section 2.3 of the paper)."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from analysis.results import Results, fingerprint, read_table, write_csv, write_table
from analysis.steps.feature_learning import MEASURES
from analysis.steps.networks import identity
from degen.condition import Condition
from degen.files import read_tensors
from degen.reporting.formatting import format_estimate
from degen.statistics import Bootstrap, Estimate, networks_for_precision
from launch.experiment import Experiment

MEANS = {"feature learning": ("weight_change", *MEASURES), "structure": ("participation", "sparsity")}
"""Columns of the table of networks whose means are reported: what a factor is meant to move."""
STATUSES = ("converged", "unconverged", "diverged")


def degeneracy(
    experiment: Experiment, results: Results, table: pd.DataFrame, metrics: list[str], bootstrap: Bootstrap
) -> pd.DataFrame:
    """The degeneracy table, as parquet and CSV; conditions with a pair of converged networks are in it.

    Columns: task, condition, label, factor, level, measure, value, low, high (empty for two networks),
    coverage (of that interval), networks (converged, behind the value), networks_for_10_percent (for an
    interval that narrow), converged, unconverged, diverged, missing. Measures:

    - each pairwise metric: the mean over pairs of converged networks; <metric>_null, where there is one: the
      mean distance of a network from itself on other trials, which a distance must exceed to mean anything;
    - sigma_ood: population standard deviation of the OOD loss, and mean_ood, its mean;
      sigma_ood_<name> and mean_ood_<name> likewise on each further condition;
    - sigma_test: the same on fresh trials as in training; sigma_ood says something of generalization as far
      as it exceeds it;
    - `MEANS`: means over networks (`analysis.steps.networks.gather`, `analysis.steps.feature_learning`).
    """
    rows: list[dict[str, Any]] = []
    for condition in experiment.conditions:
        networks = table[table["condition"] == condition.signature]
        counts = {status: int((networks["status"] == status).sum()) for status in STATUSES}
        counts["missing"] = len(experiment.seeds) - len(networks)
        if counts["converged"] < 2:
            continue
        known = {
            "task": condition.task_name,
            "condition": condition.signature,
            "label": condition.label,
            "factor": experiment.table_value(condition),
        }
        for level, measure, estimate in _measures(condition, networks, results, metrics, bootstrap):
            measured = {"level": level, "measure": measure, **estimate._asdict()}
            measured["coverage"] = bootstrap.level
            needed = networks_for_precision(estimate, counts["converged"])
            extent = {"networks": counts["converged"], "networks_for_10_percent": needed}
            rows.append(known | measured | extent | counts)
    found = pd.DataFrame(rows)
    # By this `analysis.paper` sees that both are of one analysis.
    found.attrs["networks"] = identity(table)
    made_from = fingerprint(found.to_csv(), dataclasses.asdict(bootstrap), found.attrs["networks"])
    is_new = read_table(results.degeneracy, made_from) is None
    write_csv(results.degeneracy, found)
    if is_new:
        write_table(results.degeneracy, found, made_from)
    print(f"degeneracy: {len(found)} values, {'new' if is_new else 'unchanged'}", flush=True)
    return found


def _measures(
    condition: Condition, networks: pd.DataFrame, results: Results, metrics: list[str], bootstrap: Bootstrap
) -> list[tuple[str, str, Estimate]]:
    good = networks[networks["status"] == "converged"].sort_values("seed")
    test = good["test_loss"].to_numpy(np.float64)
    measured = [("behaviour", "sigma_test", bootstrap.deviation(test))]
    for column in [name for name in good.columns if name.startswith("ood_loss")]:
        ood, which = good[column].to_numpy(np.float64), column.removeprefix("ood_loss")
        measured.append(("behaviour", f"sigma_ood{which}", bootstrap.deviation(ood)))
        measured.append(("behaviour", f"mean_ood{which}", bootstrap.mean(ood)))
    for name in metrics:
        if not results.matrix(name, condition.signature).exists():
            continue  # the metric could not measure this condition
        arrays, metadata = read_tensors(results.matrix(name, condition.signature))
        measured.append((metadata["level"], name, bootstrap.mean_distance(arrays["distances"].numpy())))
        if "null" in arrays:
            measured.append((metadata["level"], f"{name}_null", bootstrap.mean(arrays["null"].numpy())))
    for level, columns in MEANS.items():
        measured += [(level, column, bootstrap.mean(good[column].to_numpy(np.float64))) for column in columns]
    return measured


def as_text(table: pd.DataFrame, level: float) -> str:
    """The table for a terminal: a column a condition, a row a measure with its interval."""
    cells = table.assign(
        cell=[
            format_estimate(*row)
            for row in table[["value", "low", "high", "networks"]].itertuples(index=False)
        ]
    )
    if cells.duplicated(["label", "measure"]).any():
        # Conditions that differ in what their labels do not tell.
        cells["label"] += "-" + cells["condition"]
    wide = cells.pivot(index="label", columns="measure", values="cell")
    wide = wide.loc[cells["label"].unique(), cells["measure"].unique()].fillna("not measured")
    counts = cells.drop_duplicates("label").set_index("label")[[*STATUSES, "missing"]]
    headings = dict(table.drop_duplicates("measure")[["measure", "level"]].to_numpy())
    wide.columns = pd.Index([f"{headings[measure]}: {measure}" for measure in wide.columns])
    wide.insert(0, "converged/unconverged/diverged/missing", counts.astype(str).agg("/".join, axis=1))
    transposed = wide.T.rename_axis(columns=None).to_string()
    return f"{transposed}\n(value [{level:.0%} interval, bootstrap over networks])"
