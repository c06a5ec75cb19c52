"""File locks of the operating system. A lock ends with its process, even if the process was killed."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

import filelock

from degen.errors import BadInputError, UnwritableError

logger = logging.getLogger(__name__)

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Error numbers of filesystems without locks, such as some mounts of Lustre and NFS."""

_open_locks: set[TextIO] = set()
"""Lock files of `hold_lock` that this process has open."""


def _close_locks() -> None:
    """Close inherited lock files: a forked child would keep its dead parent's lock."""
    for file in _open_locks:
        file.close()


os.register_at_fork(after_in_child=_close_locks)


class LockedError(Exception):
    """A lock that another process holds; the message names the process."""


@contextmanager
def hold_lock(file: Path, *, shared: bool) -> Iterator[None]:
    """Hold the lock of a file without waiting, exclusively or shared with other processes.

    The file contains the name of the process that locked it last. On a filesystem without locks, a warning
    is given and nothing is locked.

    Raises:
        LockedError: another process holds the lock.
        BadInputError: the file cannot be written to, because it belongs to another user for example.
        UnwritableError: the file cannot be written, because the disk is full for example.
    """
    try:
        lock = open(file, "a+")  # noqa: SIM115 (closed below)
    except OSError as error:
        message = f"runs must be a folder whose lock files can be written to, got {file} ({error.strerror})."
        raise BadInputError(message) from error
    with lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise LockedError(lock.read().strip() or "another process") from None
        except OSError as error:
            _warn_not_locked(file.parent, error)
        try:
            # Not through the file's buffer: on a full disk, closing the file would write the buffer again.
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        except OSError as error:
            raise UnwritableError(error.errno, error.strerror, str(file)) from error
        _open_locks.add(lock)
        try:
            yield
        finally:
            _open_locks.discard(lock)


@contextmanager
def exclusive_lock(folder: Path, field: str = "runs") -> Iterator[None]:
    """Hold the lock of a folder, `.submissions/lock`, and wait while another process holds it.

    On a filesystem without locks, a warning is given and nothing is locked.

    Args:
        folder: folder of runs or results.
        field: setting that names the folder, for the error message.

    Raises:
        BadInputError: the folder cannot be written to.
    """
    file = folder / ".submissions" / "lock"
    # Every user may lock the file, so that colleagues can share a folder.
    lock = filelock.FileLock(file, mode=0o666, fallback_to_soft=False)
    with ExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(lock.acquire(timeout=0))
            except filelock.Timeout:
                logger.info("waiting: another process is working in %s", folder)
                stack.enter_context(lock.acquire())
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                message = f"{field} must be a folder that can be written to, got {folder} ({error.strerror})."
                raise BadInputError(message) from error
            _warn_not_locked(file.parent, error)
        yield


def _warn_not_locked(folder: Path, error: OSError) -> None:
    message = f"{folder} cannot be locked ({error.strerror}): nothing keeps a second process from it"
    warnings.warn(message, stacklevel=3)


def is_locked_on_this_host(file: Path) -> bool:
    """Return whether a process on this host holds the lock of a file.

    Processes on other hosts cannot be checked, nor can any process outside Linux. The function looks at the
    open files of the process named in the file. Trying the lock would hold it for a moment, and a process
    that starts at that moment would find the file locked.
    """
    process, _, host = file.read_text().strip().removeprefix("process ").partition(" on ")
    if host != socket.gethostname():
        return False
    for opened in Path("/proc", process, "fd").glob("*"):
        with suppress(OSError):
            if os.path.samefile(opened, file):
                return True
    return False
