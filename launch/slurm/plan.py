"""What is to be submitted of a sweep: all that is neither finished nor under way, cut into jobs."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from degen.condition import Condition
from degen.errors import BadInputError, require_integer
from degen.storage import RunFolder
from launch.experiment import Sweep
from launch.slurm.submissions import Piece, Task


@dataclasses.dataclass(frozen=True)
class Plan:
    """The jobs of a sweep.

    Attributes:
        sweep: what was asked for.
        finished, active: networks that are there; that a job waits for or trains.
        arrays: of each job array, the pieces of each task.
        hours: of one device, for all networks to train; None where no earlier run tells.
        cap: jobs that run at once.
    """

    sweep: Sweep
    finished: int
    active: int
    arrays: list[list[list[Piece]]]
    hours: float | None
    cap: int

    @property
    def pieces(self) -> list[Piece]:
        return [piece for array in self.arrays for task in array for piece in task]

    @property
    def is_chained(self) -> bool:
        """Whether an array waits for the one before: the cap would not hold for several at once."""
        return len(self.arrays) > 1 and sum(map(len, self.arrays)) > self.cap

    def lines(self, launcher: dict[str, Any], dry: bool) -> list[str]:
        """The plan in words."""
        wanted = sum(len(seeds) for _, seeds in self.sweep.wanted.values())
        networks = sum(len(piece.seeds) for piece in self.pieces)
        tasks = sum(map(len, self.arrays))
        hours = (
            "no earlier run tells how long"
            if self.hours is None
            else f"about {self.hours:.2g} hours of a device"
        )
        asked = f"{self.sweep.name}: {len(self.sweep.wanted)} conditions, {wanted} networks"
        lines = [f"{asked}; {self.finished} finished, {self.active} with a job, {networks} to train"]
        for piece in self.pieces if dry else []:
            condition, _ = self.sweep.wanted[piece.signature]
            lines.append(f"  {condition.task_name}/{condition.name}: seeds {ranges(piece.seeds)}")
        if tasks:
            chained = ", one after the other" if self.is_chained else ""
            lines.append(f"jobs: {tasks} in {len(self.arrays)} arrays{chained}, {self.cap} at once; {hours}")
            given = ("partition", "account", "qos", "gres", "cpus_per_task", "mem_gb", "timeout_min")
            lines.append("each: " + ", ".join(f"{key}={launcher[key]}" for key in given if launcher.get(key)))
        return lines


def plan(sweep: Sweep, tasks: Iterable[Task], launcher: dict[str, Any], max_array_size: int) -> Plan:
    """Cut what is missing into jobs.

    Args:
        tasks: of all submissions so far.
        launcher: settings from `conf/hydra/launcher/`.

    Raises:
        BadInputError: a setting of `submit` is not allowed.
    """
    cut = sweep.settings["submit"]
    require_integer("submit.conditions_per_job", cut["conditions_per_job"], 1)
    if cut["seeds_per_job"] is not None:
        require_integer("submit.seeds_per_job", cut["seeds_per_job"], 1)
    runs = Path(sweep.settings["runs"])
    under_way: dict[str, set[int]] = {}
    for piece in [piece for task in tasks if task.is_active for piece in task.pieces]:
        under_way.setdefault(piece.signature, set()).update(piece.seeds)
    pieces, finished, active, hours = [], 0, 0, 0.0
    known = _seconds_per_network(runs, (condition for condition, _ in sweep.wanted.values()))
    for condition, seeds in sweep.wanted.values():
        there = set(seeds) & set(RunFolder.of(runs, condition).finished_seeds())
        busy = set(seeds) & under_way.get(condition.signature, set()) - there
        missing = sorted(set(seeds) - there - busy)
        finished, active = finished + len(there), active + len(busy)
        hours += len(missing) * known.get(_kind(condition), float("nan")) / 3600
        pieces += [
            Piece(condition.signature, share)
            for share in _batches(missing, cut["seeds_per_job"] or len(seeds))
        ]
    arrays = _batches(_batches(pieces, cut["conditions_per_job"]), max_array_size)
    return Plan(
        sweep, finished, active, arrays, None if math.isnan(hours) else hours, launcher["array_parallelism"]
    )


def ranges(seeds: Iterable[int]) -> str:
    """Numbers as a reader likes them: 0-3, 7."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _batches(items: list, size: int) -> list[list]:
    return [items[first : first + size] for first in range(0, len(items), size)]


def _seconds_per_network(runs: Path, conditions: Iterable[Condition]) -> dict[str, float]:
    """By how a task is trained: the median over earlier conditions of seconds over finished networks."""
    seconds: dict[str, list[float]] = {}
    for task in {condition.task_name for condition in conditions}:
        for path in sorted((runs / task).glob("*/condition.yaml")):
            try:
                folder = RunFolder.open(path.parent)
                spent = sum(session["seconds"] for session in folder.manifest.read())
            except BadInputError:
                continue  # a copy, say, damaged, or of an older version: it is not what is submitted
            finished = len(folder.finished_seeds())
            if finished:
                seconds.setdefault(_kind(folder.condition), []).append(spent / finished)
    return {kind: statistics.median(values) for kind, values in seconds.items()}


def _kind(condition: Condition) -> str:
    """Task and training, in all their settings: networks of one kind take about as long."""
    return json.dumps([condition.config[part] for part in ("task", "training")], sort_keys=True)
