"""The manifest of a results folder: its files are complete and come from one analysis."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from degen.files import sha256, write_atomically

_NAME = "manifest.json"


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The last file that an analysis writes, and the first that it removes.

    Attributes:
        networks: seeds of the analyzed networks, by the signature of their condition.
        settings: settings that the results depend on.
        files: SHA-256 checksums, by path relative to the results folder.
        figures_fingerprint: fingerprint of the inputs of the figures.
        figures: file names of the figures.
    """

    networks: dict[str, list[int]]
    settings: dict[str, Any]
    files: dict[str, str]
    figures_fingerprint: str
    figures: list[str]

    def changed_files(self, folder: Path) -> list[str]:
        """Return the files that are missing or differ from their checksum."""
        return [name for name, checksum in self.files.items() if _checksum(folder / name) != checksum]


def compute_checksums(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Return the checksums of existing files, by path relative to the folder."""
    return {str(path.relative_to(folder)): sha256(path) for path in paths if path.exists()}


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a results folder, or None if there is none or it cannot be read.

    A damaged manifest certifies nothing. The next analysis writes it again.
    """
    try:
        return Manifest(**json.loads((folder / _NAME).read_text()))
    except (OSError, TypeError, ValueError):
        return None


def remove_manifest(folder: Path) -> None:
    """Mark the files of a results folder as incomplete."""
    (folder / _NAME).unlink(missing_ok=True)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Certify the files of a results folder."""
    write_atomically(folder / _NAME, json.dumps(dataclasses.asdict(manifest), indent=1).encode())


def _checksum(path: Path) -> str:
    return sha256(path) if path.exists() else ""
