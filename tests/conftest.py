"""Shared fixtures: conditions composed as by a user, and commands in separate processes."""

from __future__ import annotations

import functools
import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import degen
from degen.condition import Condition
from degen.storage import RunFolder
from degen.tasks import Task
from launch.config import compose
from tests.login import PATIENCE, ROOT, Login, cluster, login, record  # noqa: F401 (fixtures)

TINY = (
    "task.n_steps=20",
    "width=8",
    "training.batch_size=8",
    "training.steps_per_epoch=4",
    "training.validation_trials=8",
    "training.confirmation_trials=16",
    "training.max_epochs=4",
)
"""Overrides of the flip-flop that train in a fraction of a second."""

TINY_OFTEN = (*TINY, "seeds=3", "checkpoint_seconds=0")
"""Arguments that train the networks of `tiny_run` and store them after every epoch."""

# As in launch.train: networks of an ensemble are distributed over the cores instead.
torch.set_num_threads(1)

# Children are forked from a process that has imported everything and composed a configuration: real processes
# without seconds of imports.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["launch.train", "analysis.__main__", "tests.conftest", "tests.composed"])


def pytest_configure(config: pytest.Config) -> None:
    """Hide CUDA devices except from `pytest -m gpu`: processes are not forked if torch sees a device."""
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    else:
        # `make gpu` ends a step that is out of time. Report the failures so far.
        signal.signal(signal.SIGTERM, signal.default_int_handler)


SLOWEST_FILES = (
    "test_paper",
    "test_analysis_again",
    "test_hyperparameters",
    "test_gpu",
    "test_conf",
    "test_interruption",
    "test_refused_analyses",
)
"""Files that take longest. Workers start with them, so that none of them runs last by itself."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest files first."""
    ranks = {name: rank for rank, name in enumerate(SLOWEST_FILES)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show SLURM's record and the logs of jobs where a test on a real SLURM failed."""
    report = yield
    user = getattr(item, "funcargs", {}).get("login")
    if report.when == "call" and report.failed and isinstance(user, Login):
        report.sections.append(("SLURM's record", record(user.cluster, user.workspace)))
    return report


@functools.cache
def build(*overrides: str) -> Condition:
    """The condition of `launch.train` with these overrides."""
    return Condition.from_config(compose("train", list(overrides)))


def task(*overrides: str) -> Task:
    """Its task."""
    return build(*overrides).task


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
    """

    def __init__(
        self,
        arguments: tuple[str, ...],
        folder: Path,
        before: Callable[[], None] | None = None,
        module: str = "launch.train",
    ):
        self.workspace = tempfile.TemporaryDirectory()
        self.outputs = Path(self.workspace.name) / "stdout", Path(self.workspace.name) / "stderr"
        self.process = _PROCESSES.Process(target=_run, args=(module, arguments, folder, self.outputs, before))
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
) -> None:
    # As on a terminal: in a job that a shell put in the background, it would be ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    for path, stream in zip(outputs, (sys.stdout, sys.stderr), strict=True):
        with open(path, "wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    sys.argv = [module, *arguments]
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


def run_folder(workspace: Path) -> Path:
    """The only run folder of the flip-flop below runs/ there."""
    (folder,) = workspace.glob("runs/flip_flop/*")
    return folder


def assert_same_networks(folder: Path, expected: Path) -> None:
    """Two run folders hold the same networks, bit for bit."""
    run, other = degen.load(folder), degen.load(expected)
    assert run.seeds == other.seeds
    pd.testing.assert_frame_equal(run.history, other.history, check_exact=True)
    settled, others_settled = (trained.with_weights_at("settled").weights for trained in (run, other))
    for mine, theirs in (
        (run.initial, other.initial),
        (run.weights, other.weights),
        (settled, others_settled),
    ):
        assert set(mine) == set(theirs)
        for name, weights in mine.items():
            assert torch.equal(weights, theirs[name]), name


Launch = Callable[..., Launched]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Launch]:
    """Start `launch.train` in an empty folder, with runs/ there; whatever still runs at the end is killed."""
    started: list[Launched] = []

    def start(*arguments: str, **options: Any) -> Launched:
        started.append(Launched(arguments, tmp_path, **options))
        return started[-1]

    yield start
    for launched in started:
        launched.kill()
        launched.process.join()


@pytest.fixture
def launch(start: Launch) -> Launch:
    """Start a process, wait for its end and assert that it succeeded."""

    def launch(*arguments: str, **options: Any) -> Launched:
        launched = start(*arguments, **options)
        assert launched.wait() == 0, launched.stderr
        return launched

    return launch


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run folder of the tiny condition without networks."""
    new = RunFolder.of(tmp_path / "runs", build(*TINY))
    new.create(bytes_needed=0)
    return new


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of three tiny trained networks. Read only: copy it to change it."""
    return _trained((*TINY, "seeds=3"), tmp_path_factory.mktemp("tiny"))


def _trained(arguments: tuple[str, ...], workspace: Path) -> Path:
    launched = Launched(arguments, workspace)
    assert launched.wait() == 0, launched.stderr
    return run_folder(workspace)
