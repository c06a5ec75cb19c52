"""Run folders are written to by one process at a time."""

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


def test_a_folder_is_claimed_once_and_free_again_after(folder):
    with folder.lock():
        with pytest.raises(ClaimedError, match=f"trained by process {os.getpid()} on "), folder.lock():
            pass
        assert (folder.path / "condition.yaml").exists()
    with folder.lock():
        pass


def test_where_there_are_no_locks_a_warning_says_so_and_work_goes_on(folder, monkeypatch):
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


def test_a_claim_that_cannot_be_opened_is_one_sentence(folder):
    (folder.path / "claim").mkdir()
    with (
        pytest.raises(BadInputError, match="runs must be folders whose claims can be written to"),
        folder.lock(),
    ):
        pass


def test_a_claim_removes_what_interrupted_writes_left_and_nothing_else(folder):
    stored(folder, SEEDS, epochs=1)
    before = sorted(path for path in folder.path.rglob("*"))
    for place in (folder.path, folder.path / "networks"):
        (place / ".checkpoint.safetensors.0123.part").write_text("half")
    with folder.lock():
        pass
    assert sorted(path for path in folder.path.rglob("*")) == before


def test_whoever_has_not_claimed_the_folder_writes_no_file(folder):
    before = sorted(folder.path.rglob("*"))
    for _ in range(2):
        folder.create(0)
    folder.validate()
    assert sorted(folder.path.rglob("*")) == before == [folder.path / "networks"]


def test_manifests_are_json_that_tells_the_condition(tiny_run):
    manifest = json.loads((tiny_run / "manifest.json").read_text())
    assert tiny_run.name.endswith(manifest["signature"])
