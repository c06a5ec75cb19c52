"""Files whose writing fails, is killed, or happens while they are read."""

from __future__ import annotations

import builtins
import functools
import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from degen.files import (
    read_metadata,
    read_tensors,
    remove_temporary_files,
    write_atomically,
    write_tensors,
)


def test_a_failed_write_leaves_only_the_old_file(tmp_path, monkeypatch):
    write_atomically(tmp_path / "file", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def _rewrite(path: Path) -> None:
    for number in itertools.count():
        write_tensors(path, {"number": torch.tensor([number])}, {"number": number})


def test_a_file_being_replaced_is_read_in_its_old_or_new_state(tmp_path):
    path = tmp_path / "file"
    write_tensors(path, {"number": torch.tensor([-1])}, {"number": -1})
    writer = multiprocessing.get_context("forkserver").Process(target=_rewrite, args=(path,))
    writer.start()
    read = []
    while len(set(read)) < 100:
        tensors, metadata = read_tensors(path)
        assert tensors["number"] == metadata["number"] <= read_metadata(path)["number"]
        read.append(int(tensors["number"]))
    writer.kill()
    writer.join()
    assert read == sorted(read)


class _Dying:
    """A file whose `write` stops half way, and with it the process."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, content: bytes) -> None:
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def _die_writing() -> None:
    opened = builtins.open
    builtins.open = lambda path, mode: _Dying(opened(path, mode))  # type: ignore[assignment]


def _die_at(name: str, *, after: bool) -> None:
    real = getattr(os, name)

    def dying(*arguments):
        if after:
            real(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(os, name, dying)


def _write(prepare: Callable[[], None], path: Path) -> None:
    prepare()
    write_atomically(path, b"new" * 1000)


MOMENTS = {
    "half way through the contents": (_die_writing, "old"),
    "before they are synced": (functools.partial(_die_at, "fsync", after=False), "old"),
    "when they are synced": (functools.partial(_die_at, "fsync", after=True), "old"),
    "before the renaming": (functools.partial(_die_at, "replace", after=False), "old"),
    "after the renaming": (functools.partial(_die_at, "replace", after=True), "new"),
}


@pytest.mark.parametrize("there_before", [True, False])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_write_leaves_the_old_or_the_new_file(tmp_path, moment, there_before):
    path = tmp_path / "file"
    if there_before:
        write_atomically(path, b"old" * 1000)
    prepare, left = MOMENTS[moment]
    process = multiprocessing.get_context("forkserver").Process(target=_write, args=(prepare, path))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    if left == "old" and not there_before:
        assert not path.exists()
    else:
        assert path.read_bytes() == left.encode() * 1000
    remove_temporary_files(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == (["file"] if path.exists() else [])
