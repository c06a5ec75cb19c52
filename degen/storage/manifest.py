"""The manifest of a run folder: records of its training sessions."""

from __future__ import annotations

import dataclasses
import json
import operator
import os
from pathlib import Path
from typing import Any

from degen.errors import BadInputError
from degen.files import write_atomically
from degen.storage.paths import RunPaths

Session = dict[str, Any]
"""Record of one process that trained in a folder: versions, git commit, device, seconds, seeds."""

_FIELDS = ("started", "seconds", "seeds", "device", "versions", "git_commit")
"""Fields that every session has."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The manifests of a run folder, one file for the whole folder and one per shard.

    Attributes:
        paths: the shard whose manifest is written.
        signature: of the condition.
    """

    paths: RunPaths
    signature: str

    def read(self) -> list[Session]:
        """Return the sessions of the whole folder and of all shards, oldest first.

        Raises:
            BadInputError: a file is damaged.
        """
        files = self.paths.in_all_shards(self.paths.manifest.name)
        sessions = [session for file in files for session in _read_file(file)]
        return sorted(sessions, key=lambda session: session["started"])

    def read_shard(self) -> list[Session]:
        """Return the sessions of this shard, oldest first."""
        return _read_file(self.paths.manifest) if os.path.lexists(self.paths.manifest) else []

    def write_shard(self, sessions: list[Session]) -> None:
        """Store the sessions of this shard."""
        content = {"signature": self.signature, "sessions": sessions}
        write_atomically(self.paths.manifest, json.dumps(content, indent=2).encode())


def _read_file(file: Path) -> list[Session]:
    try:
        sessions: list[Session] = json.loads(file.read_text())["sessions"]
        for session in sessions:
            operator.itemgetter(*_FIELDS)(session)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise BadInputError(f"{file} must be as degen wrote it, got damaged contents ({error}).") from error
    return sessions
