"""Atomic writes, and tensor files with a checksum."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from degen.errors import BadInputError, UnwritableError

_LONGEST_HEADER = 100_000_000  # what safetensors itself allows
_ENTRY = "degen"  # of a file's metadata

MOUNTS = Path("/proc/self/mounts")
"""The list of mounted filesystems, on Linux."""

WITHOUT_ATOMIC_RENAMES = (
    *("vfat", "msdos", "exfat", "cifs", "smb3"),
    *("fuse.s3fs", "fuse.gcsfuse", "fuse.goofys", "fuse.rclone", "fuse.mount-s3", "fuse.mountpoint-s3"),
)
"""Filesystems on which replacing a file is not atomic."""


def require_atomic_renames(field: str, folder: Path) -> None:
    """Raise `BadInputError` if a folder is on a filesystem where `write_atomically` is not atomic."""
    folder = folder.resolve()
    kind = ""
    mounts = MOUNTS.read_text().splitlines() if MOUNTS.exists() else []
    for line in sorted(mounts, key=lambda line: len(line.split()[1])):
        _, place, type_, *_ = line.split()
        if folder.is_relative_to(place.replace("\\040", " ")):
            kind = type_
    if kind in WITHOUT_ATOMIC_RENAMES:
        raise BadInputError(
            f"{field} must be on a filesystem whose renames are atomic, got {folder} on {kind}: a process "
            f"that is killed while it writes there could leave an incomplete file."
        )


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, sync it, then rename it: readers see the old file or the new one.

    Permissions are those the umask gives. What an interrupted write leaves is a `.*.part` file beside it.

    Raises:
        UnwritableError: the system refuses; the old file is still there.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with open(part, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            raise UnwritableError(error.errno, error.strerror, str(path)) from error
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, if the filesystem supports it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def remove_temporary_files(folder: Path, name: str = "") -> None:
    """Delete the temporary files that interrupted writes left behind.

    Args:
        name: how the names of the files begin. No other process may be writing such files.
    """
    for part in folder.glob(f".{name}*.part"):
        part.unlink(missing_ok=True)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write a safetensors file with JSON metadata and a SHA-256 checksum of tensors and metadata.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp()) / "file.safetensors"
        >>> write_tensors(path, {"x": torch.arange(3)}, {"seed": 1})
        >>> tensors, metadata = read_tensors(path)
        >>> tensors["x"], metadata["seed"]
        (tensor([0, 1, 2]), 1)
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = json.dumps(metadata, sort_keys=True)
    # One entry: safetensors writes several in random order, and equal networks would have unequal files.
    stored = json.dumps({"metadata": header, "sha256": _digest(plain, header)}, sort_keys=True)
    write_atomically(path, safetensors.torch.save(plain, metadata={_ENTRY: stored}))


def read_entry(path: Path, name: str, index: int) -> Tensor:
    """Return one entry along the first axis of a tensor, without reading the rest or checking the checksum.

    Raises:
        BadInputError: the file is damaged or cannot be read.
    """
    with _reading(path), safe_open(path, framework="pt") as file:
        return file.get_slice(name)[index]


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Translate errors of reading a tensor file into one sentence; a file that is not there stays an OSError.

    Raises:
        BadInputError: the file is damaged, unreadable, a folder, or a link to a file that is not there.
    """
    try:
        yield
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        problem = f"{path} must be a complete file written by degen, got a damaged one ({error})."
        raise BadInputError(problem) from error
    except OSError as error:
        if not os.path.lexists(path):
            raise
        got = "a link to a file that is not there" if not path.exists() else error.strerror
        raise BadInputError(f"{path} must be a file that can be read, got {got}.") from error


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the metadata of a file, which contain the checksum as `sha256`.

    Raises:
        BadInputError: the file is damaged, altered or cannot be read.
    """
    path = Path(path)
    with _reading(path):
        # Read once: another process may replace the file at any time.
        content = path.read_bytes()
        tensors = safetensors.torch.load(content)
        header, digest = _header(io.BytesIO(content))
    if _digest(tensors, header) != digest:
        raise BadInputError(
            f"{path} must be as degen wrote it, got contents that do not match their checksum."
        )
    return tensors, json.loads(header) | {"sha256": digest}


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata without reading the tensors; empty if the file is not a tensor file."""
    try:
        with open(path, "rb") as file:
            header, digest = _header(file)
    except (KeyError, ValueError, TypeError, OSError):
        return {}
    return json.loads(header) | {"sha256": digest}


def is_complete(path: Path) -> bool:
    """Return whether a tensor file is as long as its header says. `read_tensors` checks every byte."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            entries = json.loads(file.read(min(length, _LONGEST_HEADER)))
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
        size = path.stat().st_size
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OSError):
        return False
    return size == 8 + length + max(ends, default=0)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _header(file: BinaryIO) -> tuple[str, str]:
    """Return metadata as JSON, and the checksum. A file begins with the length of its header in 8 bytes."""
    size = int.from_bytes(file.read(8), "little")
    stored = json.loads(json.loads(file.read(min(size, _LONGEST_HEADER)))["__metadata__"][_ENTRY])
    return stored["metadata"], stored["sha256"]


def _digest(tensors: Mapping[str, Tensor], header: str) -> str:
    hashed = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        hashed.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        hashed.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()
