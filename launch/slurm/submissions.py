"""What was submitted to the cluster from a folder of runs: records that outlive the process that wrote them.

    runs/.submissions/
        lock                       held while somebody plans and submits
        <time>-<experiment>/
            submission.json        who asked for what, and the tasks of each array
            code/                  the frozen copy that jobs run
            tasks/<number>.json    what a job trains, resolved
            logs/<array>/          submitit's files: scripts and the output of jobs
            cancelled              there once it is

An array bears the random identity of its submission and its number. By this name SLURM is asked for it, so
that nothing is lost where the submitting process dies.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from degen.errors import BadInputError
from degen.files import write_atomically
from degen.locks import warn_unlocked
from launch.slurm import client as slurm

_LAST_WORDS = 5
"""Lines of a failed job's output that are shown."""


@dataclasses.dataclass(frozen=True)
class Piece:
    """Some networks of a condition, trained together."""

    signature: str
    seeds: list[int]


@dataclasses.dataclass(frozen=True)
class Task:
    """A job: what it trains, and what SLURM and its files say of it.

    Attributes:
        pieces: trained one after the other.
        job: as SLURM knows it; None where it does not (any more).
        log: the file of its errors; None before it starts.
        is_cancelled: by `launch.cancel`.
    """

    pieces: list[Piece]
    job: slurm.Job | None
    log: Path | None
    is_cancelled: bool

    @property
    def is_active(self) -> bool:
        return self.job is not None and self.job.is_active

    @property
    def has_failed(self) -> bool:
        """It has ended, and not well."""
        if self.is_active or self.is_cancelled or (self.job is None and self.log is None):
            return False
        if self.job is not None:
            return self.job.state != "COMPLETED"
        return (
            self.log is not None and "completed successfully" not in self.log.with_suffix(".out").read_text()
        )

    @property
    def last_words(self) -> str:
        """The last lines of its errors; else SLURM's word for its end."""
        text = self.log.read_text(errors="replace") if self.log is not None and self.log.exists() else ""
        lines = [line.rstrip() for line in text.splitlines() if line.strip() and "submitit " not in line]
        state = "" if self.job is None else self.job.state
        return "\n".join(([state] if state not in ("", "FAILED") else []) + lines[-_LAST_WORDS:])


@dataclasses.dataclass(frozen=True)
class Submission:
    """A call of `launch.submit`.

    Attributes:
        path: its folder.
        experiment: what it submitted, by name.
        arrays: of each, the pieces of each task.
        names: of the conditions, by signature.
        identity: that no other has, in any folder of runs.
    """

    path: Path
    experiment: str
    arrays: list[list[list[Piece]]]
    names: dict[str, str]
    identity: str

    @classmethod
    def new(
        cls, runs: Path, experiment: str, arrays: list[list[list[Piece]]], names: dict[str, str]
    ) -> Submission:
        """One that starts now, with a folder of its own."""
        parent = runs.resolve() / ".submissions"
        word = _word(experiment)
        for number in range(1000):
            stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S") + (f"_{number}" if number else "")
            path = parent / f"{stamp}-{word}"
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            return cls(path, experiment, arrays, names, uuid.uuid4().hex[:12])
        raise AssertionError("a thousand submissions in a second")

    @property
    def pieces(self) -> list[Piece]:
        return [piece for array in self.arrays for task in array for piece in task]

    @property
    def code(self) -> Path:
        return self.path / "code"

    def task_file(self, number: int) -> Path:
        return self.path / "tasks" / f"{number:05d}.json"

    def logs(self, array: int) -> Path:
        return self.path / "logs" / str(array)

    def array_name(self, array: int) -> str:
        """The name of its job in SLURM; without commas, at which `squeue --name` would cut it."""
        return f"degen-{_word(self.experiment)}-{self.identity}-{array}"

    @property
    def array_names(self) -> list[str]:
        return [self.array_name(array) for array in range(len(self.arrays))]

    def write(self, **more: Any) -> None:
        """Store the record."""
        content = dataclasses.asdict(self) | {"path": str(self.path), "inode": _inode(self.path)} | more
        write_atomically(self.path / "submission.json", json.dumps(content, indent=1).encode())

    def mark_cancelled(self) -> None:
        (self.path / "cancelled").touch()

    def tasks(self, known: dict[str, dict[int, slurm.Job]]) -> list[Task]:
        """Its tasks in order.

        Args:
            known: what SLURM says of arrays, by name and task.
        """
        is_cancelled = (self.path / "cancelled").exists()
        tasks = []
        for array, contents in enumerate(self.arrays):
            logs = {_task_number(log): log for log in self.logs(array).glob("*_log.err")}
            jobs = known.get(self.array_name(array), {})
            tasks += [
                Task(pieces, jobs.get(number), logs.get(number), is_cancelled)
                for number, pieces in enumerate(contents)
            ]
        return tasks


def read_submissions(runs: Path) -> list[Submission]:
    """All of a folder of runs, oldest first.

    Those in a copy of the folder are left aside: their jobs are the original's, and train there.

    Raises:
        BadInputError: a record is damaged.
    """
    found = []
    for file in sorted((runs.resolve() / ".submissions").glob("*/submission.json")):
        try:
            stored = json.loads(file.read_text())
            # Mounted elsewhere it is the same file, and restored in its place it has the same path.
            if stored["path"] != str(file.parent) and stored["inode"] != _inode(file.parent):
                continue
            arrays = [[[Piece(**piece) for piece in task] for task in array] for array in stored["arrays"]]
            fields = (stored[name] for name in ("names", "identity"))
            found.append(Submission(file.parent, stored["experiment"], arrays, *fields))
        except (ValueError, KeyError, TypeError) as error:
            raise BadInputError(f"{file} must be as degen wrote it, got a damaged one ({error}).") from error
    return found


def read_tasks(submissions: list[Submission], patience: float = 0.0) -> list[Task]:
    """The tasks of all, oldest first, with what SLURM says of them.

    Args:
        patience: seconds for which SLURM may be silent.
    """
    names = [name for submission in submissions for name in submission.array_names]
    known = slurm.jobs_named(names, patience)
    return [task for submission in submissions for task in submission.tasks(known)]


@contextmanager
def locked(place: Path, field: str = "runs") -> Iterator[None]:
    """Plan and submit, or choose, alone: another process that would waits until this one is done.

    Args:
        place: folder of runs or results.
        field: what it is called in the settings.

    Raises:
        BadInputError: it cannot be written to.
    """
    folder = place / ".submissions"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = open(folder / "lock", "a")  # noqa: SIM115 (closed below)
        except PermissionError:
            # A colleague's can be read, which is enough on local disks; on NFS it is not.
            file = open(folder / "lock")  # noqa: SIM115
    except OSError as error:
        message = f"{field} must be a folder that can be written to, got {place} ({error.strerror})."
        raise BadInputError(message) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting: another process is at work in {place}", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            warn_unlocked(folder, error)
        yield


def _word(experiment: str) -> str:
    """The name of an experiment as a part of other names."""
    return re.sub(r"[^\w-]", "_", experiment)[:40]


def _inode(folder: Path) -> int:
    return folder.stat().st_ino


def _task_number(log: Path) -> int:
    """12_3_0_log.err is of task 3, 12_0_log.err of a job that is no array."""
    words = log.name.split("_")
    return int(words[1]) if len(words) == 4 else 0
