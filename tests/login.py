"""A real SLURM for the tests, and its users' command lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from launch.slurm.client import Job
from launch.slurm.submissions import read_submissions, read_tasks
from tests.cluster import PATIENCE, ROOT, Cluster
from tests.cluster_packages import why_not
from tests.processes import Launched

MAX_ARRAY_SIZE = 8

_LAST_LINES = 60
"""Lines of each log that are shown for a failed test."""

MODULE = '''
import dataclasses
import os
import time

from degen.tasks import FlipFlop


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlowFlipFlop(FlipFlop):
    """Slow in jobs until a file exists (never in the numbers), and broken in jobs where it is told to be."""

    breaks: bool

    def generate(self, n_trials, stream):
        if "SLURM_JOB_ID" in os.environ:
            end = time.monotonic() + float(os.environ.get("SECONDS_PER_EPOCH", 0))
            while time.monotonic() < end and not os.path.exists(os.environ["HURRY"]):
                time.sleep(0.05)
            if self.breaks:
                raise RuntimeError("something broke on this node")
        return super().generate(n_trials, stream)
'''

TASK = """
# @package _global_
defaults: [flip_flop, _self_]
task:
  _target_: slow.SlowFlipFlop
  breaks: false
  n_steps: 20
training:
  batch_size: 8
  steps_per_epoch: 4
  max_epochs: 8
width: 16
"""


class Login:
    """A user of a cluster, in a folder with a task of their own.

    Args:
        cluster: where their jobs run.
        workspace: their folder.
    """

    def __init__(self, cluster: Cluster, workspace: Path):
        self.cluster = cluster
        self.workspace = workspace
        workspace.mkdir(exist_ok=True)
        (workspace / "slow.py").write_text(MODULE)
        (workspace / "conf" / "task").mkdir(parents=True)
        (workspace / "conf" / "task" / "slow.yaml").write_text(TASK)
        self.environment = os.environ | cluster.variables | {"OMP_NUM_THREADS": "1"}
        self.environment["HURRY"] = str(workspace / "hurry")
        self.environment["PYTHONPATH"] = _path(ROOT, workspace)

    def hurry(self) -> None:
        """Let epochs take no longer than they need, in jobs that run and in later jobs."""
        (self.workspace / "hurry").touch()

    def start(self, module: str, *arguments: str, **variables: str) -> Launched:
        """Start a command with the user's own configurations."""
        environment = self.environment | variables
        return Launched(("--config-dir", "conf", *arguments), self.workspace, None, module, environment)

    def start_python(self, code: Path, *words: str) -> subprocess.Popen[str]:
        """Start `python -m` anew, with the packages at `code`."""
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=self.workspace,
            env=self.environment | {"PYTHONPATH": _path(code, self.workspace)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, module: str, *arguments: str, **variables: str) -> str:
        """Return the output of a command that must succeed."""
        launched = self.start(module, *arguments, **variables)
        assert (launched.wait(), launched.stderr) == (0, ""), launched.stdout + launched.stderr
        return launched.stdout

    def refusal(self, module: str, *arguments: str, **variables: str) -> str:
        """Return the sentence of a command that rejects its input."""
        launched = self.start(module, *arguments, **variables)
        assert launched.wait() == 2, launched.stdout + launched.stderr
        assert launched.stderr.startswith("error: ")
        assert launched.stderr.count("\n") == 1
        return launched.stderr.removeprefix("error: ").removesuffix("\n")

    def rows(self, *overrides: str) -> dict[str, dict[str, Any]]:
        """Return the rows of `launch.status --json` by condition."""
        rows = json.loads(self.run("launch.status", "--json", *overrides))
        return {row["condition"].partition("/")[2]: row for row in rows}

    def job(self, gamma: float) -> Job | None:
        """Return the latest job for the condition with this gamma."""
        submissions = read_submissions(self.workspace / "runs")
        wanted = {
            signature
            for submission in submissions
            for signature, name in submission.names.items()
            if f"gamma{gamma:g}-" in name
        }
        tasks = [
            task
            for task in read_tasks(submissions, PATIENCE)
            if any(shard.signature in wanted for shard in task.shards)
        ]
        return tasks[-1].job

    def slurm(self, *command: str) -> str:
        return self.cluster.slurm(*command)

    def jobs(self) -> dict[str, str]:
        """Return the state of each job that has not ended."""
        lines = self.cluster.answer("squeue", "--array", "--noheader", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def wait(self, what: str, holds: Callable[[], Any]) -> Any:
        """Wait until that holds; what it then is."""
        deadline = time.monotonic() + PATIENCE
        while not (result := holds()):
            assert time.monotonic() < deadline, f"waited in vain until {what}: {self.slurm('squeue')}"
            time.sleep(0.2)
        return result

    def wait_for_end(self) -> None:
        """Wait until no job is left."""
        self.wait("all jobs have ended", lambda: not self.jobs())


def _path(code: Path, workspace: Path) -> str:
    return os.pathsep.join((str(code), str(workspace)))


def record(cluster: Cluster, workspace: Path) -> str:
    """Return what SLURM and the logs say about the jobs of a folder, for a failed test."""
    fields = "JobID,JobName%50,State,ExitCode,Start,End,Reason"
    commands = (
        ("sacct", "--allusers", "--duplicates", f"--format={fields}"),
        ("scontrol", "--all", "show", "job"),
        ("scontrol", "show", "node"),
    )
    parts = [f"$ {' '.join(command)}\n{cluster.slurm(*command)}" for command in commands]
    logs = [cluster.root / "log" / name for name in ("slurmctld.log", "slurmd.log")]
    for path in [*logs, *sorted(workspace.glob("**/.submissions/*/logs/*/*_log.*"))]:
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        parts.append("\n".join([f"{path}:", *lines[-_LAST_LINES:]]))
    return "\n\n".join(parts)


@contextmanager
def started(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster that runs; where there can be none the test is skipped, or fails if that is not allowed."""
    reason = why_not()
    if reason is not None:
        assert "DEGEN_CLUSTER_REQUIRED" not in os.environ, f"no SLURM can be started: {reason}"
        pytest.skip(f"NOT TESTED on a real SLURM: {reason}")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A SLURM with accounting."""
    with started(Cluster(tmp_path_factory.mktemp("slurm"), max_array_size=MAX_ARRAY_SIZE)) as cluster:
        yield cluster


@pytest.fixture
def login(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Login]:
    """A user of it, as is the test itself; their jobs end with the test."""
    monkeypatch.setenv("SLURM_CONF", cluster.variables["SLURM_CONF"])
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Login(cluster, tmp_path)
    cluster.slurm("scancel", "--user=root")
