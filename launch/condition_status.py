"""Progress of training per condition, from run folders and SLURM."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from degen.errors import BadInputError
from degen.files import is_complete, read_metadata
from degen.storage import RunFolder
from launch.condition_fields import distinguish
from launch.experiment import compose_first, compose_sweep
from launch.settings import runs_folder
from launch.slurm.submissions import ArrayTask, Submission, read_submissions, read_tasks

STATES = ("unreadable", "damaged", "failed", "running", "preempted", "queued", "missing", "diverged", "done")
"""States of a condition. If several apply, the first is shown.

- unreadable: the folder is a copy under another name or of an older version, or its manifest is damaged;
- damaged: the file of a network is incomplete; `launch.train` rejects it and names it;
- failed: a job for networks that are not finished ended without success;
- running: a process trains;
- preempted: a job was stopped by SLURM and waits to resume;
- queued: a job waits;
- missing: networks are not finished, and no process or job is going to train them;
- diverged: all networks are finished, some with losses that are not finite;
- done: all networks are finished.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """The progress of one condition.

    Attributes:
        condition: `<task>/<name>`.
        fields: fields in which the condition differs from others of this status with the same task and label.
        state: one of `STATES`.
        networks: number of requested networks.
        converged, unconverged, diverged: numbers of finished networks.
        training: number of networks in training.
        epoch: epoch of the running network with the fewest.
        max_epochs: largest number of epochs of a network.
        epochs_per_minute: mean over the latest sessions.
        hours_left: upper bound, reached if every network trained for `max_epochs`.
        jobs: SLURM jobs that are active or have failed.
        is_active: whether a process trains or a job waits.
        error: last lines of failed jobs, or the reason why a folder cannot be read.
    """

    condition: str
    state: str
    fields: str = ""
    networks: int = 0
    converged: int = 0
    unconverged: int = 0
    diverged: int = 0
    training: int = 0
    epoch: int | None = None
    max_epochs: int = 0
    epochs_per_minute: float | None = None
    hours_left: float | None = None
    jobs: list[str] = dataclasses.field(default_factory=list)
    is_active: bool = False
    error: str = ""


def status(overrides: Sequence[str]) -> list[Row]:
    """Return a row for each condition of a sweep. With no override except `runs`, of all in the folder.

    Raises:
        BadInputError: an override is not allowed.
    """
    return next(poll_status(overrides))


def poll_status(overrides: Sequence[str], timeout_s: float = 0.0) -> Iterator[list[Row]]:
    """Yield the return value of `status` again and again.

    Args:
        overrides: as for `status`.
        timeout_s: seconds to wait for SLURM to answer.
    """
    runs = runs_folder(compose_first(overrides))
    is_sweep = any(not text.startswith(("runs=", "hydra.")) for text in overrides)
    # Composed once: dozens of conditions take seconds.
    requested = list(compose_sweep(overrides).requested.values()) if is_sweep else []
    fields = distinguish(condition for condition, _ in requested)
    while True:
        submissions = read_submissions(runs)
        tasks = read_tasks(submissions, timeout_s)
        if is_sweep:
            yield [
                _row(RunFolder.of(runs, condition), seeds, tasks, fields) for condition, seeds in requested
            ]
        else:
            yield _all_conditions(runs, submissions, tasks)


def _all_conditions(runs: Path, submissions: list[Submission], tasks: list[ArrayTask]) -> list[Row]:
    """Return a row for each run folder with all seeds that were submitted, trained or finished.

    Submitted conditions have a run folder.
    """
    submitted: dict[str, set[int]] = {}
    for shard in [shard for submission in submissions for shard in submission.shards]:
        submitted.setdefault(shard.signature, set()).update(shard.seeds)
    rows, readable = [], []
    for path in sorted(runs.glob("*/*/condition.yaml")):
        try:
            folder = RunFolder.open(path.parent)
            trained = [seed for session in folder.manifest.read() for seed in session["seeds"]]
        except BadInputError as error:
            name = f"{path.parent.parent.name}/{path.parent.name}"
            rows.append(Row(condition=name, state="unreadable", error=str(error)))
            continue
        seeds = sorted({*submitted.get(folder.condition.signature, ()), *folder.finished_seeds(), *trained})
        readable.append((folder, seeds))
    fields = distinguish(folder.condition for folder, _ in readable)
    rows += [_row(folder, seeds, tasks, fields) for folder, seeds in readable]
    return sorted(rows, key=lambda row: row.condition)


def _row(folder: RunFolder, seeds: list[int], tasks: list[ArrayTask], fields: Mapping[str, str]) -> Row:
    finished = set(folder.finished_seeds())
    missing = set(seeds) - finished
    statuses = {seed: _network_status(folder, seed) for seed in seeds if seed in finished}
    damaged = [
        f"{folder.paths.network(seed)} is cut off or cannot be read"
        for seed, word in statuses.items()
        if word == "damaged"
    ]
    counts = Counter(statuses.values())
    latest = _latest_tasks(folder.condition.signature, missing, tasks)
    active = [task for task in latest if task.is_active]
    failed = [task for task in latest if task.has_failed]
    # Jobs first: the process of a job is on another host, where its lock cannot be checked.
    is_running = any(task.job is not None and task.job.state != "PENDING" for task in active)
    is_training = is_running or (bool(missing) and folder.is_locked())
    return Row(
        condition=f"{folder.condition.task_name}/{folder.condition.name}",
        state=_state(counts, missing, active, failed, is_training),
        fields=fields.get(folder.condition.signature, ""),
        networks=len(seeds),
        converged=counts["converged"],
        unconverged=counts["unconverged"],
        diverged=counts["diverged"],
        jobs=[task.job.identity for task in (*active, *failed) if task.job is not None],
        is_active=is_training or bool(active),
        error="\n".join([*damaged, *(task.error_tail for task in failed)]),
        **_training_progress(folder, missing, is_training),
    )


def _state(
    counts: Counter[str],
    missing: set[int],
    active: list[ArrayTask],
    failed: list[ArrayTask],
    is_training: bool,
) -> str:
    """Return the first of `STATES` that applies to a readable folder."""
    applies = {
        "unreadable": False,
        "damaged": counts["damaged"] > 0,
        "failed": bool(failed),
        "running": is_training,
        "preempted": any(task.job is not None and task.job.restarts for task in active),
        "queued": bool(active),
        "missing": bool(missing),
        "diverged": counts["diverged"] > 0,
        "done": True,
    }
    return next(state for state in STATES if applies[state])


def _network_status(folder: RunFolder, seed: int) -> str:
    file = folder.paths.network(seed)
    return read_metadata(file).get("status", "damaged") if is_complete(file) else "damaged"


def _latest_tasks(signature: str, missing: set[int], tasks: list[ArrayTask]) -> list[ArrayTask]:
    """Return the latest task of each network that is not finished, each task once."""
    latest: dict[int, ArrayTask] = {}
    for task in tasks:
        for shard in task.shards:
            if shard.signature == signature:
                latest |= dict.fromkeys(missing & set(shard.seeds), task)
    return list({id(task): task for task in latest.values()}.values())


def _training_progress(folder: RunFolder, missing: set[int], is_training: bool) -> dict[str, Any]:
    """Return fields of a row from the latest session of each shard."""
    latest = {tuple(session["seeds"]): session for session in folder.manifest.read() if "epochs" in session}
    sessions = [session for seeds, session in latest.items() if session["training"] and missing & set(seeds)]
    max_epochs = folder.condition.training.max_epochs
    rates = [session["epochs"] / session["seconds"] for session in sessions if session["epochs"]]
    epochs = [session["epoch"] for session in sessions]
    has_rate = is_training and bool(rates)
    return {
        "training": sum(session["training"] for session in sessions) if is_training else 0,
        "epoch": min(epochs, default=None),
        "max_epochs": max_epochs,
        "epochs_per_minute": 60 * sum(rates) / len(rates) if has_rate else None,
        "hours_left": (max_epochs - min(epochs)) / min(rates) / 3600 if has_rate else None,
    }
