"""Results folders with planted networks and distances, for trends whose outcome is known."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from analysis.results import ResultsFolder
from analysis.steps.trends import compute_trends
from analysis.trends.rows import TrendRow
from degen.files import write_tensors
from degen.statistics import Bootstrap, PermutationTest
from launch.experiment import Experiment, experiment
from launch.sweep import sweep_experiment

BOOTSTRAP = Bootstrap(n_samples=300, level=0.95, seed=0)
TEST = PermutationTest(n_permutations=499, significance=0.05)

Distances = tuple[np.ndarray, np.ndarray | None]
"""A matrix (networks, networks), also of halves of the trials, and a baseline (networks,) or None."""


@functools.cache
def sweep(*overrides: str) -> Experiment:
    """Return the experiment of a sweep."""
    return sweep_experiment(overrides)


@functools.cache
def planted_experiment() -> Experiment:
    """Return an experiment with three conditions of one task."""
    return experiment("memory_demand")


def distances(
    seed: int, n: int, mean: float, baseline: float | None = None, spread: float = 0.05
) -> Distances:
    """Return distances and baselines with these means. The networks differ by a fraction `spread`."""
    generator = np.random.default_rng(seed)
    networks = mean * generator.normal(1, spread, n)
    matrix = (networks[:, None] + networks[None, :]) / 2
    np.fill_diagonal(matrix, 0.0)
    return matrix, None if baseline is None else baseline * generator.normal(1, spread, n)


def along(
    n: int, *means: float, baseline: float | None = None, spread: float = 0.05, first: int = 0
) -> list[Distances]:
    """Return the distances of one condition per mean, from consecutive random seeds."""
    return [distances(first + i, n, mean, baseline, spread) for i, mean in enumerate(means)]


def plant(
    folder: Path,
    losses: Sequence[np.ndarray],
    matrices: Mapping[str, Sequence[Distances]] | None = None,
    variants: Sequence[str] = (),
    ratios: Sequence[np.ndarray] | None = None,
    shares_seeds: bool = True,
    planted: Experiment | None = None,
    unconverged: Sequence[int] = (),
) -> ResultsFolder:
    """Write the files that trends are computed from.

    Args:
        losses: OOD losses (networks,) of each condition.
        matrices: for each metric the distances of each condition, None for a condition without any.
        variants: metrics that are another setting of DSA.
        ratios: losses on fresh trials over the threshold, of each condition.
        shares_seeds: whether networks of different conditions have equal seeds.
        planted: the experiment, by default `planted_experiment`.
        unconverged: for each condition the number of further networks that did not converge.
    """
    results, tables, rows = ResultsFolder(folder), [], []
    for i, condition in enumerate((planted or planted_experiment()).conditions[: len(losses)]):
        n, signature = len(losses[i]), condition.signature
        seeds = list(range(n)) if shares_seeds else list(range(100 * i, 100 * i + n))
        columns = {"seed": seeds, "ood_loss": losses[i], "weight_norm": 1.0, "status": "converged"}
        ratio = ratios[i] if ratios is not None else 0.5
        tables.append(pd.DataFrame({"condition": signature, **columns, "test_loss_ratio": ratio}))
        if i < len(unconverged):
            failed = {"condition": signature, "seed": range(n, n + unconverged[i]), "status": "unconverged"}
            tables.append(pd.DataFrame(failed))
        rows.append((signature, "sigma_ood", "behavior", None))
        for metric, conditions in (matrices or {}).items():
            if conditions[i] is not None:
                write_matrix(results, metric, signature, conditions[i], seeds)
                level = "weights" if metric.startswith("pif") else "dynamics"
                rows.append((signature, metric, level, "DSA" if metric in ("dsa", *variants) else None))
    results.create()
    pd.concat(tables).to_parquet(results.networks)
    names = ["condition", "measure", "level", "variant_of"]
    pd.DataFrame(rows, columns=names).to_parquet(results.degeneracy)
    return results


def write_matrix(
    results: ResultsFolder, metric: str, signature: str, content: Distances, seeds: list[int]
) -> None:
    matrix, null = content
    arrays = {"distances": matrix}
    if null is not None:
        arrays |= {"null": null, "half_distances": np.roll(matrix, 1, axis=0).diagonal().copy()}
    path = results.matrix(metric, signature)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    write_tensors(path, tensors, {"seeds": seeds, "fingerprint": str(matrix.sum())})


def trends(results: ResultsFolder, test: PermutationTest = TEST) -> dict[str, TrendRow]:
    """Return the rows by measure."""
    rows = compute_trends(planted_experiment(), results, BOOTSTRAP, test, 0.5)
    return {row.measure: row for row in rows}


def flat(n: int, seed: int = 0, conditions: int = 3) -> list[np.ndarray]:
    """Return losses without a trend."""
    generator = np.random.default_rng(seed)
    return [generator.normal(10, 1, n) for _ in range(conditions)]
