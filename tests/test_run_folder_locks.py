"""Locks of run folders: one process writes at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import os

import pytest

from degen.errors import BadInputError
from degen.locks import ClaimedError
from launch.slurm.submissions import locked
from tests.test_storage import SEEDS, stored


def test_a_folder_is_locked_once_and_released(folder):
    with folder.lock():
        with pytest.raises(ClaimedError, match=f"trained by process {os.getpid()} on "), folder.lock():
            pass
        assert (folder.path / "condition.yaml").exists()
    with folder.lock():
        pass


def test_without_file_locks_a_warning_is_given(folder, monkeypatch):
    def refuse(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.warns(UserWarning, match=r"cannot be locked \(No locks available\): nothing keeps"),
        folder.lock(),
    ):
        assert (folder.path / "condition.yaml").exists()
    with pytest.warns(UserWarning, match="cannot be locked"), locked(folder.path):
        pass


def test_a_lock_that_cannot_be_opened_is_rejected(folder):
    (folder.path / "claim").mkdir()
    with (
        pytest.raises(BadInputError, match="runs must be folders whose claims can be written to"),
        folder.lock(),
    ):
        pass


def test_locking_removes_only_temporary_files(folder):
    stored(folder, SEEDS, epochs=1)
    before = sorted(path for path in folder.path.rglob("*"))
    for place in (folder.path, folder.path / "networks"):
        (place / ".checkpoint.safetensors.0123.part").write_text("half")
    with folder.lock():
        pass
    assert sorted(path for path in folder.path.rglob("*")) == before


def test_create_and_validate_write_no_file(folder):
    before = sorted(folder.path.rglob("*"))
    for _ in range(2):
        folder.create(0)
    folder.validate()
    assert sorted(folder.path.rglob("*")) == before == [folder.path / "networks"]


def test_manifests_are_json_with_the_signature(tiny_run):
    manifest = json.loads((tiny_run / "manifest.json").read_text())
    assert tiny_run.name.endswith(manifest["signature"])
