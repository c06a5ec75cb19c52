"""Locks: one process at a time writes to a run folder."""

from __future__ import annotations

import errno
import fcntl
import json
import os

import pytest

from degen.errors import BadInputError
from degen.locks import LockedError, exclusive_lock
from tests.storage.test_storage import SEEDS, stored


def test_a_run_folder_is_locked_once_and_free_afterwards(folder):
    with folder.lock():
        with pytest.raises(LockedError, match=f"trained by process {os.getpid()} on "), folder.lock():
            pass
        assert (folder.path / "condition.yaml").exists()
    with folder.lock():
        pass


def test_a_filesystem_without_locks_causes_a_warning(folder, monkeypatch):
    def refuse(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.warns(UserWarning, match=r"cannot be locked \(No locks available\): nothing keeps"),
        folder.lock(),
    ):
        assert (folder.path / "condition.yaml").exists()
    with pytest.warns(UserWarning, match="cannot be locked"), exclusive_lock(folder.path):
        pass


def test_a_lock_file_that_cannot_be_opened_is_rejected(folder):
    (folder.path / "claim").mkdir()
    with (
        pytest.raises(BadInputError, match="runs must be a folder whose lock files can be written to"),
        folder.lock(),
    ):
        pass


def test_locking_removes_only_temporary_files(folder):
    stored(folder, SEEDS, epochs=1)
    before = sorted(path for path in folder.path.rglob("*"))
    for path in (folder.path, folder.path / "networks"):
        (path / ".checkpoint.safetensors.0123.part").write_text("half")
    with folder.lock():
        pass
    assert sorted(path for path in folder.path.rglob("*")) == before


def test_without_the_lock_no_file_is_written(folder):
    before = sorted(folder.path.rglob("*"))
    for _ in range(2):
        folder.create(0)
    folder.validate()
    assert sorted(folder.path.rglob("*")) == before == [folder.path / "networks"]


def test_a_manifest_contains_the_signature(tiny_run):
    manifest = json.loads((tiny_run / "manifest.json").read_text())
    assert tiny_run.name.endswith(manifest["signature"])
