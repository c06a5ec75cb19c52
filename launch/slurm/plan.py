"""Submission plan of a sweep: the networks that are neither finished nor in a job, split into jobs."""

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
from launch.settings import parse_snapshots
from launch.slurm.submissions import ArrayTask, Shard


@dataclasses.dataclass(frozen=True)
class SubmissionPlan:
    """The jobs of a sweep.

    A network without the requested snapshots is not finished.

    Attributes:
        sweep: the requested conditions and seeds.
        finished: number of finished networks.
        active: number of networks in a job that waits or runs.
        arrays: for each job array, the shards of each task.
        hours: hours on one device to train all networks of the plan; None without earlier runs.
        cap: number of jobs that may run at the same time.
    """

    sweep: Sweep
    finished: int
    active: int
    arrays: list[list[list[Shard]]]
    hours: float | None
    cap: int

    @property
    def shards(self) -> list[Shard]:
        """The shards of all tasks."""
        return [shard for array in self.arrays for task in array for shard in task]

    @property
    def is_chained(self) -> bool:
        """True if each array waits for the array before it. Arrays at the same time would exceed the cap."""
        return len(self.arrays) > 1 and sum(map(len, self.arrays)) > self.cap

    def describe(self, launcher: dict[str, Any], show_conditions: bool) -> str:
        """Return the plan as text.

        Args:
            launcher: settings from `conf/hydra/launcher/`.
            show_conditions: whether to list the conditions and seeds to train.
        """
        n_networks = sum(len(seeds) for _, seeds in self.sweep.requested.values())
        to_train = sum(len(shard.seeds) for shard in self.shards)
        lines = [
            f"{self.sweep.name}: {len(self.sweep.requested)} conditions, {n_networks} networks; "
            f"{self.finished} finished, {self.active} in a job, {to_train} to train"
        ]
        for shard in self.shards if show_conditions else []:
            condition, _ = self.sweep.requested[shard.signature]
            lines.append(f"  {condition.task_name}/{condition.name}: seeds {format_ranges(shard.seeds)}")
        return "\n".join(lines + (self._describe_jobs(launcher) if self.arrays else []))

    def _describe_jobs(self, launcher: dict[str, Any]) -> list[str]:
        hours = (
            "duration unknown without earlier runs"
            if self.hours is None
            else f"about {self.hours:.2g} device hours"
        )
        order = ", one array after the other" if self.is_chained else ""
        n_tasks = sum(map(len, self.arrays))
        arrays = "array" if len(self.arrays) == 1 else "arrays"
        fields = ("partition", "account", "qos", "gres", "cpus_per_task", "mem_gb", "timeout_min")
        return [
            f"jobs: {n_tasks} in {len(self.arrays)} {arrays}{order}, at most {self.cap} at once; {hours}",
            "each: " + ", ".join(f"{field}={launcher[field]}" for field in fields if launcher.get(field)),
        ]


def plan_submission(
    sweep: Sweep, tasks: Iterable[ArrayTask], launcher: dict[str, Any], max_array_size: int
) -> SubmissionPlan:
    """Split the networks that are neither finished nor in a job into jobs.

    Args:
        sweep: the requested conditions and seeds.
        tasks: the tasks of all submissions so far.
        launcher: settings from `conf/hydra/launcher/`.
        max_array_size: largest number of tasks in an array.

    Raises:
        BadInputError: a setting of `submit` is not allowed.
    """
    submit = sweep.config["submit"]
    conditions_per_job, seeds_per_job = submit["conditions_per_job"], submit["seeds_per_job"]
    require_integer("submit.conditions_per_job", conditions_per_job, 1)
    if seeds_per_job is not None:
        require_integer("submit.seeds_per_job", seeds_per_job, 1)
    runs, snapshots = Path(sweep.config["runs"]), parse_snapshots(sweep.config["snapshots"])
    in_job = _seeds_in_jobs(tasks)
    seconds_per_network = _seconds_per_network(runs, sweep.conditions)
    shards, finished, active, hours = [], 0, 0, 0.0
    for condition, seeds in sweep.requested.values():
        stored = set(seeds) & set(RunFolder.of(runs, condition).complete_seeds(snapshots))
        busy = set(seeds) & in_job.get(condition.signature, set()) - stored
        missing = sorted(set(seeds) - stored - busy)
        finished, active = finished + len(stored), active + len(busy)
        hours += len(missing) * seconds_per_network.get(_cost_key(condition), math.nan) / 3600
        shards += [
            Shard(condition.signature, part) for part in _batches(missing, seeds_per_job or len(seeds))
        ]
    arrays = _batches(_batches(shards, conditions_per_job), max_array_size)
    known_hours = None if math.isnan(hours) else hours
    return SubmissionPlan(sweep, finished, active, arrays, known_hours, launcher["array_parallelism"])


def _seeds_in_jobs(tasks: Iterable[ArrayTask]) -> dict[str, set[int]]:
    """Return the seeds in pending or running jobs, by the signature of their condition."""
    seeds: dict[str, set[int]] = {}
    for shard in [shard for task in tasks if task.is_active for shard in task.shards]:
        seeds.setdefault(shard.signature, set()).update(shard.seeds)
    return seeds


def format_ranges(seeds: Iterable[int]) -> str:
    """Return numbers as ranges.

    Example:
        >>> format_ranges([0, 1, 2, 3, 7])
        '0-3, 7'
    """
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _batches(items: list[Any], size: int) -> list[list[Any]]:
    return [items[first : first + size] for first in range(0, len(items), size)]


def _seconds_per_network(runs: Path, conditions: Iterable[Condition]) -> dict[str, float]:
    """Return seconds per network, by task and training: the median over conditions in `runs`."""
    seconds: dict[str, list[float]] = {}
    for task in {condition.task_name for condition in conditions}:
        for path in sorted((runs / task).glob("*/condition.yaml")):
            try:
                folder = RunFolder.open(path.parent)
                spent = sum(session["seconds"] for session in folder.manifest.read())
            except BadInputError:
                continue  # a copy, a damaged folder or one of an older version; not part of the sweep
            finished = len(folder.finished_seeds())
            if finished:
                seconds.setdefault(_cost_key(folder.condition), []).append(spent / finished)
    return {key: statistics.median(values) for key, values in seconds.items()}


def _cost_key(condition: Condition) -> str:
    """Return task and training with all settings: networks with equal keys take about equally long."""
    return json.dumps([condition.config[part] for part in ("task", "training")], sort_keys=True)
