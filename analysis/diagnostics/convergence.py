"""Convergence of the conditions of an experiment: how many networks converge, and when.

Prints one row per condition, and stores the rows in results/<experiment>/convergence.csv. Missing networks
are counted, so that an unfinished sweep is recognized.

Example:
    python -m analysis.diagnostics.convergence experiment=convergence
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

import degen
from analysis.results import ResultsFolder
from analysis.settings import experiment_name, require_valid
from analysis.steps.degeneracy import STATUSES
from analysis.steps.networks import collect_networks, finished_seeds
from analysis.trials import TrialSet, build_further_ood
from degen.condition import Condition, build
from degen.errors import require_choice
from degen.files import write_atomically
from degen.networks import WEIGHTS_AT
from degen.storage import RunFolder
from launch.cli import entrypoint
from launch.config import resolved
from launch.experiment import experiment

RATIOS = (1.05, 1.5)
"""The table counts converged networks whose test loss exceeds these multiples of the threshold."""


def summarize_convergence(
    table: pd.DataFrame, conditions: list[Condition], n_seeds: int, runs: Path
) -> pd.DataFrame:
    """Summarize the training of every condition.

    Args:
        table: the table of `analysis.steps.networks.collect_networks`.
        n_seeds: number of planned networks per condition.

    Returns:
        One row per condition. Columns: task, condition (label), number of networks by status and missing,
        threshold, epochs allowed; median and worst value of epochs to threshold, epochs to convergence, test
        loss over threshold and, if the task has OOD trials, OOD loss (a network without the value counts as
        worse than any number); number of converged networks above each of `RATIOS`; training seconds and CPU
        seconds per network in the run folder.
    """
    rows = [_row(table[table["condition"] == c.signature], c, n_seeds, runs) for c in conditions]
    return pd.DataFrame(rows)


def _row(networks: pd.DataFrame, condition: Condition, n_seeds: int, runs: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"task": condition.task_name, "condition": condition.label}
    row |= {status: int((networks["status"] == status).sum()) for status in STATUSES}
    row |= {"missing": n_seeds - len(networks), "threshold": condition.training.threshold}
    row["epochs allowed"] = condition.training.max_epochs
    if networks.empty:
        return row
    converged_ratios = networks["test_loss_ratio"][networks["status"] == "converged"]
    row |= {
        "epochs to threshold": _median_and_worst(networks["epochs_to_threshold"], "never"),
        "epochs to convergence": _median_and_worst(networks["epochs_to_convergence"], "never"),
        "test loss / threshold": _median_and_worst(networks["test_loss_ratio"], "diverged"),
        **{f"above {ratio}": int((converged_ratios > ratio).sum()) for ratio in RATIOS},
    }
    if condition.task.ood() is not None:
        row["OOD loss"] = _median_and_worst(networks["ood_loss"], "diverged")
    folder = RunFolder.of(runs, condition)
    # Over all networks in the folder: the sessions trained all of them.
    sessions, n_networks = degen.load(folder.path).sessions, len(folder.finished_seeds())
    for title, name in (("seconds per network", "seconds"), ("CPU seconds per network", "cpu_seconds")):
        # Sessions of version 0.2.0 have no CPU time.
        seconds = sum(session.get(name, np.nan) for session in sessions)
        row[title] = round(seconds / n_networks, 1)
    return row


def _median_and_worst(values: pd.Series, placeholder: str) -> str:
    """Format the median and the maximum. The placeholder replaces the value of a network without one."""
    filled = values.fillna(np.inf)
    median, worst = (
        f"{value:.3g}" if np.isfinite(value) else placeholder for value in (filled.median(), filled.max())
    )
    return f"{median} ({worst})"


def format_total(summary: pd.DataFrame) -> str:
    """Summarize all conditions in one line."""
    converged, finished = int(summary["converged"].sum()), int(summary[list(STATUSES)].sum().sum())
    above = ", ".join(f"{int(summary[f'above {ratio}'].sum())} above {ratio}" for ratio in RATIOS)
    line = f"{converged} of {finished} networks converged; test loss over threshold: {above}"
    return line + (f" ({summary[f'above {RATIOS[0]}'].sum() / converged:.1%})" if converged else "")


def run_convergence(config: DictConfig) -> None:
    """Summarize the experiment of a composed configuration."""
    settings = resolved(config)
    require_valid(settings, HydraConfig.get().overrides.task)
    ood: TrialSet = build(settings["ood"], TrialSet, "ood")[1]
    overrides = settings["overrides"]
    swept = experiment(experiment_name() or "", overrides)
    results, runs = ResultsFolder(Path(settings["results"]) / swept.name), Path(settings["runs"])
    further_ood, weights_at = build_further_ood(settings["further_ood"]), settings["weights_at"]
    require_choice("weights_at", weights_at, WEIGHTS_AT)
    seeds = finished_seeds(swept, runs, overrides)
    results.create()
    table = collect_networks(swept, seeds, runs, results, ood, further_ood, weights_at)
    summary = summarize_convergence(table, swept.conditions, len(swept.seeds), runs)
    path = results.path / "convergence.csv"
    write_atomically(path, summary.to_csv(index=False).encode())
    print(f"\n{summary.to_string(index=False, na_rep='-')}\n(median (worst) of the finished networks)\n")
    print(f"{format_total(summary)}\n")
    print(f"table: {path}", flush=True)


def main() -> None:
    """Run the command line."""
    torch.set_flush_denormal(True)
    entrypoint("analyze", run_convergence)()


if __name__ == "__main__":
    main()
