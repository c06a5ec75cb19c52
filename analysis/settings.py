"""Checks of the settings of `conf/analyze.yaml` that no class checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig

from degen.errors import require
from launch.settings import require_folder

FIELDS = (
    "experiment",
    "overrides",
    "weights_at",
    "share_hyperparameters",
    "runs",
    "results",
    "metric",
    "metrics",
    "probe",
    "ood",
    "further_ood",
    "feature_learning",
    "bootstrap",
    "permutation_test",
)
"""Fields of the analysis that the command line may set. The other fields belong to training."""


def experiment_name() -> str:
    """Return the name of the experiment on Hydra's command line."""
    return HydraConfig.get().runtime.choices["experiment"]


def require_valid(settings: dict[str, Any], command_line: Sequence[str]) -> None:
    """Check the folders, the field `overrides` and the overrides on the command line.

    Raises:
        BadInputError: a value is not allowed, or an override belongs to training and has no effect here.
    """
    require_folder("runs", settings["runs"])
    require_folder("results", settings["results"])
    overrides = settings["overrides"]
    is_valid = isinstance(overrides, list) and all(isinstance(text, str) for text in overrides)
    require(is_valid, "overrides", overrides, "a list of texts")
    for text in command_line:
        field = text.lstrip("+~").partition("=")[0]
        # Hydra accepts fields of training too, because the file of an experiment contains them.
        require(field.partition(".")[0] in FIELDS, field, text, f"given as 'overrides=[\"{text}\"]' here")
