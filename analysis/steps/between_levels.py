"""Distances between networks of different levels of a named factor, compared with distances within levels."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from analysis.cache import cached, fingerprint, write_csv
from analysis.labels import task_title
from analysis.metrics import Metric
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.steps.hyperparameters import format_hyperparameters
from analysis.steps.level_distances import LevelDistances, load_or_compute
from analysis.trends.curves import conditions_by_task
from analysis.trends.design import find_design
from analysis.trends.level_pairs import LevelPair, level_pairs
from degen.reporting.formatting import format_estimate
from degen.statistics import Bootstrap, PermutationTest, compare_levels
from degen.statistics.jackknife import Array
from launch.experiment import Experiment

METRICS = ("dsa", "dsa_weighted", "svcca", "pif", "pif_signed")
"""Metrics that are measured between levels, if the analysis has them. Metrics of the user are, too."""

LOSSES = {"ood_loss": False, "log_ood_loss": True}
"""Distances of behavior: differences of OOD losses, and whether of their logarithms."""

_FAMILY = ["task", "factor", "at", "measure"]
_COLUMNS = (
    *("task", "factor", "at", "level_a", "level_b", "condition_a", "condition_b", "level", "measure"),
    *("networks_a", "networks_b", "within_a", "within_b", "between", "low", "high"),
    *("ratio", "ratio_low", "ratio_high", "p", "smallest_p", "q", "nominal_level", "significance"),
    *("settings", "left_out"),
)

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class LevelComparison:
    """Settings for comparing the networks of two levels of a named factor.

    Attributes:
        results: folder with activations and hyperparameters.
        metrics: name to the complete configuration and the metric.
        bootstrap: supplies the level of the intervals and the seed of the permutations.
        test: supplies the number of permutations and the significance.
    """

    results: ResultsFolder
    metrics: Mapping[str, tuple[dict[str, Any], Metric]]
    bootstrap: Bootstrap
    test: PermutationTest

    def rows(self, pair: LevelPair) -> Iterator[dict[str, Any]]:
        """Yield a row of the table for each measure."""
        for name, (config, metric) in self.metrics.items():
            if _is_measured(name, metric):
                distances = load_or_compute(self.results, name, config, metric, pair)
                yield self._row(pair, name, metric.level, distances)
        for name, is_log in LOSSES.items():
            losses = _loss_distances(pair, is_log=is_log)
            if losses is not None:
                yield self._row(pair, name, "behavior", losses)

    def _row(self, pair: LevelPair, name: str, level: str, distances: LevelDistances) -> dict[str, Any]:
        """Return the row of one measure, whose level of degeneracy is `level`."""
        (level_a, level_b), (condition_a, condition_b) = pair.levels, pair.signatures
        row = {
            "task": pair.data[0].condition.task_name,
            **{"factor": pair.factor, "at": pair.at, "level_a": level_a, "level_b": level_b},
            **{"condition_a": condition_a, "condition_b": condition_b, "level": level, "measure": name},
            **{"nominal_level": self.bootstrap.level, "significance": self.test.significance},
            "settings": format_hyperparameters(distances.hyperparameters),
            "left_out": distances.left_out,
        }
        if distances.matrix is None:
            logger.info("not measured: %s between levels, %s: %s", name, pair.name, distances.left_out)
            return row
        return row | self._numbers(f"{name}, {pair.name}", distances.matrix, distances.seeds)

    def _numbers(self, name: str, matrix: Array, seeds: tuple[list[int], list[int]]) -> dict[str, Any]:
        """Return the columns of a comparison that are numbers."""
        difference = compare_levels(matrix, seeds, self.bootstrap, self.test.n_permutations, name)
        between, ratio = difference.between, difference.ratio
        return {
            **{"networks_a": len(seeds[0]), "networks_b": len(seeds[1])},
            **{"within_a": difference.within[0], "within_b": difference.within[1]},
            **{"between": between.value, "low": between.low, "high": between.high},
            **{"ratio": ratio.value, "ratio_low": ratio.low, "ratio_high": ratio.high},
            **{"p": difference.p, "smallest_p": difference.smallest_p},
        }


def compute_between_levels(
    experiment: Experiment,
    networks: pd.DataFrame,
    comparison: LevelComparison,
    min_converged_fraction: float,
) -> pd.DataFrame:
    """Store distances between the networks of every two levels of a named factor, as parquet and as CSV.

    Nothing is stored if there is no named factor.

    Networks are compared within a task, and with equal level of a second factor. A metric has the
    hyperparameters that were selected for all networks of the task.

    Args:
        experiment: experiment whose conditions have at least two converged networks.
        networks: the table of `analysis.steps.networks.collect_networks`.
        comparison: metrics and settings.
        min_converged_fraction: fraction of a condition's finished networks that must have converged.

    Returns:
        One row per task, pair of levels and measure. Columns: task, factor, at (level of a second factor),
        level_a, level_b, condition_a, condition_b (signatures), level (of degeneracy), measure, networks_a,
        networks_b, within_a, within_b and between (mean distances), low, high (interval of between), ratio
        (between over the mean of both within) with ratio_low and ratio_high, p, smallest_p (that these
        networks can give), q (over the pairs of levels of a factor, task and measure), nominal_level,
        significance, settings (hyperparameters) and left_out (why a measure has no numbers). See
        `degen.statistics.LevelDifference`.
    """
    design, results = find_design(experiment), comparison.results
    tasks = conditions_by_task(experiment, design, results, networks, min_converged_fraction)
    pairs = list(level_pairs(tasks, design))
    if not pairs:
        results.remove_between()
        return pd.DataFrame(columns=list(_COLUMNS))
    rows = [row for pair in track("between levels", pairs, unit="pairs") for row in comparison.rows(pair)]
    counts = {"networks_a": "Int64", "networks_b": "Int64"}
    numbers = _COLUMNS[_COLUMNS.index("within_a") : _COLUMNS.index("settings")]
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(dict.fromkeys(numbers, "float64") | counts)
    table = _with_false_discovery_rate(table)
    is_new = cached(results.between, fingerprint(table.to_csv()), lambda: table)
    write_csv(results.between, table)
    logger.info("between levels: %d values, %s", len(table), "new" if is_new else "unchanged")
    return table


def _is_measured(name: str, metric: Metric) -> bool:
    return name in METRICS or not type(metric).__module__.startswith("analysis.")


def _loss_distances(pair: LevelPair, *, is_log: bool) -> LevelDistances | None:
    """Return differences of OOD losses, or None if the task has no such losses."""
    if any("ood_loss" not in data.networks or data.column("ood_loss").size == 0 for data in pair.data):
        return None
    losses = np.concatenate([data.column("ood_loss") for data in pair.data])
    values = np.log(losses) if is_log else losses
    first, second = (data.seeds for data in pair.data)
    return LevelDistances(abs(values[:, None] - values), (first, second), {})


def _with_false_discovery_rate(table: pd.DataFrame) -> pd.DataFrame:
    """Set q of all rows with a p. The family are the pairs of levels (Benjamini & Hochberg 1995)."""
    q = table["p"].copy()
    for _, family in table.dropna(subset="p").groupby(_FAMILY)["p"]:
        q[family.index] = false_discovery_control(family)
    return table.assign(q=q)


def format_between_levels(table: pd.DataFrame) -> str:
    """Format the table for a terminal, empty if there are no pairs of levels."""
    if table.empty:
        return ""
    measured, nominal = table[table["left_out"] == ""], table["nominal_level"].iloc[0]
    lines = [f"between levels (mean distance over the mean within both levels [{nominal:.0%} interval]):"]
    for row in measured.to_dict("records"):
        pair = ", ".join(
            filter(None, [task_title(row["task"]), row["at"], f"{row['level_a']} vs. {row['level_b']}"])
        )
        n_networks = int(min(row["networks_a"], row["networks_b"]))
        ratio = format_estimate(row["ratio"], row["ratio_low"], row["ratio_high"], n_networks)
        lines.append(
            f"  {pair}, {row['level']} ({row['measure']}): {ratio}, p {row['p']:.2g}, q {row['q']:.2g}"
        )
    return "\n".join([*lines, *left_out_lines(table)]) + "\n\n"


def left_out_lines(table: pd.DataFrame) -> list[str]:
    """Return what is not measured, and why, with every reason once."""
    reasons = table[table["left_out"] != ""].groupby("left_out", sort=False)
    return [f"  not measured: {', '.join(rows['measure'].unique())}: {reason}" for reason, rows in reasons]
