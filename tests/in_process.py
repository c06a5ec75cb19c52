"""Commands run inside the test process: for input that ends before any work starts."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import io
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from launch.experiment import Experiment

SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGUSR2


@dataclasses.dataclass(frozen=True)
class Ended:
    """The exit code and the output of a command."""

    code: int
    stdout: str
    stderr: str


def run_in_process(folder: Path, module: str, *arguments: str) -> Ended:
    """Run `python -m MODULE ARGUMENTS` in a folder, without starting a process.

    Global state (arguments, environment, Hydra, signal handlers, torch, logging) is restored.
    """
    stdout, stderr = io.StringIO(), io.StringIO()
    code = 0
    with _restored_state(), contextlib.chdir(folder):
        sys.argv = [module, *arguments]
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            try:
                importlib.import_module(module).main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Ended(code, stdout.getvalue(), stderr.getvalue())


def rejection(folder: Path, module: str, *arguments: str) -> str:
    """Return the one sentence of a command that rejects its input."""
    return sentence_of(run_in_process(folder, module, *arguments))


def compose_once(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Let a module compose each experiment once: for calls that share their configuration folder."""
    original = importlib.import_module(module).experiments

    @functools.cache
    def cached(name: str, overrides: tuple[str, ...]) -> list[Experiment]:
        return original(name, overrides)

    def experiments(name: str, overrides: Sequence[str] = ()) -> list[Experiment]:
        return cached(name, tuple(overrides))

    monkeypatch.setattr(f"{module}.experiments", experiments)


def sentence_of(ended: Ended) -> str:
    """Return the sentence, once code 2, an empty output and a single line of errors are checked."""
    assert ended.code == 2, ended.stdout + ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.endswith(".\n")
    assert ended.stderr.count("\n") == 1
    return ended.stderr.removeprefix("error: ").removesuffix("\n")


@contextlib.contextmanager
def _restored_state() -> Iterator[None]:
    argv, path, environment = sys.argv, list(sys.path), dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    threads, flushes = torch.get_num_threads(), _flushes_denormals()
    root, hydra_config = logging.getLogger(), HydraConfig.instance().cfg
    level, root_handlers = root.level, list(root.handlers)
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, path
        os.environ.clear()
        os.environ.update(environment)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushes)
        root.setLevel(level)
        root.handlers[:] = root_handlers
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = hydra_config


def _flushes_denormals() -> bool:
    smallest = torch.tensor([torch.finfo(torch.float64).tiny], dtype=torch.float64)
    return bool((smallest / 2 == 0).item())
