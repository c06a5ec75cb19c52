"""Hydra: composed configurations, sweeps, launchers, and groups that take any number.

Options of a Hydra group are files, but the groups `width` and `gamma` take any number: `width=100` has no
file. `NumberSource` provides these options, and `quote_numbers` lets Hydra accept a number as a name.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Transformer, ValueType
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from degen.errors import BadInputError, require
from launch import paths

CONF = str(paths.CONF)
NUMBER_GROUPS = ("width", "gamma")
_NO_NUMBER = "nan"  # an option of these groups that stands for all of them


class NumberSource(ConfigSource):
    """Options of the groups `width` and `gamma` without files: `width=100` sets {width: 100} at the top."""

    @staticmethod
    def scheme() -> str:
        return "number"

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path.strip("/") in ("", *NUMBER_GROUPS)

    def is_config(self, config_path: str) -> bool:
        return parse_number(config_path) is not None

    def load_config(self, config_path: str) -> ConfigResult:
        number = parse_number(config_path)
        if number is None:
            raise ConfigLoadError(f"no number: {config_path}")
        group = config_path.strip("/").partition("/")[0]
        config = OmegaConf.create({group: number})
        return ConfigResult(self.provider, self.full_path(), config, header={"package": "_global_"})

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        return ["any number"] if config_path.strip("/") in NUMBER_GROUPS else []


def parse_number(config_path: str) -> int | float | None:
    """Return the number of an option such as `width/100`; None for other options."""
    group, _, text = config_path.strip("/").removesuffix(".yaml").partition("/")
    if group not in NUMBER_GROUPS:
        return None
    try:
        return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
    except ValueError:
        return None


Plugins.instance().register(NumberSource)


def quote_numbers(overrides: list[str]) -> list[str]:
    """Write `gamma=0.5,1` as `gamma='0.5','1'`: Hydra accepts only text as the name of an option of a group.

    Sweeps of numbers such as `width=range(32,129,32)` are expanded.
    """
    groups = _groups()
    return [_quote_numbers(text) if text.partition("=")[0] in groups else text for text in overrides]


def _groups() -> set[str]:
    """Return the names of the groups of options in `conf/`."""
    return {path.name for path in Path(CONF).iterdir()}


def _quote_numbers(override: str) -> str:
    (parsed,) = OverridesParser.create().parse_overrides([override])
    if parsed.value_type in (ValueType.GLOB_CHOICE_SWEEP, ValueType.INTERVAL_SWEEP):
        return override
    values: list[Any] = list(parsed.sweep_iterator()) if parsed.is_sweep_override() else [parsed.value()]
    if not all(value is None or isinstance(value, bool | int | float) for value in values):
        return override
    group = override.partition("=")[0]
    return f"{group}=" + ",".join(f"'{Transformer.str(value)}'" for value in values)


def compose(config_name: str, overrides: list[str]) -> dict[str, Any]:
    """Return the resolved configuration `conf/<config_name>.yaml` with overrides.

    Raises:
        BadInputError: an override adds a field that does not exist.
    """
    return compose_all(config_name, [overrides])[0]


def compose_all(config_name: str, lines: Sequence[list[str]]) -> list[dict[str, Any]]:
    """Return the resolved configuration of each list of overrides, as `compose`.

    Lists that differ only in `width`, `gamma` and values of nested fields, such as `task.channels=2`, are
    composed once: Hydra needs most of the time to choose, read and merge files.

    Raises:
        BadInputError: an override adds a field that does not exist.
    """
    if not GlobalHydra.instance().is_initialized():
        with hydra.initialize_config_dir(CONF, version_base="1.3"):
            return compose_all(config_name, lines)
    composed: dict[tuple[str, ...], DictConfig] = {}
    configs = []
    for overrides in map(quote_numbers, lines):
        values = _nested_values(overrides)
        others = [text for text in overrides if text not in [value.input_line for value in values]]
        shared, numbers = _without_numbers(others)
        try:
            if shared not in composed:
                composed[shared] = hydra.compose(config_name, list(shared))
                require_known(config_name, composed[shared], shared)
            config = copy.deepcopy(composed[shared])
            for group, number in numbers.items():
                if str(config.get(group)) == _NO_NUMBER:  # an experiment file may set another
                    config[group] = number
            for value in values:
                OmegaConf.update(config, value.key_or_group, value.value(), merge=True)
        except (HydraException, OmegaConfBaseException):
            hydra.compose(config_name, overrides)  # raises an error that names the user's override
            raise
        configs.append(resolved(config))
    return configs


def _nested_values(overrides: Sequence[str]) -> list[Override]:
    """Return the overrides that set the value of a nested field, or none if their order among all matters.

    Hydra merges the files of all groups first, and then applies the other overrides in their order. Values
    of nested fields may come last unless another override adds or removes a field, or replaces their parent.
    """
    nested = [text for text in overrides if re.match(r"(?!hydra\.)\w+\.[\w.]+=", text)]
    parents = {text.partition(".")[0] for text in nested} - _groups()
    if any(text.startswith(("+", "~")) or text.partition("=")[0] in parents for text in overrides):
        return []
    parsed = OverridesParser.create().parse_overrides(nested)
    return [] if any(value.is_sweep_override() for value in parsed) else parsed


def _without_numbers(overrides: Sequence[str]) -> tuple[tuple[str, ...], dict[str, int | float]]:
    """Replace the numbers of `width` and `gamma` by `_NO_NUMBER`, and return the last of each group."""
    shared, numbers = [], {}
    for override in overrides:
        group, _, value = override.partition("=")
        number = parse_number(f"{group}/" + value.strip("'"))
        if number is not None:
            numbers[group] = number
        shared.append(override if number is None else f"{group}='{_NO_NUMBER}'")
    return tuple(shared), numbers


def require_known(config_name: str, config: DictConfig, overrides: Sequence[str]) -> None:
    """Raise `BadInputError` if `+name=value` adds a field that does not exist.

    Hydra suggests the plus sign for every misspelled field. Fields below the top level are checked by the
    classes that are built from them.
    """
    added = {re.split(r"[.@/=]", text.lstrip("+"))[0]: text for text in overrides if text.startswith("+")}
    if not added.keys() & set(config):
        return
    composed = hydra.compose(config_name, [text for text in overrides if not text.startswith("+")])
    for name in added.keys() & set(config):
        value = added[name].partition("=")[2]
        require(name in composed, name, value, f"one of {', '.join(map(str, composed))} (no such field)")


def resolved(config: DictConfig) -> dict[str, Any]:
    """Return a configuration as plain dictionaries and lists with all interpolations resolved.

    Raises:
        BadInputError: an experiment file replaces a group of options by a text.
    """
    for group in ("task", "parameterization", "training", "regularizer", "scale"):
        option = config.get(group)
        if isinstance(option, str):
            raise BadInputError(
                f"{group} is a group of options, and an experiment file sets it to {option!r}. Write "
                f"'override /{group}: {option}' below 'defaults:' in the file."
            )
    return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]


def expand_sweep(overrides: list[str]) -> list[list[str]]:
    """Return every combination of overrides with several values.

    Example:
        >>> expand_sweep(["seeds=1,2", "runs=here"])
        [['seeds=1', 'runs=here'], ['seeds=2', 'runs=here']]
    """
    parsed = OverridesParser.create().parse_overrides(quote_numbers(overrides))
    return [list(combination) for combination in BasicSweeper.split_arguments(parsed, None)[0]]


def compose_launcher(config_name: str, overrides: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the name and the settings of the launcher that overrides choose.

    Args:
        overrides: may have several values; the first is used.

    Raises:
        BadInputError: the launcher lacks a required value.
    """
    return launcher_settings(hydra.compose(config_name, expand_sweep(overrides)[0], return_hydra_config=True))


def launcher_settings(config: DictConfig) -> tuple[str, dict[str, Any]]:
    """Return the launcher's name and settings from a composed config that includes the `hydra` node.

    Raises:
        BadInputError: the launcher lacks a required value.
    """
    name, launcher = config.hydra.runtime.choices["hydra/launcher"], config.hydra.launcher
    for field in OmegaConf.missing_keys(launcher):
        raise BadInputError(f"{field} is missing: the launcher {name} needs a value for it.")
    # Hydra names its own files and jobs with these two; launch.submit chooses other names.
    plain = {field: launcher[field] for field in launcher if field not in ("name", "submitit_folder")}
    return name, resolved(OmegaConf.create(plain))


def in_launcher_job() -> bool:
    """Return whether Hydra's launcher started this process as a job."""
    return "SUBMITIT_EXECUTOR" in os.environ
