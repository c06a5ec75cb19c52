"""Tables of a report: outcomes, networks of each condition, required networks and hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.experiment_results import STATUSES_AND_MISSING, ExperimentResults
from analysis.labels import format_factor
from analysis.trends.rows import TrendRow, trend_table
from degen.reporting.formatting import format_estimate

BETWEEN_LEVELS = (
    "Mean distances between networks of two levels and different seeds, and their ratio to the mean of "
    "the distances within the two levels. p is of the test that the labels of the levels are exchangeable "
    "(energy statistic, networks of equal seed exchanged). A small p with a ratio above 1 says that the "
    "levels differ by more than their seeds do. With a ratio near 1, one level scatters more than the "
    "other. q is over all pairs of levels of a task and measure. Both levels have the hyperparameters "
    "that were selected for all networks of the task."
)
"""How to read the table of distances between levels."""


def outcomes_table(rows: Sequence[TrendRow]) -> pd.DataFrame:
    """Return all columns of trends, with numbers as text."""
    if not rows:
        return pd.DataFrame()
    table = trend_table(rows)
    percent = {
        name: table[name].map("{:+.0%}".format) for name in ("effect", "low", "high", "detectable_change")
    }
    numbers = {name: table[name].map("{:.2g}".format) for name in ("p", "p_error", "q", "smallest_p")}
    influential = table["influential_networks"].astype(object)
    table = table.assign(
        **percent, **numbers, influential_networks=influential.where(influential.notna(), "")
    )
    return table.round({"baseline_ratio": 2, "spearman": 2}).replace({"nan": "-", "+nan%": "-"})


def network_counts(all_results: Mapping[str, ExperimentResults]) -> dict[str, Any]:
    """Return the numbers of networks by status: a text, a table by experiment, and one by condition."""
    statuses = list(STATUSES_AND_MISSING)
    tables = [_convergence(results).assign(experiment=name) for name, results in all_results.items()]
    table = pd.concat(tables, ignore_index=True)
    # A condition of two experiments may be missing in the tables of one of them.
    unique = table.sort_values("missing").drop_duplicates("condition")[statuses].sum()
    factor = table["factor_value"].map(format_factor)  # numbers in some experiments and text in others
    return {
        "network_counts": ", ".join(f"{unique[status]} {status}" for status in statuses),
        "counts_by_experiment": table.groupby("experiment", sort=False)[statuses].sum().reset_index(),
        "counts_by_condition": table.assign(factor_value=factor).drop(columns="condition"),
    }


def _convergence(results: ExperimentResults) -> pd.DataFrame:
    """Count the networks of each condition by status, and summarize their losses on fresh trials."""
    columns = ["condition", "task", "label", "factor_name", "factor_value", *STATUSES_AND_MISSING]
    table = results.counts[columns]
    if not results.exists:
        return table
    by_condition = results.networks.groupby("condition")
    ratio = by_condition["test_loss_ratio"]
    added = {
        "epochs to convergence (median)": by_condition["epochs_to_convergence"].median(),
        "fresh loss / threshold (median)": ratio.median().round(2),
        "fresh loss / threshold (largest)": ratio.max().round(2),
        "not below the threshold": ratio.agg(lambda ratios: int((ratios >= 1).sum())),
    }
    return table.assign(**{name: table["condition"].map(values) for name, values in added.items()})


def required_networks(all_results: Mapping[str, ExperimentResults]) -> pd.DataFrame | None:
    """Return the networks per condition for intervals of plus or minus 10 %, by measure."""
    tables = [results.degeneracy for results in all_results.values() if results.exists]
    if not tables:
        return None
    table = pd.concat(tables).drop_duplicates(["condition", "measure"])
    by_measure = table.groupby(["level", "measure"])["networks_for_10_percent"]
    required = by_measure.quantile(pd.Index([0.5, 0.9])).unstack().dropna(how="all")  # distances only
    required.columns = pd.Index(["median condition", "nine conditions in ten"])
    return required.round().reset_index()


def hyperparameters_table(all_results: Mapping[str, ExperimentResults]) -> pd.DataFrame:
    """Return the hyperparameters of each metric and task: one row if all experiments share them."""
    table = pd.concat(
        [results.hyperparameters.assign(experiments=name) for name, results in all_results.items()]
    )
    by_value = table.groupby(["metric", "task", "settings"], sort=False)["experiments"]
    return by_value.agg(", ".join).reset_index()


_SOLUTIONS = (
    "Networks of a condition form several clusters if one cluster is rejected: p is the probability of as "
    "clear a division of networks from one cluster. In a table of many conditions, some p are small by "
    "chance. Stability is the similarity of the least stable cluster in bootstrap samples, at most 1."
)


def solutions_tables(results: ExperimentResults) -> list[tuple[str, str, pd.DataFrame]]:
    """Return the title, explanation and content of the table of clusters, or no table if there are none."""
    table = results.solutions
    if table.empty:
        return []
    texts = {
        "factor_value": table["factor_value"].map(format_factor),
        "p": table["p"].map("{:.2g}".format),
        "stability": table["stability"].map("{:.2f}".format),
    }
    agreements = [name for name in ("attractor_agreement", "graph_agreement") if table[name].notna().any()]
    columns = ["task", "factor_name", "factor_value", "metric", "networks", "clusters", "p", "stability"]
    shown = table.assign(**texts).round(dict.fromkeys(agreements, 2)).replace({"nan": "-"})
    return [("Clusters of networks", _SOLUTIONS, shown[[*columns, "sizes", *agreements]])]


def between_levels_table(results: ExperimentResults) -> list[tuple[str, str, pd.DataFrame]]:
    """Return title, explanation and table of distances between levels, empty if there are none."""
    table = results.between
    if table.empty:
        return []
    measured = table[table["left_out"] == ""]
    formatted: dict[str, Any] = {
        name: measured[name].map("{:.2g}".format) for name in ("within_a", "within_b", "p", "q")
    }
    for name, low, high in (("between", "low", "high"), ("ratio", "ratio_low", "ratio_high")):
        cells = measured[[name, low, high, "networks_a"]].itertuples(index=False)
        formatted[name] = pd.Series([format_estimate(*cell) for cell in cells], index=measured.index)
    hidden = ["condition_a", "condition_b", "low", "high", "ratio_low", "ratio_high", "smallest_p"]
    hidden += ["nominal_level", "significance"]
    shown = table.drop(columns=[*hidden, *formatted]).astype(object)
    shown = shown.assign(**{name: cells.reindex(table.index) for name, cells in formatted.items()}).fillna("")
    return [("Distances between levels", BETWEEN_LEVELS, shown)]
