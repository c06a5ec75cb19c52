"""Trends of an experiment from its small tables, which may come from several analyses.

    python -m analysis.replication.merged_trends experiment=task_complexity \
        results=docs/reproduction/full_size 'overrides=["scale=full","seeds=16"]'

reads the tables that `analysis.replication.small_tables` wrote to <results>/task_complexity, and writes
trends.csv and the figures of the measures and of the settings of DSA beside them. Neither run folders nor
matrices are needed. The networks of a task must have been analyzed together, because its conditions share the
hyperparameters of DSA.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from analysis.cache import write_table
from analysis.experiment_analysis import ExperimentAnalysis
from analysis.experiment_results import ExperimentResults
from analysis.figures import MAIN, specification
from analysis.figures.captions import caption
from analysis.figures.measures import main_names, plot_measures
from analysis.replication.small_tables import TREND_COLUMNS, selected_hyperparameters
from analysis.results import ResultsFolder
from analysis.settings import experiment_name, load_experiments, require_valid
from analysis.steps.trends import compute_trends
from analysis.trends.factors import factor_columns
from analysis.trends.specification import specification_rows
from degen.errors import require
from degen.files import write_tensors
from degen.reporting.style import save_figure
from launch.cli import entrypoint
from launch.config import resolved


def restore_results(tables: Path, analysis: ExperimentAnalysis, results: ResultsFolder) -> None:
    """Write the tables and matrices that trends need to a results folder.

    Args:
        tables: folder of networks.csv, distances.csv, degeneracy.csv and hyperparameters.csv.
        analysis: the experiment and the configurations of its metrics.
        results: folder to fill.

    Raises:
        BadInputError: a table is missing.
    """
    networks, degeneracy = _read(tables, "networks"), _read(tables, "degeneracy")
    networks["test_loss_ratio"] = networks["test_loss"] / networks["threshold"]
    write_table(results.networks, networks, fingerprint="")
    experiment = analysis.experiment
    factors = [{"condition": c.signature, **factor_columns(experiment, c)} for c in experiment.conditions]
    degeneracy = degeneracy.merge(networks[["condition", "task"]].drop_duplicates(), on="condition")
    degeneracy = degeneracy.merge(pd.DataFrame(factors), on="condition")
    write_table(results.degeneracy, degeneracy, fingerprint="")
    n_converged = networks["condition"][networks["status"] == "converged"].value_counts()
    hyperparameters = _read(tables, "hyperparameters")
    rows: dict[Any, dict[Any, Any]] = degeneracy.set_index(["condition", "measure"]).to_dict("index")
    for signature, metric, seeds, matrix in _matrices(_read(tables, "distances")):
        row = rows[signature, metric]
        metadata = {
            "seeds": seeds,
            "max_networks": len(seeds) if len(seeds) < n_converged[signature] else None,
            "metric": analysis.settings["metrics"].get(metric, {}),
            "hyperparameters": selected_hyperparameters(hyperparameters, row["task"], metric),
        }
        path = results.matrix(metric, signature)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, _tensors(matrix, row["baseline_ratio"]), metadata)


def _read(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.csv"
    require(path.is_file(), "tables", str(path), "a table of analysis.replication.small_tables")
    return pd.read_csv(path, dtype={"condition": str})


def _matrices(distances: pd.DataFrame) -> Iterator[tuple[str, str, list[int], np.ndarray]]:
    """Yield condition, metric, seeds and distance matrix from the table of all pairs."""
    metrics = [str(name) for name in distances if name not in ("condition", "seed", "other_seed")]
    for signature, rows in distances.groupby("condition"):
        for metric in metrics:
            pairs = rows.dropna(subset=metric)
            if pairs.empty:
                continue
            seeds = sorted({*pairs["seed"].tolist(), *pairs["other_seed"].tolist()})
            matrix = np.zeros((len(seeds), len(seeds)))
            first, second = (np.searchsorted(seeds, pairs[name]) for name in ("seed", "other_seed"))
            matrix[first, second] = matrix[second, first] = pairs[metric]
            yield str(signature), metric, seeds, matrix


def _tensors(matrix: np.ndarray, baseline_ratio: float) -> dict[str, torch.Tensor]:
    """Return the arrays of a stored matrix. Its split halves have the ratio of the whole condition."""
    tensors = {"distances": torch.from_numpy(matrix)}
    if np.isfinite(baseline_ratio):
        ones = torch.ones(len(matrix), dtype=torch.float64)
        tensors |= {"half_distances": baseline_ratio * ones, "null": ones}
    return tensors


def write_merged_trends(analysis: ExperimentAnalysis) -> None:
    """Compute the trends from the small tables in an analysis' results folder, and draw two figures there."""
    experiment, tables = analysis.experiment, analysis.results.path
    with tempfile.TemporaryDirectory() as folder:
        results = ResultsFolder(Path(folder))
        restore_results(tables, analysis, results)
        test = analysis.bootstrap, analysis.permutation_test, analysis.min_converged_fraction
        compute_trends(experiment, results, *test)
        trends = pd.read_parquet(results.trends)[TREND_COLUMNS]
        trends.to_csv(tables / "trends.csv", index=False, float_format="%.6g")
        for figure in _draw(ExperimentResults(experiment, results)):
            shutil.copy(figure, tables)


def _draw(data: ExperimentResults) -> list[Path]:
    """Draw the figures of the main measures and of the settings of DSA. Return the PNG files."""
    folder = data.results.figures
    paths = save_figure(plot_measures(main_names(data), data), folder, MAIN)
    settings = specification_rows(data.trends)
    if settings:
        paths += specification.draw(settings, data.experiment.label, caption(data), folder)
    return [path for path in paths if path.suffix == ".png"]


def run(config: DictConfig) -> None:
    """Compute the trends of the experiments of a composed configuration."""
    settings: dict[str, Any] = resolved(config)
    require_valid(settings, HydraConfig.get().overrides.task)
    for experiment in load_experiments(experiment_name(), settings["overrides"]):
        write_merged_trends(ExperimentAnalysis(experiment, settings))


def main() -> None:
    """Run the command line."""
    entrypoint("analyze", run, needs_arguments=True)()


if __name__ == "__main__":
    main()
