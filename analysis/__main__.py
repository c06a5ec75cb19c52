"""python -m analysis experiment=demo: from run folders to a degeneracy table and figures.

Stages in order, each reading the files of the one before and skipping what is there: gather, activations,
matrices, degeneracy, figures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from analysis import figures
from analysis.activations import activations, require_pairs
from analysis.degeneracy import as_text, degeneracy
from analysis.gather import Trialset, gather
from analysis.matrices import Metric, matrices
from analysis.results import Results
from analysis.statistics import Bootstrap
from degen.condition import build
from launch.cli import entrypoint, resolved
from launch.conditions import experiment


def job(config: DictConfig) -> None:
    """What Hydra calls."""
    settings = resolved(config)
    probe, trials = _built(settings, "probe", Trialset), _built(settings, "ood", Trialset)
    bootstrap = _built(settings, "bootstrap", Bootstrap)
    metrics = {name: build(node, Metric, f"metrics.{name}") for name, node in settings["metrics"].items()}
    name = HydraConfig.get().runtime.choices["experiment"]
    chosen = experiment(name, settings["overrides"])
    results = Results.create(Path(settings["results"]) / chosen.name)
    runs = Path(settings["runs"])

    table = gather(chosen, runs, results, trials)
    require_pairs(chosen, table)
    activations(chosen, runs, results, table, probe)
    matrices(chosen, results, metrics)
    found = degeneracy(chosen, results, table, list(metrics), bootstrap)
    print(f"\n{as_text(found, bootstrap.level)}\n", flush=True)
    for path in figures.draw_all(chosen, results):
        print(f"figure: {path}", flush=True)


def _built(settings: dict[str, Any], name: str, kind: type) -> Any:
    return build(settings[name], kind, name)[1]


def main() -> None:
    """The command line."""
    torch.set_flush_denormal(True)
    entrypoint("analyze", job)()


if __name__ == "__main__":
    main()
