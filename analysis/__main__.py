"""python -m analysis experiment=demo: from run folders to a degeneracy table and figures.

Stages in order, each reading the files of the one before and skipping what is there: gather, activations,
feature learning, matrices, degeneracy, figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from analysis import figures
from analysis.activations import activations, with_pairs
from analysis.degeneracy import as_text, degeneracy
from analysis.feature_learning import KernelProbe, feature_learning
from analysis.gather import Trialset, further_ood, gather
from analysis.matrices import Metric, matrices
from analysis.results import Results
from analysis.statistics import Bootstrap
from analysis.trajectories import trajectories
from degen.condition import build
from degen.errors import require
from degen.storage import RunFolder
from launch.cli import entrypoint, require_folder, resolved
from launch.conditions import Experiment, experiments

FIELDS = (
    "experiment",
    "overrides",
    "runs",
    "results",
    "metric",
    "metrics",
    "probe",
    "ood",
    "further_ood",
    "feature_learning",
    "bootstrap",
)
"""What the command line may set here; everything else belongs to training."""


def job(config: DictConfig) -> None:
    """What Hydra calls."""
    settings = resolved(config)
    name = checked(settings, HydraConfig.get().overrides.task)
    probe, trials = _built(settings, "probe", Trialset), _built(settings, "ood", Trialset)
    kernel_probe = _built(settings, "feature_learning", KernelProbe)
    further = further_ood(settings["further_ood"])
    bootstrap = _built(settings, "bootstrap", Bootstrap)
    metrics = {
        name: build(node, Metric, f"metrics.{name}") for name, node in settings.get("metrics", {}).items()
    }
    runs, every = Path(settings["runs"]), experiments(name, settings["overrides"])
    trained = [chosen for chosen in every if len(every) == 1 or _has_pairs(chosen, runs)]
    for chosen in every:
        if chosen not in trained:
            print(f"left out: {chosen.name}, no condition has two finished networks", flush=True)
    require(trained != [], "experiment", name, f"one with finished networks below {runs}")
    for chosen in trained:
        results = Results(Path(settings["results"]) / chosen.name)
        for condition in chosen.conditions:
            kernel_probe.require_fits(condition)
        table = gather(chosen, runs, results, trials, further)
        kept = with_pairs(chosen, table)
        activations(kept, runs, results, table, probe)
        table = feature_learning(kept, runs, results, table, kernel_probe)
        matrices(kept, results, metrics)
        found = degeneracy(chosen, results, table, list(metrics), bootstrap)
        print(f"\n{as_text(found, bootstrap.level)}\n", flush=True)
        if chosen.trajectories:
            trajectories(kept, runs, results, table, probe)
        for path in figures.draw_all(kept, results):
            print(f"figure: {path}", flush=True)


def checked(settings: dict[str, Any], given: Sequence[str]) -> str:
    """The name of the experiment, once folders and overrides are seen to be what they must be.

    Raises:
        BadInputError: they are not, or an override is of training and would change nothing here.
    """
    require_folder("runs", settings["runs"])
    require_folder("results", settings["results"])
    overrides = settings["overrides"]
    listed = isinstance(overrides, list) and all(isinstance(text, str) for text in overrides)
    require(listed, "overrides", overrides, "a list of texts")
    for text in given:
        field = text.lstrip("+~").partition("=")[0]
        # Hydra takes these, too: the file of an experiment brings fields of training with it.
        require(field.partition(".")[0] in FIELDS, field, text, f"given as 'overrides=[\"{text}\"]' here")
    return HydraConfig.get().runtime.choices["experiment"]


def _has_pairs(chosen: Experiment, runs: Path) -> bool:
    """Whether two networks of one of its own conditions are finished."""
    folders = [RunFolder.of(runs, condition) for condition in chosen.swept]
    return any(len(set(folder.finished()) & set(chosen.seeds)) >= 2 for folder in folders)


def _built(settings: dict[str, Any], name: str, kind: type) -> Any:
    return build(settings[name], kind, name)[1]


def main() -> None:
    """The command line."""
    torch.set_flush_denormal(True)
    entrypoint("analyze", job)()


if __name__ == "__main__":
    main()
