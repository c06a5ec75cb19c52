"""Commands in processes of their own, forked so that they do not import everything again."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster import PATIENCE

# Children are forked from a process that has imported everything and composed a configuration: real processes
# without seconds of imports.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.preloaded"])


def collect_less_garbage() -> None:
    """Collect garbage less often, and ignore the objects that exist already. Tests take 8 % less time."""
    gc.enable()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"in vain until {what}"
        time.sleep(0.01)


class Launched:
    """`python -m MODULE ARGUMENTS` in a process of its own, its output in files.

    Args:
        before: called in that process before the entry point, to break something there.
        environment: variables of that process; None for those of the tests.
    """

    def __init__(
        self,
        arguments: tuple[str, ...],
        folder: Path,
        before: Callable[[], None] | None = None,
        module: str = "launch.train",
        environment: dict[str, str] | None = None,
    ):
        self.workspace = tempfile.TemporaryDirectory()
        self.outputs = Path(self.workspace.name) / "stdout", Path(self.workspace.name) / "stderr"
        run = module, arguments, folder, self.outputs, before, environment, dict(os.environ)
        self.process = _PROCESSES.Process(target=_run, args=run)
        self.process.start()

    @property
    def stdout(self) -> str:
        return self.outputs[0].read_text() if self.outputs[0].exists() else ""

    @property
    def stderr(self) -> str:
        return self.outputs[1].read_text() if self.outputs[1].exists() else ""

    def wait(self) -> int:
        """The exit code; minus the signal's number if one killed the process."""
        self.process.join(timeout=PATIENCE)
        code = self.process.exitcode
        assert code is not None, "the process hangs"
        return code

    def wait_for(self, text: str) -> None:
        """Wait until that is printed."""

        def is_printed() -> bool:
            alive = self.process.is_alive()
            printed = text in self.stdout
            assert alive or printed, f"ended without printing {text!r}: {self.stdout}{self.stderr}"
            return printed

        wait_until(is_printed, f"{text!r} is printed")

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, unless the process has ended."""
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, number)


def _run(
    module: str,
    arguments: tuple[str, ...],
    folder: Path,
    outputs: tuple[Path, Path],
    before: Callable[[], None] | None,
    environment: dict[str, str] | None,
    inherited: dict[str, str],
) -> None:
    collect_less_garbage()
    # As on a terminal: in a job that a shell put in the background, it would be ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    for path, stream in zip(outputs, (sys.stdout, sys.stderr), strict=True):
        with open(path, "wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    sys.argv = [module, *arguments]
    # The process that this one is forked from has the variables of an earlier test.
    os.environ.clear()
    os.environ.update(inherited if environment is None else environment)
    if environment is not None:
        sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)
    if before is not None:
        before()
    importlib.import_module(module).main()


def refusal(launched: Launched) -> str:
    """Return the sentence of a process that rejects its input."""
    assert launched.wait() == 2, launched.stdout + launched.stderr
    assert launched.stdout == ""
    assert launched.stderr.startswith("error: ")
    assert launched.stderr.endswith(".\n")
    assert launched.stderr.count("\n") == 1
    return launched.stderr.removeprefix("error: ").removesuffix("\n")
