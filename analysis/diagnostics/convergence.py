"""python -m analysis.diagnostics.convergence experiment=convergence: which conditions converge, and when.

One row per condition, printed and stored as results/<experiment>/convergence.csv. Missing networks are
counted, so that an unfinished sweep shows as one.
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
from analysis.__main__ import checked
from analysis.results import Results
from analysis.steps.degeneracy import STATUSES
from analysis.steps.networks import Trialset, further_ood, gather
from degen.condition import Condition, build
from degen.errors import require_choice
from degen.files import write_atomically
from degen.networks import WEIGHTS_AT
from degen.storage import RunFolder
from launch.cli import entrypoint
from launch.config import resolved
from launch.experiment import experiment

RATIOS = (1.05, 1.5)
"""Test losses of converged networks above so many times the threshold are counted."""


def convergence(table: pd.DataFrame, conditions: list[Condition], n_seeds: int, runs: Path) -> pd.DataFrame:
    """Return one row per condition.

    Columns: task, condition (label), networks by status and missing, threshold, epochs allowed; medians and
    worst values of epochs to threshold, epochs to convergence, test loss over threshold and OOD loss (a
    network that never got there, or diverged, is worse than any number); converged networks whose test loss
    is above 1.05 and above 1.5 times the threshold; seconds per network (of all training sessions, over the
    number of networks in the run folder).

    Args:
        table: as `analysis.steps.networks.gather` returns it.
        n_seeds: networks asked for in each condition.
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
        "OOD loss": _median_and_worst(networks["ood_loss"], "diverged"),
    }
    folder = RunFolder.of(runs, condition)
    seconds = sum(session["seconds"] for session in degen.load(folder.path).sessions)
    return row | {"seconds per network": round(seconds / len(folder.finished_seeds()))}


def _median_and_worst(values: pd.Series, without: str) -> str:
    """Format both; `without` stands for a network without a value, which is worse than any."""
    whole = values.fillna(np.inf)
    words = [f"{value:.3g}" if np.isfinite(value) else without for value in (whole.median(), whole.max())]
    return f"{words[0]} ({words[1]})"


def total(found: pd.DataFrame) -> str:
    """Summarize all conditions in one line."""
    converged, finished = int(found["converged"].sum()), int(found[list(STATUSES)].sum().sum())
    above = ", ".join(f"{int(found[f'above {ratio}'].sum())} above {ratio}" for ratio in RATIOS)
    words = f"{converged} of {finished} networks converged; test loss over threshold: {above}"
    return words + (f" ({found[f'above {RATIOS[0]}'].sum() / converged:.1%})" if converged else "")


def job(config: DictConfig) -> None:
    """What Hydra calls."""
    settings = resolved(config)
    name = checked(settings, HydraConfig.get().overrides.task)
    ood: Trialset = build(settings["ood"], Trialset, "ood")[1]
    chosen = experiment(name, settings["overrides"])
    results, runs = Results(Path(settings["results"]) / chosen.name), Path(settings["runs"])
    further, weights_at = further_ood(settings["further_ood"]), settings["weights_at"]
    require_choice("weights_at", weights_at, WEIGHTS_AT)
    table = gather(chosen, runs, results, ood, further, weights_at)
    found = convergence(table, chosen.conditions, len(chosen.seeds), runs)
    target = results.path / "convergence.csv"
    write_atomically(target, found.to_csv(index=False).encode())
    print(f"\n{found.to_string(index=False, na_rep='-')}\n(median (worst) of the finished networks)\n")
    print(f"{total(found)}\n")
    print(f"table: {target}", flush=True)


def main() -> None:
    """The command line."""
    torch.set_flush_denormal(True)
    entrypoint("analyze", job)()


if __name__ == "__main__":
    main()
