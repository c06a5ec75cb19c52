"""Checks of an experiment file (`conf/experiment/<name>.yaml`), before its conditions are built."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from omegaconf import OmegaConf

from degen.errors import require
from launch.config import compose
from launch.paths import CONF

_KEYS = ("factor", "label", "grids", "shared", "trajectories", "experiments")


def require_valid_file(name: str, config: dict[str, Any]) -> None:
    """Raise `BadInputError` unless an experiment file has the required keys with values of the right kind.

    Args:
        name: name of the file.
        config: `conf/train.yaml` composed with the file.
    """
    file, settings = f"experiment/{name}.yaml", config["experiment"]
    is_mapping = isinstance(settings, dict) and not isinstance(settings.get("experiment"), dict)
    allowed = "a file that begins with the line # @package _global_ and has a mapping named experiment"
    require(is_mapping, file, settings, allowed)
    _require_known_fields(file, config)
    for key in settings:
        require(key in _KEYS, f"experiment of {file}", key, f"made of the keys {', '.join(_KEYS)}")
    if "experiments" in settings:
        return
    factor, label = settings.get("factor"), settings.get("label")
    is_factor = isinstance(factor, str) or _is_texts(factor)
    require(is_factor, f"experiment.factor of {file}", factor, "the path of the swept value, a text")
    require(isinstance(label, str), f"experiment.label of {file}", label, "the name of the axis, a text")
    _require_grids(f"experiment.grids of {file}", settings.get("grids"))
    if settings.get("shared", []) != []:
        _require_grids(f"experiment.shared of {file}", settings["shared"])


def _require_known_fields(file: str, config: dict[str, Any]) -> None:
    """Raise `BadInputError` if a file sets a field that neither training nor analysis has."""
    fields = _known_fields()
    for field in config:
        require(field in fields, f"field of {file}", field, f"one of {', '.join(sorted(fields))}")


@functools.cache
def _known_fields() -> frozenset[str]:
    """Return the fields of training and analysis, composed once for all files of a list of experiments."""
    analysis: Iterable[Any] = OmegaConf.load(CONF / "analyze.yaml")
    return frozenset({"experiment", *compose("train", []), *analysis} - {"defaults", "hydra"})


def _require_grids(field: str, grids: Any) -> None:
    is_grids = isinstance(grids, list) and grids != [] and all(map(_is_texts, grids))
    allowed = 'a list of lists of overrides, with several values in quotes: [[task=flip_flop, "gamma=0.5,1"]]'
    require(is_grids, field, grids, allowed)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(isinstance(text, str) for text in value)
