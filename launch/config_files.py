"""Configuration files that Hydra parses once per process.

Hydra parses all files of a configuration again for every condition of an experiment, which takes a quarter of
the time of composing. A file that changes is parsed again.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path

from hydra._internal.config_repository import ConfigRepository
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource

_load = ConfigRepository.load_config
_parsed: dict[tuple[object, ...], ConfigResult] = {}


def parse_files_once() -> None:
    """Let Hydra parse files once in this process."""
    ConfigRepository.load_config = _load_config  # type: ignore[assignment]


def _load_config(repository: ConfigRepository, config_path: str) -> ConfigResult | None:
    source = repository._find_object_source(config_path, ObjectType.CONFIG)
    key = None if source is None else _key(source, config_path)
    if key is None:
        return _load(repository, config_path)
    if key not in _parsed:
        parsed = _load(repository, config_path)
        assert parsed is not None
        _parsed[key] = parsed
    # Hydra changes what it composes.
    return copy.deepcopy(_parsed[key])


def _key(source: ConfigSource, config_path: str) -> tuple[object, ...] | None:
    """Return what the content of a file depends on, or None if the source has no files."""
    name = source._normalize_file_name(config_path)
    if source.scheme() == "pkg":
        return source.provider, source.path, name
    if source.scheme() != "file":
        return None
    status = os.stat(Path(source.path) / name)
    return source.provider, source.path, name, status.st_mtime_ns, status.st_size, status.st_ino
