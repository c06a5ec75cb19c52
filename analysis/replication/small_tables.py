"""Small tables of an analysis, which the repository keeps: networks, distances, degeneracy and trends as CSV.

    python -m analysis.replication.small_tables results/full/task_complexity docs/reproduction/full_size

Matrices and activations can be computed again from the run folders, so they are not committed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.results import ResultsFolder
from degen.errors import require
from degen.files import read_tensors
from launch.cli import exit_on_user_error

_NETWORK_COLUMNS = [
    "condition",
    "label",
    "seed",
    "status",
    "epochs",
    "threshold",
    "test_loss",
    "test_loss_settled",
    "ood_loss",
    "ood_loss_settled",
    "ood_loss_outside",
    "weight_change",
    "weight_norm",
    "participation_ratio",
    "near_zero_fraction",
]
_TREND_COLUMNS = [
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
_DEGENERACY_COLUMNS = ["condition", "label", "level", "measure", "networks", "value", "low", "high"]


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


def write_small_tables(results: ResultsFolder, target: Path) -> None:
    """Write the tables of an analysis to a folder: networks.csv, distances.csv, degeneracy.csv, trends.csv.

    If the analysis compared named levels, their distances are in between.csv.

    Args:
        results: results folder of an experiment whose analysis has finished.
        target: folder of the tables, which is created.

    Raises:
        BadInputError: the results folder has no finished analysis.
    """
    is_finished = (results.path / "manifest.json").is_file()
    require(is_finished, "results", str(results.path), "a results folder whose analysis has finished")
    tables = {
        "networks": pd.read_parquet(results.networks)[_NETWORK_COLUMNS],
        "distances": distances_table(results),
        "degeneracy": pd.read_parquet(results.degeneracy)[_DEGENERACY_COLUMNS],
        "trends": pd.read_parquet(results.trends)[_TREND_COLUMNS],
    }
    if results.between.exists():
        tables["between"] = pd.read_parquet(results.between)[_BETWEEN_COLUMNS]
    target.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(target / f"{name}.csv", index=False, float_format="%.6g")


def main() -> None:
    """Run the command line."""
    with exit_on_user_error():
        require(len(sys.argv) == 3, "arguments", sys.argv[1:], "a results folder and a folder for the tables")
        write_small_tables(ResultsFolder(Path(sys.argv[1])), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
