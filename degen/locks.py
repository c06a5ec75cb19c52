"""Claims: file locks of the kernel, which end with their process, however that died."""

from __future__ import annotations

import fcntl
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from degen.errors import BadInputError, UnwritableError

_held: set[TextIO] = set()
"""Files of the claims that this process holds."""


def _close_claims() -> None:
    """A forked child would keep its dead parent's claim alive for as long as it has the file open."""
    for file in _held:
        file.close()


os.register_at_fork(after_in_child=_close_claims)


class ClaimedError(Exception):
    """Another process trains in this run folder."""


@contextmanager
def claimed(file: Path, *, shared: bool) -> Iterator[None]:
    """Hold a file, for this process alone or together with others that share it.

    Where the filesystem has no locks, a warning says that nothing is held.

    Raises:
        ClaimedError: another process holds it in another way; the message says which.
        BadInputError: the file is somebody else's, who keeps it.
        UnwritableError: the disk is full, say.
    """
    try:
        held = open(file, "a+")  # noqa: SIM115 (closed below)
    except OSError as error:
        message = f"runs must be folders whose claims can be written to, got {file} ({error.strerror})."
        raise BadInputError(message) from error
    with held as opened:
        try:
            fcntl.flock(opened, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            opened.seek(0)
            raise ClaimedError(opened.read().strip() or "another process") from None
        except OSError as error:
            warn_unlocked(file.parent, error)
        try:
            # Past the buffer of the file, which on a full disk would be written again when it is closed.
            os.ftruncate(opened.fileno(), 0)
            os.write(opened.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        except OSError as error:
            raise UnwritableError(error.errno, error.strerror, str(file)) from error
        _held.add(opened)
        try:
            yield
        finally:
            _held.discard(opened)


def warn_unlocked(folder: Path, error: OSError) -> None:
    """Some mounts of Lustre and NFS have no locks: work goes on there, unguarded."""
    message = f"{folder} cannot be locked ({error.strerror}): nothing keeps a second process from it"
    warnings.warn(message, stacklevel=3)


def is_held_here(file: Path) -> bool:
    """Whether a process of this machine holds the claim; of others, and outside Linux, nothing is known.

    The process is asked, not the lock: who tried the lock would hold it for a moment.
    """
    process, _, host = file.read_text().strip().removeprefix("process ").partition(" on ")
    if host != socket.gethostname():
        return False
    for opened in Path("/proc", process, "fd").glob("*"):
        with suppress(OSError):
            if os.path.samefile(opened, file):
                return True
    return False
