"""Command lines of an analysis, and checks of the settings of `conf/analyze.yaml` that no class checks."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString

from degen.errors import require
from launch.cli import command_line
from launch.config import CONF, quote_numbers
from launch.experiment import Experiment, experiments
from launch.settings import require_folder
from launch.sweep import sweep_experiment

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
    "snapshots",
    "between_levels",
    "solutions",
    "bootstrap",
    "permutation_test",
    "min_converged_fraction",
)
"""Fields of the analysis that the command line may set. The other fields belong to training."""


_LAUNCHER_FIELDS = ("hydra", "submit")


def is_for_training(override: str) -> bool:
    """Return whether an override belongs to training and not to the analysis."""
    field = override.lstrip("+~").partition("=")[0]
    return re.split("[./@]", field)[0] not in (*FIELDS, *_LAUNCHER_FIELDS)


def collect_sweep(overrides: Sequence[str]) -> list[str]:
    """Move the overrides of a sweep to the field `overrides`, unless an experiment is named.

    The result composes `conf/analyze.yaml`, which does not know the fields of training.

    Raises:
        BadInputError: an option of training stands next to an experiment.

    Examples:
        >>> collect_sweep(["gamma=1,2", "results=mine"])
        ['results=mine', '~experiment', "overrides=['gamma=1,2']"]
        >>> collect_sweep(["experiment=demo"])
        ['experiment=demo']
    """
    sweep = [text for text in overrides if is_for_training(text)]
    if any(text.startswith(("experiment=", "overrides=")) for text in overrides):
        for text in sweep:
            quote_numbers([text])  # raises an error if Hydra cannot read it
            group = text.partition("=")[0]
            # Hydra would report that the configuration of an analysis has no such group.
            require(not Path(CONF, group).is_dir(), group, text, f"given as 'overrides=[\"{text}\"]' here")
        return list(overrides)
    if not sweep:
        return list(overrides)
    own = [text for text in overrides if text not in sweep]
    return [*own, "~experiment", _overrides_field(sweep, Quote.single)]


def sweep_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a command line with `collect_sweep` applied to its overrides.

    A sweep is one analysis, so that `-m` is left out.
    """
    overrides = get_args_parser().parse_known_intermixed_args(list(arguments))[0].overrides
    collected = collect_sweep(overrides)
    if collected == overrides:
        return list(arguments)
    return [text for text in arguments if text not in (*overrides, "-m", "--multirun")] + collected


def analysis_command(experiment: Experiment, overrides: Sequence[str]) -> str:
    """Return the command of this process, to copy, with other overrides of the experiment's conditions."""
    given = [text for text in sys.argv[1:] if "=" in text and not is_for_training(text)]
    own = [text for text in given if not text.startswith(("experiment=", "overrides=", "hydra", "-"))]
    return analyze_command(experiment, overrides, own)


def analyze_command(experiment: Experiment, overrides: Sequence[str], options: Sequence[str] = ()) -> str:
    """Return the command that analyzes an experiment, to copy.

    Args:
        experiment: the experiment, from a file or a sweep.
        overrides: overrides of its conditions.
        options: fields of the analysis.
    """
    texts = [text for text in overrides if not text.startswith("hydra.")]
    if not experiment.is_sweep and texts:
        texts = [_overrides_field(texts, Quote.double)]
    return command_line("analyze", [*experiment.arguments, *texts, *options])


def _overrides_field(texts: Sequence[str], quote: Quote) -> str:
    return f"overrides=[{','.join(QuotedString(text, quote).with_quotes() for text in texts)}]"


def experiment_name() -> str | None:
    """Return the name of the experiment on Hydra's command line, None for a sweep."""
    return HydraConfig.get().runtime.choices.get("experiment")


def load_experiments(name: str | None, overrides: Sequence[str]) -> list[Experiment]:
    """Return the experiments of a file, or the experiment of a sweep if there is no name."""
    return [sweep_experiment(overrides)] if name is None else experiments(name, overrides)


def require_valid(settings: dict[str, Any], given: Sequence[str]) -> None:
    """Check the folders, the field `overrides` and the overrides on the command line.

    Args:
        settings: the resolved configuration.
        given: overrides on the command line.

    Raises:
        BadInputError: a value is not allowed, or an override belongs to training and has no effect here.
    """
    require_folder("runs", settings["runs"])
    require_folder("results", settings["results"])
    overrides = settings["overrides"]
    is_valid = isinstance(overrides, list) and all(isinstance(text, str) for text in overrides)
    require(is_valid, "overrides", overrides, "a list of texts")
    for text in given:
        field = text.lstrip("+~").partition("=")[0]
        # Hydra accepts fields of training too, because the file of an experiment contains them.
        require(field.partition(".")[0] in FIELDS, field, text, f"given as 'overrides=[\"{text}\"]' here")
