"""Show the progress of training: of a sweep, an experiment, or everything in a folder of runs.

python -m launch.status experiment=demo [--json] [--watch]

Finished networks are read from the run folders, jobs from SLURM. Without overrides, all conditions that were
trained or submitted are shown.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from degen.errors import BadInputError
from degen.files import is_whole, read_metadata
from degen.storage import RunFolder
from launch.cli import Arguments, exit_on_user_error
from launch.experiment import compose_first, compose_sweep
from launch.settings import runs_folder
from launch.slurm import client as slurm
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

_POLL_INTERVAL_S = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """The progress of one condition.

    Attributes:
        condition: `<task>/<name>`.
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
    requested = compose_sweep(overrides).requested.values() if is_sweep else []
    while True:
        submissions = read_submissions(runs)
        tasks = read_tasks(submissions, timeout_s)
        if is_sweep:
            yield [_row(RunFolder.of(runs, condition), seeds, tasks) for condition, seeds in requested]
        else:
            yield _all_conditions(runs, submissions, tasks)


def _all_conditions(runs: Path, submissions: list[Submission], tasks: list[ArrayTask]) -> list[Row]:
    """Return a row for each run folder with all seeds that were submitted, trained or finished.

    Submitted conditions have a run folder.
    """
    submitted: dict[str, set[int]] = {}
    for shard in [shard for submission in submissions for shard in submission.shards]:
        submitted.setdefault(shard.signature, set()).update(shard.seeds)
    rows = []
    for path in sorted(runs.glob("*/*/condition.yaml")):
        try:
            folder = RunFolder.open(path.parent)
            trained = [seed for session in folder.read_manifest() for seed in session["seeds"]]
        except BadInputError as error:
            name = f"{path.parent.parent.name}/{path.parent.name}"
            rows.append(Row(condition=name, state="unreadable", error=str(error)))
            continue
        seeds = sorted({*submitted.get(folder.condition.signature, ()), *folder.finished(), *trained})
        rows.append(_row(folder, seeds, tasks))
    return rows


def _row(folder: RunFolder, seeds: list[int], tasks: list[ArrayTask]) -> Row:
    finished = set(folder.finished())
    missing = set(seeds) - finished
    statuses = {seed: _network_status(folder, seed) for seed in seeds if seed in finished}
    damaged = [folder.network_file(seed) for seed, word in statuses.items() if word == "damaged"]
    counts = Counter(statuses.values())
    latest = _latest_tasks(folder.condition.signature, missing, tasks)
    active = [task for task in latest if task.is_active]
    failed = [task for task in latest if task.has_failed]
    # Jobs first: the process of a job is on another host, where its lock cannot be checked.
    is_running = any(task.job is not None and task.job.state != "PENDING" for task in active)
    is_training = is_running or (bool(missing) and folder.is_claimed())
    applies = {
        "damaged": bool(damaged),
        "failed": bool(failed),
        "running": is_training,
        "preempted": any(task.job is not None and task.job.restarts for task in active),
        "queued": bool(active),
        "missing": bool(missing),
        "diverged": counts["diverged"] > 0,
        "done": True,
    }
    return Row(
        condition=f"{folder.condition.task_name}/{folder.condition.name}",
        state=next(state for state in STATES if applies.get(state)),
        networks=len(seeds),
        converged=counts["converged"],
        unconverged=counts["unconverged"],
        diverged=counts["diverged"],
        jobs=[task.job.identity for task in (*active, *failed) if task.job is not None],
        is_active=is_training or bool(active),
        error="\n".join([*(f"{file} is cut off" for file in damaged), *(task.error_tail for task in failed)]),
        **_training_progress(folder, missing, is_training),
    )


def _network_status(folder: RunFolder, seed: int) -> str:
    file = folder.network_file(seed)
    return read_metadata(file).get("status", "damaged") if is_whole(file) else "damaged"


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
    latest = {tuple(session["seeds"]): session for session in folder.read_manifest() if "epochs" in session}
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


# Output -----------------------------------------------------------------------------------------------------


def as_text(rows: list[Row]) -> str:
    """Return a table of conditions, the number of conditions in each state, and the errors."""
    if not rows:
        return "nothing is trained or submitted here"
    counts = Counter(row.state for row in rows)
    lines = [
        pd.DataFrame([_cells(row) for row in rows]).to_string(index=False),
        ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]),
    ]
    for row in rows:
        if row.error:
            lines += ["", f"{row.condition} {row.state}:", *(f"  {line}" for line in row.error.splitlines())]
    return "\n".join(lines)


def _cells(row: Row) -> dict[str, str]:
    counts = {"converged": row.converged, "unconverged": row.unconverged, "diverged": row.diverged}
    parts = [f"{count} {word}" for word, count in (counts | {"in training": row.training}).items() if count]
    return {
        "state": row.state,
        "condition": row.condition,
        "networks": f"{row.networks}" + (f" ({', '.join(parts)})" if parts else ""),
        "epoch": "" if row.epoch is None else f"{row.epoch}/{row.max_epochs}",
        "per minute": "" if row.epochs_per_minute is None else f"{row.epochs_per_minute:.3g}",
        "hours left": "" if row.hours_left is None else f"< {row.hours_left:.2g}",
        "jobs": ",".join(row.jobs[:3]) + (",..." if len(row.jobs) > 3 else ""),
    }


def _show(overrides: Sequence[str], options: argparse.Namespace) -> None:
    """Print the status once, or with `--watch` until no process or job is active."""
    shown: list[str] | None = None
    for rows in poll_status(overrides, slurm.SLURM_TIMEOUT_S if options.watch else 0.0):
        states = [row.state for row in rows]
        is_terminal = sys.stdout.isatty()
        if options.json:
            print(json.dumps([dataclasses.asdict(row) for row in rows]), flush=True)
        elif is_terminal or states != shown:  # in a log file, only changes of state
            clear = "\033[H\033[J" if options.watch and is_terminal else ""
            print(clear + as_text(rows), flush=True)
        if not options.watch:
            return
        if not any(row.is_active for row in rows):
            sys.exit(int(not set(states) <= {"done", "diverged"}))
        shown = states
        time.sleep(_POLL_INTERVAL_S)


def main() -> None:
    """Run the command line."""
    arguments = Arguments(__doc__ or "")
    arguments.parser.add_argument("--json", action="store_true", help="print JSON, a list of conditions")
    watch = (
        f"repeat every {_POLL_INTERVAL_S} s until no process or job is active; "
        "exit code 1 unless all networks are finished"
    )
    arguments.parser.add_argument("--watch", action="store_true", help=watch)
    with exit_on_user_error(), arguments.parsed() as (options, overrides):
        _show(overrides, options)


if __name__ == "__main__":
    main()
