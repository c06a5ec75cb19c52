"""Small tables of analyses, which the repository keeps as CSV: networks, distances, degeneracy and trends.

    python -m analysis.replication.small_tables results/full/low_rank docs/reproduction/full_size/low_rank

Matrices and activations can be computed again from the run folders, so they are not committed. An experiment
may be trained and analyzed in parts, one or more tasks at a time. `analysis.replication.merged_trends`
then computes the trends of all parts. Further arguments are the tasks of a part, whose rows are replaced:

    python -m analysis.replication.small_tables results/full/task_complexity docs/task_complexity sine_wave
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.results import ResultsFolder
from degen.errors import require
from degen.files import read_metadata, read_tensors
from launch.cli import exit_on_user_error

_NETWORK_COLUMNS = [
    "condition",
    "task",
    "label",
    "factor_value",
    "seed",
    "status",
    "epochs",
    "threshold",
    "test_loss",
    "test_loss_settled",
    "ood_loss",
    "ood_loss_settled",
    "weight_change",
    "weight_norm",
    "participation_ratio",
    "near_zero_fraction",
]
TREND_COLUMNS = [
    "task",
    "term",
    "level",
    "measure",
    "variant_of",
    "networks",
    "effect",
    "low",
    "high",
    "p",
    "q",
    "detectable_change",
    "outcome",
    "outcome_detail",
    "baseline_ratio",
    "influential_networks",
]
_BETWEEN_COLUMNS = ["task", "level_a", "level_b", "level", "measure", "within_a", "within_b", "between"]
_BETWEEN_COLUMNS += ["ratio", "ratio_low", "ratio_high", "p", "q", "left_out"]
_DEGENERACY_COLUMNS = ["condition", "label", "level", "measure", "variant_of", "networks"]
_DEGENERACY_COLUMNS += ["value", "low", "high", "nominal_level", "true_coverage", "baseline_ratio"]


def distances_table(results: ResultsFolder) -> pd.DataFrame:
    """Return the distances of all pairs: one row per condition and pair of seeds, one column per metric."""
    columns: dict[str, dict[tuple[str, int, int], float]] = {}
    for file in sorted(results.path.glob("matrices/*/*.safetensors")):
        tensors, metadata = read_tensors(file)
        distances, seeds = tensors["distances"], metadata["seeds"]
        for i, j in zip(*np.triu_indices(len(seeds), k=1), strict=True):
            column = columns.setdefault(file.parent.name, {})
            column[file.stem, seeds[i], seeds[j]] = float(distances[i, j])
    return pd.DataFrame(columns).rename_axis(["condition", "seed", "other_seed"]).reset_index()


def hyperparameters_table(results: ResultsFolder, tasks: dict[str, str]) -> pd.DataFrame:
    """Return the hyperparameters of each metric: one row per task, metric and hyperparameter.

    Args:
        tasks: task of each condition signature.
    """
    rows = {
        (tasks[file.stem], file.parent.name, name, value)
        for file in results.path.glob("matrices/*/*.safetensors")
        if file.stem in tasks
        for name, value in read_metadata(file)["hyperparameters"].items()
    }
    return pd.DataFrame(sorted(rows), columns=["task", "metric", "hyperparameter", "value"])


def write_small_tables(results: ResultsFolder, target: Path, tasks: Sequence[str] = ()) -> None:
    """Write the tables of an analysis: networks.csv, distances.csv, degeneracy.csv, trends.csv.

    hyperparameters.csv contains those of the metrics. If the analysis compared named levels, their
    distances are in between.csv.

    Args:
        results: results folder of an experiment whose analysis has finished.
        target: folder of the tables, which is created.
        tasks: tasks whose rows are replaced, without the trends. The rows of other tasks stay. Empty for all
            tasks, and everything is replaced.

    Raises:
        BadInputError: the results folder has no finished analysis, or a task is not in it.
    """
    is_finished = (results.path / "manifest.json").is_file()
    require(is_finished, "results", str(results.path), "a results folder whose analysis has finished")
    networks = pd.read_parquet(results.networks)
    analyzed = sorted(set(networks["task"]))
    for task in tasks:
        require(task in analyzed, "task", task, f"one of {', '.join(analyzed)}")
    tables = _tables(results, networks)
    if tasks:
        tables = _merge(tables, target, tasks)
        (target / "trends.csv").unlink(missing_ok=True)  # of the replaced rows
    else:
        tables["trends"] = pd.read_parquet(results.trends)[TREND_COLUMNS]
        if results.between.exists():
            tables["between"] = pd.read_parquet(results.between)[_BETWEEN_COLUMNS]
    target.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(target / f"{name}.csv", index=False, float_format="%.6g")


def selected_hyperparameters(hyperparameters: pd.DataFrame, task: str, metric: str) -> dict[str, int]:
    """Return the hyperparameters of a metric for a task from hyperparameters.csv, empty if it has none."""
    is_own = (hyperparameters["task"] == task) & (hyperparameters["metric"] == metric)
    return dict(hyperparameters[is_own][["hyperparameter", "value"]].to_numpy().tolist())


def _tables(results: ResultsFolder, networks: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the tables that can be merged, by name."""
    further_ood = [
        name for name in networks.columns if name.startswith("ood_loss_") and name not in _NETWORK_COLUMNS
    ]
    return {
        "networks": networks[[*_NETWORK_COLUMNS, *further_ood]],
        "distances": distances_table(results),
        "degeneracy": pd.read_parquet(results.degeneracy)[_DEGENERACY_COLUMNS],
        "hyperparameters": hyperparameters_table(results, _task_of(networks)),
    }


def _task_of(networks: pd.DataFrame) -> dict[str, str]:
    """Return the task of each condition."""
    return dict(zip(networks["condition"], networks["task"], strict=True))


def _merge(tables: dict[str, pd.DataFrame], folder: Path, tasks: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the rows of some tasks, after the stored rows of the other tasks.

    Stored rows of these tasks are left out, also those of conditions that are no longer there.
    """
    stored = {
        name: pd.read_csv(folder / f"{name}.csv", dtype={"condition": str})
        for name in tables
        if (folder / f"{name}.csv").exists()
    }

    def of_tasks(table: pd.DataFrame, networks: pd.DataFrame) -> pd.Series:
        task = table["task"] if "task" in table else table["condition"].map(_task_of(networks))
        return task.isin(tasks)

    merged = {}
    for name, table in tables.items():
        parts = [table[of_tasks(table, tables["networks"])]]
        if name in stored:
            parts.insert(0, stored[name][~of_tasks(stored[name], stored["networks"])])
        merged[name] = pd.concat(parts, ignore_index=True)
    return merged


def main() -> None:
    """Run the command line."""
    with exit_on_user_error():
        allowed = "a results folder, a folder for the tables, and optionally tasks"
        require(len(sys.argv) >= 3, "arguments", sys.argv[1:], allowed)
        write_small_tables(ResultsFolder(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3:])


if __name__ == "__main__":
    main()
