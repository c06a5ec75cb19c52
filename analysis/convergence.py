"""python -m analysis.convergence experiment=convergence: does every condition reach its threshold, and when?

One row a condition, printed and stored as results/<experiment>/convergence.csv. Networks that are missing
are counted, so that an unfinished sweep shows as one.
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
from analysis.degeneracy import STATUSES
from analysis.gather import Trialset, further_ood, gather
from analysis.results import Results
from degen.condition import Condition, build
from degen.errors import require_choice
from degen.files import write_atomically
from degen.networks import WEIGHTS_AT
from degen.storage import RunFolder
from launch.cli import entrypoint, resolved
from launch.conditions import experiment


def convergence(table: pd.DataFrame, conditions: list[Condition], n_seeds: int, runs: Path) -> pd.DataFrame:
    """One row a condition.

    Columns: task, variant, parameterization, networks by status and missing, threshold, epochs to it, loss
    of the last epoch and OOD loss (median and worst of the finished networks: one that never got there, or
    diverged, is worse than any number), epochs allowed, and seconds of one network (time of all training
    sessions over the number of networks in the run folder).

    Args:
        table: as `analysis.gather.gather` returns it.
        n_seeds: networks asked for in each condition.
    """
    rows = [_row(table[table["condition"] == c.signature], c, n_seeds, runs) for c in conditions]
    return pd.DataFrame(rows)


def _row(networks: pd.DataFrame, condition: Condition, n_seeds: int, runs: Path) -> dict[str, Any]:
    row: dict[str, Any] = {
        "task": condition.task_name,
        "condition": condition.label,
    }
    row |= {status: int((networks["status"] == status).sum()) for status in STATUSES}
    row |= {"missing": n_seeds - len(networks), "threshold": condition.training.threshold}
    row["epochs allowed"] = condition.training.max_epochs
    if len(networks):
        row |= {
            "epochs to threshold": _median_and_worst(networks["epochs_to_threshold"], "never"),
            "final loss": _median_and_worst(networks["final_loss"], "diverged"),
            "OOD loss": _median_and_worst(networks["ood_loss"], "diverged"),
        }
        folder = RunFolder.of(runs, condition)
        seconds = sum(session["seconds"] for session in degen.load(folder.path).sessions)
        row["seconds a network"] = round(seconds / len(folder.finished()))
    return row


def _median_and_worst(values: pd.Series, without: str) -> str:
    """Both in words; `without` stands for a network without a value, which is worse than any."""
    whole = values.fillna(np.inf)
    words = [f"{value:.3g}" if np.isfinite(value) else without for value in (whole.median(), whole.max())]
    return f"{words[0]} ({words[1]})"


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
    print(f"table: {target}", flush=True)


def main() -> None:
    """The command line."""
    torch.set_flush_denormal(True)
    entrypoint("analyze", job)()


if __name__ == "__main__":
    main()
