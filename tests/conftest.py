"""Shared fixtures: conditions composed as by a user, and commands in separate processes."""

from __future__ import annotations

import functools
import gc
import os
import signal
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
from tests.login import ROOT, Login, cluster, login, record  # noqa: F401 (fixtures)
from tests.processes import (  # noqa: F401 (helpers of many tests)
    Launched,
    collect_less_garbage,
    refusal,
    wait_until,
)

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


def pytest_configure(config: pytest.Config) -> None:
    """Hide CUDA devices except from `pytest -m gpu`, and let each of several workers use one core.

    Processes are not forked if torch sees a device.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Together, the workers use all cores. Training would only lose time if it forked processes, too.
        os.environ["SLURM_CPUS_PER_TASK"] = "1"
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    else:
        # `make gpu` ends a step that is out of time. Report the failures so far.
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """Start a worker per core, and two per core while other processes use the cores; at most four.

    More would be idle, because some files take minutes. On idle cores, two per core would take longer,
    because every worker imports everything.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(4, 2 * cores if _other_running_processes() > cores / 2 else cores)


def _other_running_processes() -> float:
    """Return the mean number of other processes that run or wait for a core, over a second; 0 if unknown."""
    counts = Path("/proc/loadavg")  # such as "0.20 0.18 0.12 1/80 11206": one of 80 processes runs
    if not counts.exists():
        return 0.0
    running = []
    for _ in range(20):
        running.append(int(counts.read_text().split()[3].partition("/")[0]) - 1)
        time.sleep(0.05)
    return sum(running) / len(running)


collect_ignore = ["benchmarks"]
"""They have no tests, and import packages that `make install` does not install."""

SLOWEST_FILES = (
    "test_paper",
    "test_analysis_again",
    "test_gpu",
    "test_hyperparameters",
    "test_interruption",
    "test_conf",
    "test_factor_page",
    "test_graph_step",
    "test_factors",
    "test_dsa_distance",
    "test_snapshots",
    "test_refused_analyses",
    "test_wheel",
    "test_getting_started",
    "test_memory",
    "test_readme",
    "test_train",
    "test_examples",
    "test_module_cell",
    "test_data_parallel",
    "test_pif_symmetry",
    "test_refused_launches",
    "test_pif_signed",
    "test_paper_figures",
    "test_own_task",
    "test_versions",
    "test_ensemble",
    "test_batched_gradients",
    "test_false_positives",
)
"""Files that take longest. Workers start with them, so that none of them runs last by itself."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest files first."""
    ranks = {name: rank for rank, name in enumerate(SLOWEST_FILES)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import all modules of tests without garbage collection, which then ignores their objects."""
    gc.disable()
    try:
        return (yield)
    finally:
        collect_less_garbage()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show SLURM's record and the logs of jobs where a test on a real SLURM failed."""
    report = yield
    user = getattr(item, "funcargs", {}).get("login")
    if report.when == "call" and report.failed and isinstance(user, Login):
        report.sections.append(("SLURM's record", record(user.cluster, user.workspace)))
    return report


@functools.cache
def composed(*overrides: str) -> dict[str, Any]:
    """The configuration of `launch.train` with these overrides. Read only."""
    return compose("train", list(overrides))


@functools.cache
def build(*overrides: str) -> Condition:
    """The condition of this configuration."""
    return Condition.from_config(composed(*overrides))


def task(*overrides: str) -> Task:
    """The task of this condition."""
    return build(*overrides).task


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


@pytest.fixture(scope="module")
def all_cores() -> Iterator[None]:
    """Let training fork a process per core for the rest of a module, also in a worker of several."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
        yield


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
