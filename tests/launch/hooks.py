"""Hooks that tests install in a process before its entry point: signals, pauses and failures."""

from __future__ import annotations

import dataclasses
import itertools
import os
import resource
import signal
import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from launch.progress import Progress
from tests.conftest import wait_until


@dataclasses.dataclass(frozen=True)
class AtWrite:
    """Act at a moment of writing a file.

    Attributes:
        file: name of the file.
        moment: half written, before the renaming or after it.
        nth: write of that file.
    """

    file: str
    moment: str
    nth: int = 1

    def act(self) -> None:
        raise NotImplementedError

    def cut(self, descriptor: int) -> None:
        """Change the half-written file before `act` is called."""

    def __call__(self) -> None:
        fsync, replace = os.fsync, os.replace
        writes = itertools.count(1)

        def is_due(moment: str, path: Path) -> bool:
            return moment == self.moment and self.file in path.name and next(writes) == self.nth

        def acting_fsync(descriptor: int) -> None:
            if is_due("half written", Path(os.readlink(f"/proc/self/fd/{descriptor}"))):
                self.cut(descriptor)
                self.act()
            fsync(descriptor)

        def acting_replace(source: Path, target: Path) -> None:
            if is_due("before the renaming", target):
                self.act()
            replace(source, target)
            if is_due("after the renaming", target):
                self.act()

        os.fsync, os.replace = acting_fsync, acting_replace


@dataclasses.dataclass(frozen=True)
class Signal(AtWrite):
    """Send the process a signal, several times if asked."""

    number: int = signal.SIGKILL
    times: int = 1

    def act(self) -> None:
        for _ in range(self.times):
            os.kill(os.getpid(), self.number)

    def cut(self, descriptor: int) -> None:
        if self.number == signal.SIGKILL:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)


@dataclasses.dataclass(frozen=True)
class Pause(AtWrite):
    """Wait until the test makes the file `go` in the working folder."""

    def act(self) -> None:
        wait_until(Path("go").exists, "there is a file go")


@dataclasses.dataclass(frozen=True)
class AtCall:
    """Send the process a signal at the n-th call of a Python function, 0 for never.

    A random one is a random moment, however busy the machine is. The file `calls` says how many there are.

    Attributes:
        is_training: calls are counted while networks train, not from the start.
    """

    n: int
    number: int = signal.SIGKILL
    is_training: bool = True

    def __call__(self) -> None:
        process, calls = os.getpid(), 0

        def count(frame: FrameType, event: str, argument: Any) -> None:
            nonlocal calls
            if os.getpid() != process:  # a worker
                sys.setprofile(None)
            elif event == "call":
                calls += 1
                if calls == self.n:
                    sys.setprofile(None)
                    os.kill(process, self.number)

        enter, leave = Progress.__enter__, Progress.__exit__

        def counted_enter(progress: Progress) -> Progress:
            enter(progress)
            sys.setprofile(count)
            return progress

        def counted_exit(
            progress: Progress,
            kind: type[BaseException] | None,
            error: BaseException | None,
            trace: TracebackType | None,
        ) -> None:
            sys.setprofile(None)
            Path("calls").write_text(str(calls))
            leave(progress, kind, error, trace)

        if self.is_training:
            Progress.__enter__, Progress.__exit__ = counted_enter, counted_exit
        else:
            sys.setprofile(count)


@dataclasses.dataclass(frozen=True)
class LongestFile:
    """Limit the size of files, so that writing fails as on a full disk."""

    size: int

    def __call__(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.size))
