"""Records of what was submitted to the cluster from a folder of runs.

    runs/.submissions/
        lock                       locked while a process plans and submits
        <time>-<experiment>/
            submission.json        the request and the tasks of each array
            code/                  the snapshot of the code that jobs run
            tasks/<number>.json    what a job trains, resolved
            logs/<array>/          submitit's files: scripts and output of jobs
            cancelled              exists once the submission was cancelled

The name of an array contains the random identity of its submission. SLURM is queried by this name, so that
jobs are found even if the submitting process died.
"""

from __future__ import annotations

import dataclasses
import json
import re
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from degen.errors import BadInputError
from degen.files import write_atomically
from launch.slurm import client as slurm

_ERROR_LINES = 5
"""Lines of a failed job's output that are shown."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """Networks of a condition that a job trains together."""

    signature: str
    seeds: list[int]


@dataclasses.dataclass(frozen=True)
class ArrayTask:
    """A job of an array: what it trains, and its state according to SLURM and to its log.

    Attributes:
        shards: trained one after the other.
        job: the job in SLURM; None if SLURM does not know it (any more).
        log: file with the job's standard error; None before the job starts.
        is_cancelled: whether `launch.cancel` cancelled it.
    """

    shards: list[Shard]
    job: slurm.Job | None
    log: Path | None
    is_cancelled: bool

    @property
    def is_active(self) -> bool:
        """True while the job is pending or running."""
        return self.job is not None and self.job.is_active

    @property
    def has_failed(self) -> bool:
        """True if the job ended without success."""
        if self.is_active or self.is_cancelled:
            return False
        if self.job is not None:
            return self.job.state != "COMPLETED"
        return (
            self.log is not None and "completed successfully" not in self.log.with_suffix(".out").read_text()
        )

    @property
    def error_tail(self) -> str:
        """The last lines of the job's errors, after SLURM's state if that says more than FAILED."""
        text = self.log.read_text(errors="replace") if self.log is not None and self.log.exists() else ""
        lines = [line.rstrip() for line in text.splitlines() if line.strip() and "submitit " not in line]
        state = "" if self.job is None else self.job.state
        return "\n".join(([state] if state not in ("", "FAILED") else []) + lines[-_ERROR_LINES:])


@dataclasses.dataclass(frozen=True)
class Submission:
    """A call of `launch.submit`.

    Attributes:
        path: its folder.
        experiment: name of the experiment, or `sweep`.
        arrays: for each job array, the shards of each task.
        names: `<task>/<name>` of each condition, by signature.
        identity: random text, part of the names of its arrays.
    """

    path: Path
    experiment: str
    arrays: list[list[list[Shard]]]
    names: dict[str, str]
    identity: str

    @classmethod
    def new(
        cls, runs: Path, experiment: str, arrays: list[list[list[Shard]]], names: dict[str, str]
    ) -> Submission:
        """Return a submission that starts now, with a new folder. The caller holds the lock of `runs`."""
        parent = runs.resolve() / ".submissions"
        stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        number = len(list(parent.glob(f"{stamp}*")))  # of those that started within this second
        path = parent / f"{stamp}{f'_{number}' if number else ''}-{_slug(experiment)}"
        path.mkdir(parents=True)
        return cls(path, experiment, arrays, names, uuid.uuid4().hex[:12])

    @property
    def shards(self) -> list[Shard]:
        """The shards of all tasks."""
        return [shard for array in self.arrays for task in array for shard in task]

    @property
    def code(self) -> Path:
        """Folder of the code snapshot."""
        return self.path / "code"

    def task_file(self, number: int) -> Path:
        """Return the file that describes a task."""
        return self.path / "tasks" / f"{number:05d}.json"

    def logs(self, array: int) -> Path:
        """Return the folder of submitit's files of an array."""
        return self.path / "logs" / str(array)

    def array_name(self, array: int) -> str:
        """Return an array's name in SLURM. It has no commas, which would separate names for `squeue`."""
        return f"degen-{_slug(self.experiment)}-{self.identity}-{array}"

    @property
    def array_names(self) -> list[str]:
        """The names of all arrays in SLURM."""
        return [self.array_name(array) for array in range(len(self.arrays))]

    def write(self, **details: Any) -> None:
        """Store the record together with further details."""
        content = dataclasses.asdict(self) | {"path": str(self.path), "inode": _inode(self.path)} | details
        write_atomically(self.path / "submission.json", json.dumps(content, indent=1).encode())

    def mark_cancelled(self) -> None:
        """Record that the submission was cancelled."""
        (self.path / "cancelled").touch()

    def tasks(self, jobs: dict[str, dict[int, slurm.Job]]) -> list[ArrayTask]:
        """Return the tasks in order.

        Args:
            jobs: the jobs that SLURM knows, by array name and task number.
        """
        is_cancelled = (self.path / "cancelled").exists()
        tasks = []
        for array, contents in enumerate(self.arrays):
            logs = {_task_number(log): log for log in self.logs(array).glob("*_log.err")}
            jobs_of_array = jobs.get(self.array_name(array), {})
            tasks += [
                ArrayTask(shards, jobs_of_array.get(number), logs.get(number), is_cancelled)
                for number, shards in enumerate(contents)
            ]
        return tasks


def read_submissions(runs: Path) -> list[Submission]:
    """Return all submissions from a folder of runs, oldest first.

    Submissions in a copy of the folder are skipped: their jobs train in the original.

    Raises:
        BadInputError: a record is damaged.
    """
    submissions = []
    for file in sorted((runs.resolve() / ".submissions").glob("*/submission.json")):
        try:
            stored = json.loads(file.read_text())
            # Mounted elsewhere, the folder has the same inode; restored from a backup, the same path.
            if stored["path"] != str(file.parent) and stored["inode"] != _inode(file.parent):
                continue
            arrays = [[[Shard(**shard) for shard in task] for task in array] for array in stored["arrays"]]
            fields = (stored[name] for name in ("names", "identity"))
            submissions.append(Submission(file.parent, stored["experiment"], arrays, *fields))
        except (ValueError, KeyError, TypeError) as error:
            message = f"{file} must be as degen wrote it, got damaged contents ({error})."
            raise BadInputError(message) from error
    return submissions


def read_tasks(submissions: list[Submission], timeout_s: float = 0.0) -> list[ArrayTask]:
    """Return the tasks of submissions in order, with their state in SLURM.

    Args:
        timeout_s: seconds to wait for SLURM to answer.
    """
    names = [name for submission in submissions for name in submission.array_names]
    jobs = slurm.jobs_named(names, timeout_s)
    return [task for submission in submissions for task in submission.tasks(jobs)]


def _slug(experiment: str) -> str:
    """Return the name of an experiment as a part of other names."""
    return re.sub(r"[^\w-]", "_", experiment)[:40]


def _inode(folder: Path) -> int:
    return folder.stat().st_ino


def _task_number(log: Path) -> int:
    """Return the task number of a log: 3 for `12_3_0_log.err`, 0 for `12_0_log.err`, a job without array."""
    words = log.name.split("_")
    return int(words[1]) if len(words) == 4 else 0
