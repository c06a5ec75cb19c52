"""How far the conditions of a sweep, an experiment, or all of a folder are: run folders first, SLURM second.

python -m launch.status experiment=demo [--json] [--watch]
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from degen.errors import BadInputError
from degen.files import is_complete, read_metadata
from degen.storage import RunFolder
from launch.cli import Arguments, one_sentence_ends, runs_folder
from launch.experiment import compose_settings, sweep
from launch.slurm import client as slurm
from launch.slurm.submissions import Submission, Task, read_submissions, read_tasks

STATES = ("unreadable", "damaged", "failed", "running", "preempted", "queued", "missing", "diverged", "done")
"""What a condition can be; of several that hold, the first.

- unreadable: the folder is a copy under another name, say, of an older version, or its manifest is damaged;
- damaged: the file of a network is cut off; `launch.train` refuses it and says which;
- failed: a job for networks that are not there ended, and not well;
- running: somebody trains;
- preempted: a job was taken off its node and waits to go on;
- queued: a job waits;
- missing: networks are not there, and nobody is going to train them;
- diverged: all are there, some with losses that are not finite;
- done: all are there.
"""

_SECONDS_BETWEEN_LOOKS = 10


@dataclasses.dataclass(frozen=True)
class Row:
    """A condition.

    Attributes:
        condition: `<task>/<name>`.
        state: one of `STATES`.
        networks: asked for; of these finished as `converged`, `unconverged`, `diverged`; in `training`.
        epoch, max_epochs: of the network in training with fewest; most.
        epochs_per_minute: of the latest session.
        hours_left: at most, if every network took the most epochs.
        jobs: of SLURM, active or failed.
        is_active: somebody trains, or a job waits.
        error: the last lines of a failed job, or why a folder cannot be read.
    """

    condition: str
    state: str
    networks: int
    converged: int
    unconverged: int
    diverged: int
    training: int
    epoch: int | None
    max_epochs: int
    epochs_per_minute: float | None
    hours_left: float | None
    jobs: list[str]
    is_active: bool
    error: str


def status(overrides: Sequence[str]) -> list[Row]:
    """The rows of a sweep; without overrides but `runs`, of all that was trained or submitted there.

    Raises:
        BadInputError: an override is not allowed.
    """
    return next(looks(overrides))


def looks(overrides: Sequence[str], patience: float = 0.0) -> Iterator[list[Row]]:
    """`status` now, and again whenever the next is asked for. Arguments and errors as there.

    Args:
        patience: seconds for which SLURM may be silent.
    """
    runs = runs_folder(compose_settings(overrides))
    is_sweep = any(not text.startswith(("runs=", "hydra.")) for text in overrides)
    # Composed once: dozens of conditions take seconds.
    wanted = sweep(overrides).wanted.values() if is_sweep else []
    while True:
        submissions = read_submissions(runs)
        tasks = read_tasks(submissions, patience)
        if is_sweep:
            yield [_row(RunFolder.of(runs, condition), seeds, tasks) for condition, seeds in wanted]
        else:
            yield _everything(runs, submissions, tasks)


def _everything(runs: Path, submissions: list[Submission], tasks: list[Task]) -> list[Row]:
    """Every condition with a folder (each that is submitted has one), and the seeds it was asked for."""
    asked: dict[str, set[int]] = {}
    for submission in submissions:
        for piece in submission.pieces:
            asked.setdefault(piece.signature, set()).update(piece.seeds)
    found = []
    for path in sorted(runs.glob("*/*/condition.yaml")):
        try:
            folder = RunFolder.open(path.parent)
            trained = [seed for session in folder.manifest.read() for seed in session["seeds"]]
        except BadInputError as error:
            found.append(_unreadable(path.parent, error))
            continue
        seeds = sorted({*asked.get(folder.condition.signature, ()), *folder.finished_seeds(), *trained})
        found.append(_row(folder, seeds, tasks))
    return found


def _unreadable(path: Path, error: BadInputError) -> Row:
    return Row(
        condition=f"{path.parent.name}/{path.name}",
        state="unreadable",
        networks=0,
        converged=0,
        unconverged=0,
        diverged=0,
        training=0,
        epoch=None,
        max_epochs=0,
        epochs_per_minute=None,
        hours_left=None,
        jobs=[],
        is_active=False,
        error=str(error),
    )


def _row(folder: RunFolder, seeds: list[int], tasks: list[Task]) -> Row:
    signature, finished = folder.condition.signature, set(folder.finished_seeds())
    missing = set(seeds) - finished
    ends = {seed: _end(folder, seed) for seed in seeds if seed in finished}
    damaged = [str(folder.paths.network(seed)) for seed, end in ends.items() if end == "damaged"]
    counts = Counter(ends.values())
    mine = _latest(signature, missing, tasks)
    active = [task for task in mine if task.is_active]
    failed = [task for task in mine if task.has_failed]
    # Jobs first: a process of another machine cannot be seen.
    running = [task for task in active if task.job is not None and task.job.state != "PENDING"]
    restarted = [task for task in active if task.job is not None and task.job.restarts]
    is_training = bool(running) or (bool(missing) and folder.is_locked())
    holds = {
        "unreadable": False,
        "damaged": bool(damaged),
        "failed": bool(failed),
        "running": is_training,
        "preempted": bool(restarted),
        "queued": bool(active),
        "missing": bool(missing),
        "diverged": counts["diverged"] > 0,
        "done": True,
    }
    return Row(
        condition=f"{folder.condition.task_name}/{folder.condition.name}",
        state=next(state for state in STATES if holds[state]),
        networks=len(seeds),
        converged=counts["converged"],
        unconverged=counts["unconverged"],
        diverged=counts["diverged"],
        jobs=[task.job.identity for task in (*active, *failed) if task.job is not None],
        is_active=is_training or bool(active),
        error="\n".join([*(f"{file} is cut off" for file in damaged), *(task.last_words for task in failed)]),
        **_progress(folder, missing, is_training),
    )


def _latest(signature: str, missing: set[int], tasks: list[Task]) -> list[Task]:
    """For each missing network the last task that was to train it."""
    last: dict[int, Task] = {}
    for task in tasks:
        for piece in task.pieces:
            if piece.signature == signature:
                last |= dict.fromkeys(missing & set(piece.seeds), task)
    return list({id(task): task for task in last.values()}.values())


def _end(folder: RunFolder, seed: int) -> str:
    file = folder.paths.network(seed)
    return read_metadata(file).get("status", "damaged") if is_complete(file) else "damaged"


def _progress(folder: RunFolder, missing: set[int], is_training: bool) -> dict[str, Any]:
    """From the latest session of each share."""
    latest = {tuple(session["seeds"]): session for session in folder.manifest.read() if "epochs" in session}
    under_way = [session for seeds, session in latest.items() if session["training"] and missing & set(seeds)]
    max_epochs = folder.condition.training.max_epochs
    rates = [session["epochs"] / session["seconds"] for session in under_way if session["epochs"]]
    epochs = [session["epoch"] for session in under_way]
    known = is_training and bool(rates)
    return {
        "training": sum(session["training"] for session in under_way) if is_training else 0,
        "epoch": min(epochs, default=None),
        "max_epochs": max_epochs,
        "epochs_per_minute": 60 * sum(rates) / len(rates) if known else None,
        "hours_left": (max_epochs - min(epochs)) / min(rates) / 3600 if known else None,
    }


def as_text(rows: list[Row]) -> str:
    """A table for people, and the errors below it."""
    if not rows:
        return "nothing is trained or submitted here"
    head = ("state", "condition", "networks", "epoch", "per minute", "hours left", "jobs")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    counts = [f"{sum(row.state == state for row in rows)} {state}" for state in STATES]
    lines.append(", ".join(count for count in counts if not count.startswith("0 ")))
    for row in rows:
        if row.error:
            lines += ["", f"{row.condition} {row.state}:", *(f"  {line}" for line in row.error.splitlines())]
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    counts = {"converged": row.converged, "unconverged": row.unconverged, "diverged": row.diverged}
    words = [f"{count} {word}" for word, count in (counts | {"in training": row.training}).items() if count]
    return (
        row.state,
        row.condition,
        f"{row.networks}" + (f" ({', '.join(words)})" if words else ""),
        "" if row.epoch is None else f"{row.epoch}/{row.max_epochs}",
        "" if row.epochs_per_minute is None else f"{row.epochs_per_minute:.3g}",
        "" if row.hours_left is None else f"< {row.hours_left:.2g}",
        ",".join(row.jobs[:3]) + (",..." if len(row.jobs) > 3 else ""),
    )


def main() -> None:
    """The command line."""
    arguments = Arguments(__doc__ or "")
    arguments.parser.add_argument("--json", action="store_true", help="for programs: a list of conditions")
    every = (
        f"again every {_SECONDS_BETWEEN_LOOKS} s until nobody trains; ends with code 1 unless all is finished"
    )
    arguments.parser.add_argument("--watch", action="store_true", help=every)
    with one_sentence_ends(), arguments.parsed() as (given, overrides):
        shown: list[str] | None = None
        for rows in looks(overrides, slurm.PATIENCE if given.watch else 0.0):
            states = [row.state for row in rows]
            if given.json:
                print(json.dumps([dataclasses.asdict(row) for row in rows]), flush=True)
            elif sys.stdout.isatty() or states != shown:
                # A log that nobody looks at need not tell of every epoch.
                clear = "\033[H\033[J" if given.watch and sys.stdout.isatty() else ""
                print(clear + as_text(rows), flush=True)
            if not given.watch:
                return
            # What nobody is going to change needs no watching.
            if not any(row.is_active for row in rows):
                sys.exit(int(not set(states) <= {"done", "diverged"}))
            shown = states
            time.sleep(_SECONDS_BETWEEN_LOOKS)


if __name__ == "__main__":
    main()
