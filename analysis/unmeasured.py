"""Finished networks that an analysis does not measure, because of other seeds or settings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from analysis.settings import analysis_command
from degen.condition import Condition
from degen.errors import BadInputError
from degen.storage import RunFolder
from launch.cli import command_line
from launch.condition_fields import flatten
from launch.experiment import Experiment

MAX_DIFFERENCES = 3
"""Differing settings that may have been forgotten. More of them are another experiment."""


def describe_unmeasured(experiment: Experiment, runs: Path, overrides: Sequence[str] = ()) -> list[str]:
    """Describe finished networks below `runs` that the user may want to measure, one line per run folder.

    They have other seeds, or a condition with the readable name of a measured condition. If a condition has
    no finished networks, the networks of the most similar condition are described, unless it differs in more
    than `MAX_DIFFERENCES` settings. If other conditions of the experiment have finished networks, the last
    line is the command that trains what is missing.

    Args:
        overrides: the overrides that the experiment was composed with.
    """
    lines = []
    own = {condition.signature for condition in experiment.conditions}
    tasks = dict.fromkeys(condition.task_name for condition in experiment.conditions)
    folders = {task: list(_other_finished_folders(runs / task, own)) for task in tasks}
    n_missing = 0
    for condition in experiment.conditions:
        folder = RunFolder.of(runs, condition)
        finished = set(folder.finished_seeds())
        other_seeds = finished - set(experiment.seeds)
        if other_seeds:
            command = analysis_command(experiment, _with_seeds(overrides, max(finished) + 1))
            lines.append(
                f"not measured: {len(other_seeds)} networks of other seeds in {folder.path} ({command})"
            )
        if finished & set(experiment.seeds):
            similar = [f for f in folders[condition.task_name] if f.condition.label == condition.label]
        else:
            similar = _nearest(folders[condition.task_name], condition)
            lines += [f"missing: no finished network of {folder.path}"] * len(similar)
            n_missing += 1
        lines += [_line(other, condition) for other in similar]
    if 0 < n_missing < len(own):
        lines.append(f"to train what is missing: {training_command(experiment, runs, overrides)}")
    return lines


def training_command(experiment: Experiment, runs: Path, overrides: Sequence[str]) -> str:
    """Return the command that trains the networks of an experiment, to copy."""
    folder = [] if runs == Path("runs") else [f"runs={runs}"]
    return command_line("train", [*experiment.arguments, *overrides, *folder])


def _with_seeds(overrides: Sequence[str], seeds: int) -> list[str]:
    return [*(text for text in overrides if not text.startswith("seeds=")), f"seeds={seeds}"]


def _nearest(folders: Sequence[RunFolder], condition: Condition) -> list[RunFolder]:
    """Return the folder of the most similar condition, unless too many settings differ."""
    n_differences = {folder: len(_differences(folder.condition, condition)) for folder in folders}
    nearest = min(n_differences, key=n_differences.__getitem__, default=None)
    return [] if nearest is None or n_differences[nearest] > MAX_DIFFERENCES else [nearest]


def _other_finished_folders(folder: Path, own: set[str]) -> Iterator[RunFolder]:
    """Iterate over a task's readable run folders with finished networks, except conditions in `own`.

    Args:
        folder: folder of the task.
        own: signatures of the measured conditions.
    """
    for path in sorted(folder.glob("*-*")):
        if path.name.rpartition("-")[2] not in own:
            with contextlib.suppress(BadInputError):
                run_folder = RunFolder.open(path)
                if run_folder.finished_seeds():
                    yield run_folder


def _line(folder: RunFolder, condition: Condition) -> str:
    differences = _differences(folder.condition, condition)
    settings = ", ".join(f"{name}={value} (here {here})" for name, (value, here) in differences.items())
    return f"not measured: {len(folder.finished_seeds())} networks of {folder.path}, with {settings}"


def _differences(condition: Condition, other: Condition) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two conditions differ, and the value of each."""
    first, second = dict(flatten(condition.config)), dict(flatten(other.config))
    names = sorted(first.keys() | second.keys())
    pairs = {name: (first.get(name, "absent"), second.get(name, "absent")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
