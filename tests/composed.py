"""Composed configurations that several tests share."""

from __future__ import annotations

import copy
import dataclasses
import functools
from pathlib import Path
from typing import Any

from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource

from launch.config import CONF, compose
from launch.experiment import Experiment, experiment, experiments


def _parse_files_once(source: type[ConfigSource]) -> None:
    """Parse each file of a kind of source once, and again when it has changed.

    Tests compose thousands of configurations from the same files. Hydra removes the defaults from what it
    loads, and copies the rest.
    """
    load_config = source.load_config
    results: dict[tuple[Any, ...], ConfigResult] = {}

    def load(self: ConfigSource, config_path: str) -> ConfigResult:
        file = Path(self.path, self._normalize_file_name(config_path))
        state = file.stat() if file.exists() else None
        key = (
            self.provider,
            self.path,
            config_path,
            state and (state.st_ino, state.st_mtime_ns, state.st_size),
        )
        if key not in results:
            results[key] = load_config(self, config_path)
        return dataclasses.replace(results[key], config=copy.copy(results[key].config))

    source.load_config = load  # type: ignore[method-assign]


Plugins.instance()  # registers the sources
for scheme in ("file", "pkg"):
    _parse_files_once(SourcesRegistry.instance().resolve(scheme))

BASE = compose("train", ["regularizer=l1", "parameterization=mup"])

# Forked processes inherit the fields of experiment files, which are composed once per process.
experiment("demo")


def all_of(name: str, scale: str = "full") -> list[Experiment]:
    """Return the experiments of a file, composed once."""
    return _composed(name, scale)


@functools.cache
def _composed(name: str, scale: str) -> list[Experiment]:
    if name in ("paper", "appendix"):
        listed = compose("train", [f"experiment={name}"])["experiment"]["experiments"]
        return [experiment for name in listed for experiment in all_of(name, scale)]
    return experiments(name, [f"scale={scale}"])


@functools.cache
def experiment_of(name: str, overrides: tuple[str, ...]) -> Experiment:
    """Return a single experiment, composed once."""
    return experiment(name, overrides)


def files(group: str) -> list[str]:
    return sorted(file.stem for file in (Path(CONF) / group).glob("*.yaml"))


def leaves(node: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of all values in a nested dictionary."""
    if not isinstance(node, dict):
        return [path]
    return [leaf for key, value in node.items() for leaf in leaves(value, (*path, key))]


def changed(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """BASE with another value at that path."""
    config = copy.deepcopy(BASE)
    node = config
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return config
