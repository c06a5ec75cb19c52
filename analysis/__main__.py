"""Analyze the networks of an experiment: tables, distance matrices, degeneracy and figures.

Examples:
    python -m analysis experiment=demo
    python -m analysis experiment=demo weights_at=settled results=results-settled
    python -m analysis experiment=demo metrics.dsa.score=frobenius bootstrap.level=0.9
    python -m analysis experiment=demo 'overrides=["width=128"]'
    python -m analysis --config-dir my_conf experiment=my_experiment

`overrides` are those that the experiment was trained with. Fields and their defaults: conf/analyze.yaml.
Stages run in order and skip finished work: networks, activations, feature learning, hyperparameters (for all
experiments together), distances, degeneracy, figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from analysis.pipeline import Analysis, run, trained
from degen.errors import require
from launch.cli import entrypoint
from launch.config import resolved
from launch.experiment import experiments
from launch.settings import require_folder

FIELDS = (
    "experiment",
    "overrides",
    "weights_at",
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
    every = [Analysis(chosen, settings) for chosen in experiments(name, settings["overrides"])]
    run(trained(every, name))


def checked(settings: dict[str, Any], given: Sequence[str]) -> str:
    """The name of the experiment, once folders and overrides are seen to be what they must be.

    Raises:
        BadInputError: they are not, or an override is of training and would change nothing here.
    """
    check(settings, given)
    return HydraConfig.get().runtime.choices["experiment"]


def check(settings: dict[str, Any], given: Sequence[str]) -> None:
    """The same check without Hydra's own entry point."""
    require_folder("runs", settings["runs"])
    require_folder("results", settings["results"])
    overrides = settings["overrides"]
    listed = isinstance(overrides, list) and all(isinstance(text, str) for text in overrides)
    require(listed, "overrides", overrides, "a list of texts")
    for text in given:
        field = text.lstrip("+~").partition("=")[0]
        # Hydra takes these, too: the file of an experiment brings fields of training with it.
        require(field.partition(".")[0] in FIELDS, field, text, f"given as 'overrides=[\"{text}\"]' here")


def main() -> None:
    """The command line."""
    torch.set_flush_denormal(True)
    entrypoint("analyze", job, needs_arguments=True)()


if __name__ == "__main__":
    main()
