"""Atomic writes and checked tensor files."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

import pytest
import torch

from degen.errors import BadInputError
from degen.files import (
    has_content,
    is_complete,
    read_metadata,
    read_tensors,
    write_atomically,
    write_tensors,
)

TENSORS = {
    "a": torch.arange(3, dtype=torch.float32),
    "b/c": torch.full((1, 2), -1.5, dtype=torch.float64),
    "empty": torch.zeros(0, dtype=torch.float64),
}
METADATA = {"seed": 3, "status": "converged"}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_tensors(tmp_path / "file.safetensors", TENSORS, METADATA)
    return tmp_path / "file.safetensors"


def test_tensors_and_metadata_read_equal_those_written(written):
    tensors, metadata = read_tensors(written)
    assert metadata.items() >= METADATA.items()
    assert set(tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def refused(path: Path, content: bytes) -> bool:
    """Check that a file with these contents is rejected in one sentence that names it."""
    path.write_bytes(content)
    try:
        read_tensors(path)
    except BadInputError as error:
        return str(error).startswith(f"{path} must be ") and "\n" not in str(error)
    return False


def test_a_file_truncated_anywhere_is_rejected(written):
    content = written.read_bytes()
    assert [size for size in range(len(content)) if not refused(written, content[:size])] == []
    assert refused(written, content + b"\0")
    assert not refused(written, content)


def test_a_file_with_one_flipped_bit_is_rejected(written):
    content = written.read_bytes()
    unnoticed = []
    for bit in range(0, 8 * len(content), 5):  # every byte; every bit of a byte in turn
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        if not refused(written, bytes(flipped)):
            unnoticed.append(bit)
    assert unnoticed == []


def test_altered_metadata_are_rejected(written):
    content = written.read_bytes()
    assert content.count(b"converged") == 1
    assert refused(written, content.replace(b"converged", b"divergent"))


def test_metadata_are_read_without_tensors_or_empty(written):
    assert read_metadata(written).items() >= METADATA.items()
    for content in (
        b"",
        b"\xff" * 100,
        b"\2" + bytes(7) + b"[]",
        b"\2" + bytes(7) + b"{}",
        b"\1" + bytes(7) + b"1",
    ):
        written.write_bytes(content)
        assert read_metadata(written) == {}


def test_a_file_has_the_permissions_of_the_umask(tmp_path):
    for mask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        before = os.umask(mask)
        try:
            write_atomically(tmp_path / "file", b"")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_a_filesystem_without_folder_sync_is_supported(tmp_path, monkeypatch):
    for number, refused in ((errno.EINVAL, False), (errno.EIO, True)):

        def fsync(descriptor, number=number):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="error") if refused else contextlib.nullcontext():
            write_atomically(tmp_path / "file", b"content")
        assert (tmp_path / "file").read_bytes() == b"content"


def test_a_file_of_another_length_is_not_complete(written):
    assert is_complete(written)
    content = written.read_bytes()
    for other in (b"", content[:5], content[:100], content[:-1], content + b"0", b"\0" * len(content)):
        written.write_bytes(other)
        assert not is_complete(written)


def test_equal_tensors_and_metadata_give_equal_bytes(tmp_path):
    tensors = {name: torch.arange(3.0) for name in ("b", "a", "c")}
    contents = set()
    for order in (("seed", "status", "signature"), ("status", "signature", "seed")):
        for number in range(4):
            path = tmp_path / f"{order[0]}{number}"
            write_tensors(path, tensors, {name: f"its {name}" for name in order})
            contents.add(path.read_bytes())
    assert len(contents) == 1


def test_a_path_may_be_a_string(written):
    assert read_tensors(str(written))[1] == read_tensors(written)[1]


def test_a_dangling_link_and_a_folder_are_rejected(written, tmp_path):
    link = tmp_path / "link.safetensors"
    link.symlink_to("../annex/objects/gone")
    allowed = "must be a file that can be read, got a link to a missing file"
    with pytest.raises(BadInputError, match=rf"link\.safetensors {allowed}\.$"):
        read_tensors(link)
    with pytest.raises(BadInputError, match=r"must be a file that can be read, got Is a directory\.$"):
        read_tensors(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_tensors(tmp_path / "nowhere")
    assert (read_metadata(link), is_complete(link)) == ({}, False)


def test_content_of_an_unreadable_file_is_other_content(tmp_path):
    (tmp_path / "file").write_bytes(b"\xff")
    assert has_content(tmp_path / "file", b"\xff")
    assert not has_content(tmp_path / "file", b"")
    assert not has_content(tmp_path, b"")
    assert not has_content(tmp_path / "nowhere", b"")
