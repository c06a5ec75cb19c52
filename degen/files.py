"""Atomic file writes, and tensor files with a checksum."""

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

_MAX_HEADER_BYTES = 100_000_000  # the limit of safetensors
_METADATA_KEY = "degen"

MOUNTS = Path("/proc/self/mounts")
"""List of mounted filesystems, on Linux."""

WITHOUT_ATOMIC_RENAMES = (
    *("vfat", "msdos", "exfat", "cifs", "smb3"),
    *("fuse.s3fs", "fuse.gcsfuse", "fuse.goofys", "fuse.rclone", "fuse.mount-s3", "fuse.mountpoint-s3"),
)
"""Filesystems on which replacing a file is not atomic."""


def require_atomic_renames(field: str, folder: Path) -> None:
    """Raise `BadInputError` if a folder is on a filesystem where `write_atomically` is not atomic."""
    folder = folder.resolve()
    filesystem = ""
    mounts = [line.split() for line in MOUNTS.read_text().splitlines()] if MOUNTS.exists() else []
    # The longest mount point that contains the folder comes last.
    for _, mount_point, mount_type, *_ in sorted(mounts, key=lambda mount: len(mount[1])):
        if folder.is_relative_to(mount_point.replace("\\040", " ")):
            filesystem = mount_type
    if filesystem in WITHOUT_ATOMIC_RENAMES:
        raise BadInputError(
            f"{field} must be on a filesystem whose renames are atomic, got {folder} on {filesystem}: a "
            f"process that is killed while it writes there could leave an incomplete file."
        )


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, sync it and rename it: readers see the old or the new file.

    Permissions follow the umask. An interrupted write leaves a temporary file `.*.part` in the folder.

    Raises:
        UnwritableError: the file cannot be written, for example on a full disk. An older file is intact.
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
    """Make new file names in a folder survive a power failure, if the filesystem supports it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def remove_temporary_files(folder: Path, prefix: str = "") -> None:
    """Delete the temporary files that interrupted writes left in a folder.

    Args:
        prefix: start of the names of the written files. No other process may be writing such files.
    """
    for part in folder.glob(f".{prefix}*.part"):
        part.unlink(missing_ok=True)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write a safetensors file with JSON metadata and a SHA-256 checksum of tensors and metadata.

    Args:
        path: the file, replaced atomically.
        tensors: tensors on any device, by name.
        metadata: values that JSON can represent.

    Raises:
        UnwritableError: the file cannot be written.

    Examples:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp()) / "file.safetensors"
        >>> write_tensors(path, {"x": torch.arange(3)}, {"seed": 1})
        >>> tensors, metadata = read_tensors(path)
        >>> tensors["x"], metadata["seed"]
        (tensor([0, 1, 2]), 1)
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = json.dumps(metadata, sort_keys=True)
    # Store a single entry. safetensors writes several entries in random order, so that files with equal
    # contents would differ.
    stored = json.dumps({"metadata": header, "sha256": _digest(plain, header)}, sort_keys=True)
    write_atomically(path, safetensors.torch.save(plain, metadata={_METADATA_KEY: stored}))


def read_entry(path: Path, name: str, index: int) -> Tensor:
    """Return one entry along the first axis of a tensor, without reading the rest or checking the checksum.

    Raises:
        BadInputError: the file is damaged or cannot be read.
    """
    with _reading(path), safe_open(path, framework="pt") as file:
        return file.get_slice(name)[index]


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Convert errors of reading a tensor file to a message for the user.

    Raises:
        BadInputError: the file is damaged, unreadable, a folder, or a link to a missing file.
        OSError: the file does not exist.
    """
    try:
        yield
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        problem = f"{path} must be a complete file written by degen, got a damaged one ({error})."
        raise BadInputError(problem) from error
    except OSError as error:
        if not os.path.lexists(path):
            raise
        message = f"{path} must be a file that can be read, got {describe_read_error(path, error)}."
        raise BadInputError(message) from error


def describe_read_error(path: Path, error: OSError) -> str:
    """Return in words why an existing path cannot be read."""
    is_broken = path.is_symlink() and not path.exists()
    return "a link to a missing file" if is_broken else error.strerror or str(error)


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a file by name, and its metadata with the checksum as `sha256`.

    Raises:
        BadInputError: the file is damaged, altered or cannot be read.
    """
    path = Path(path)
    with _reading(path):
        # Read once: another process may replace the file at any time.
        content = path.read_bytes()
        tensors = safetensors.torch.load(content)
        header, digest = _read_header(io.BytesIO(content))
    if _digest(tensors, header) != digest:
        raise BadInputError(
            f"{path} must be as degen wrote it, got contents that do not match their checksum."
        )
    return tensors, json.loads(header) | {"sha256": digest}


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata without reading the tensors; an empty dictionary if it cannot be read."""
    try:
        with open(path, "rb") as file:
            header, digest = _read_header(file)
    except (KeyError, ValueError, TypeError, OSError):
        return {}
    return json.loads(header) | {"sha256": digest}


def is_complete(path: Path) -> bool:
    """Return whether a tensor file has the length that its header states.

    This is fast. `read_tensors` checks every byte.
    """
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            entries = json.loads(file.read(min(length, _MAX_HEADER_BYTES)))
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
        size = path.stat().st_size
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OSError):
        return False
    return size == 8 + length + max(ends, default=0)


def sha256(path: Path) -> str:
    """Return the SHA-256 checksum of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def has_content(path: Path, content: bytes) -> bool:
    """Return whether a file can be read and has exactly this content."""
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _read_header(file: BinaryIO) -> tuple[str, str]:
    """Return the metadata as JSON, and the checksum."""
    # A file begins with the length of its header in 8 bytes.
    size = int.from_bytes(file.read(8), "little")
    stored = json.loads(json.loads(file.read(min(size, _MAX_HEADER_BYTES)))["__metadata__"][_METADATA_KEY])
    return stored["metadata"], stored["sha256"]


def _digest(tensors: Mapping[str, Tensor], header: str) -> str:
    """Return the SHA-256 checksum of the metadata and of the names, dtypes, shapes and values of tensors."""
    hashed = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        hashed.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        hashed.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()
