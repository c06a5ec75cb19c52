"""Number of solutions: clusters of the networks of a condition, and their flow graphs."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_mutual_info_score

from analysis.cache import cached, fingerprint, require_table, write_csv, write_table
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.steps.flow_graphs import compute_flow_graphs
from analysis.trends.factors import factor_columns
from analysis.trials import TrialSet
from degen.condition import Condition
from degen.errors import require, require_integer, require_number
from degen.files import read_metadata, read_tensors
from degen.statistics import Clusters, find_clusters
from launch.experiment import Experiment

METRICS = ("dsa", "dsa_weighted", "pif", "pif_signed", "svcca")
"""Metrics whose distances are divided into clusters, if they are among the metrics of the analysis."""

_PRIMARY = ("dsa", "dsa_weighted")
"""Metrics of the column `solution`. The first one that the analysis has is used."""

_COLUMNS = (
    *("task", "condition", "label", "factor_name", "factor_value", "metric", "is_primary", "networks"),
    *("clusters", "p", "stability", "sizes", "labels", "attractor_agreement", "graph_agreement"),
)

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SolutionSettings:
    """Settings of `degen.statistics.find_clusters`, and whether flow graphs are computed.

    Args:
        significance: largest p-value of a division into clusters.
        min_size: smallest number of networks in a cluster.
        n_samples: number of samples of one cluster.
        seed: seed of the samples.
        flow_graphs: whether the flow graph of each network is computed.

    Raises:
        BadInputError: an argument is out of range.
    """

    significance: float
    min_size: int
    n_samples: int
    seed: int
    flow_graphs: bool

    def __post_init__(self) -> None:
        require_number("solutions.significance", self.significance, above=0.0, maximum=1.0)
        require_integer("solutions.min_size", self.min_size, 2)
        require_integer("solutions.n_samples", self.n_samples, 1)
        require_integer("solutions.seed", self.seed, 0)
        is_bool = isinstance(self.flow_graphs, bool)
        require(is_bool, "solutions.flow_graphs", self.flow_graphs, "true or false")

    def find_clusters(self, distances: np.ndarray) -> Clusters:
        """Divide the networks of a distance matrix (networks, networks) into clusters."""
        options = {name: value for name, value in vars(self).items() if name != "flow_graphs"}
        return find_clusters(distances, **options)


def compute_solutions(
    experiment: Experiment,
    runs: Path,
    results: ResultsFolder,
    table: pd.DataFrame,
    metrics: Collection[str],
    settings: SolutionSettings,
    probe: TrialSet,
    weights_at: str,
) -> pd.DataFrame:
    """Store the clusters of each condition, as parquet and as CSV, and the column `solution` of networks.

    The column contains the cluster of each converged network by its dynamics: by DSA, or by the weighted form
    if DSA is not among the metrics. It is empty for networks that the metric does not measure, and absent if
    the analysis measures neither. Flow graphs are stored if the settings contain them.

    Args:
        experiment: experiment whose conditions have at least two converged networks.
        table: the table of `analysis.steps.networks.collect_networks`.
        metrics: names of the metrics. Only `METRICS` are divided.

    Returns:
        One row per condition and metric. Columns: task, condition, label, factor_name, factor_value, metric,
        is_primary (whether the column `solution` contains these clusters), networks, clusters, p, stability,
        sizes and labels (see `degen.statistics.Clusters`; texts), attractor_agreement and graph_agreement
        (adjusted mutual information of clusters with attractors and with types of flow graphs; empty for one
        cluster or without flow graphs).
    """
    measured = [name for name in METRICS if name in metrics]
    primary = next((name for name in _PRIMARY if name in measured), None)
    graphs = None
    if settings.flow_graphs:
        graphs = compute_flow_graphs(experiment, runs, results, table, probe, weights_at)
    else:
        results.remove_flow_graphs()
    pairs = [
        (condition, name)
        for condition in experiment.conditions
        for name in measured
        if results.matrix(name, condition.signature).exists()
    ]

    def compute() -> pd.DataFrame:
        rows = [
            {"task": condition.task_name, "condition": condition.signature, "label": condition.label}
            | factor_columns(experiment, condition)
            | {"metric": name, "is_primary": name == primary}
            | _measure(results.matrix(name, condition.signature), condition, settings, graphs)
            for condition, name in track("solutions", pairs)
        ]
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    checksums = [read_metadata(results.matrix(name, c.signature))["sha256"] for c, name in pairs]
    factors = [factor_columns(experiment, condition) for condition, _ in pairs]
    graph_types = None if graphs is None else graphs.to_csv()
    key = fingerprint(checksums, factors, primary, dataclasses.asdict(settings), graph_types)
    is_new = cached(results.solutions, key, compute)
    solutions = require_table(results.solutions)
    write_csv(results.solutions, solutions)
    _store_column(results, solutions)
    logger.info("solutions: %d matrices, %s", len(pairs), "new" if is_new else "unchanged")
    return solutions


def _measure(
    matrix: Path, condition: Condition, settings: SolutionSettings, graphs: pd.DataFrame | None
) -> dict[str, Any]:
    """Return the columns of a matrix from `networks` on."""
    clusters = settings.find_clusters(read_tensors(matrix)[0]["distances"].numpy())
    row = {
        "networks": len(clusters.labels),
        "clusters": clusters.n_clusters,
        "p": clusters.p,
        "stability": clusters.stability,
        "sizes": " ".join(map(str, clusters.sizes)),
        "labels": " ".join(map(str, clusters.labels)),
        "attractor_agreement": math.nan,
        "graph_agreement": math.nan,
    }
    if graphs is not None and clusters.n_clusters > 1:
        of_condition = graphs[graphs["condition"] == condition.signature].set_index("seed")
        networks = of_condition.loc[read_metadata(matrix)["seeds"]]
        for name, column in (("attractor_agreement", "attractors"), ("graph_agreement", "graph_type")):
            row[name] = adjusted_mutual_info_score(networks[column], clusters.labels)
    return row


def _store_column(results: ResultsFolder, solutions: pd.DataFrame) -> None:
    """Store the column `solution` in the table of networks, unless the table contains it."""
    networks = require_table(results.networks)
    stored = networks.drop(columns="solution", errors="ignore")
    primary = solutions[solutions["is_primary"]]
    labels = {
        (row["condition"], seed): int(label)
        for row in primary.to_dict("records")
        for seed, label in zip(
            read_metadata(results.matrix(row["metric"], row["condition"]))["seeds"],
            row["labels"].split(),
            strict=True,
        )
    }
    if labels:
        keys = zip(stored["condition"], stored["seed"], strict=True)
        column = pd.array([labels.get(key) for key in keys], dtype="Int64")
        stored = stored.assign(solution=column)
    if not stored.equals(networks):
        write_table(results.networks, stored, networks.attrs["fingerprint"])
