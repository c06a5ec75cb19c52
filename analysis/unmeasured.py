"""Finished networks that an analysis does not measure, because of other seeds or settings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from degen.condition import Condition
from degen.errors import BadInputError
from degen.storage import RunFolder
from launch.experiment import Experiment

MAX_DIFFERENCES = 3
"""Differing settings that may have been forgotten. More of them are another experiment."""


def describe_unmeasured(experiment: Experiment, runs: Path) -> list[str]:
    """Describe finished networks below `runs` that the user may want to measure, one line per run folder.

    They have other seeds, or a condition with the readable name of a measured condition. If a condition has
    no finished networks, the networks of the most similar condition are described, unless it differs in more
    than `MAX_DIFFERENCES` settings.
    """
    lines = []
    own = {condition.signature for condition in experiment.conditions}
    for condition in experiment.conditions:
        folder = RunFolder.of(runs, condition)
        finished = set(folder.finished_seeds())
        other_seeds = finished - set(experiment.seeds)
        if other_seeds:
            seeds = f"'overrides=[\"seeds={max(finished) + 1}\"]'"
            lines.append(
                f"not measured: {len(other_seeds)} networks of other seeds in {folder.path} ({seeds})"
            )
        candidates = list(_other_finished_folders(runs, condition, own))
        if finished & set(experiment.seeds):
            similar = [other for other in candidates if other.condition.label == condition.label]
        else:
            candidates.sort(key=lambda other: len(_differences(other.condition, condition)))
            nearest = candidates[:1]
            similar = [c for c in nearest if len(_differences(c.condition, condition)) <= MAX_DIFFERENCES]
            lines += [f"missing: no finished network of {folder.path}"] * len(similar)
        lines += [_line(other, condition) for other in similar]
    return lines


def _other_finished_folders(runs: Path, condition: Condition, own: set[str]) -> Iterator[RunFolder]:
    """Iterate over readable run folders of the task with finished networks, except conditions in `own`."""
    for path in sorted((runs / condition.task_name).glob("*-*")):
        if path.name.rpartition("-")[2] not in own:
            with contextlib.suppress(BadInputError):
                folder = RunFolder.open(path)
                if folder.finished_seeds():
                    yield folder


def _line(folder: RunFolder, condition: Condition) -> str:
    differences = _differences(folder.condition, condition)
    settings = ", ".join(f"{name}={value} (here {here})" for name, (value, here) in differences.items())
    return f"not measured: {len(folder.finished_seeds())} networks of {folder.path}, with {settings}"


def _differences(condition: Condition, other: Condition) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two conditions differ, and the value of each."""
    first, second = dict(_leaves(condition.config)), dict(_leaves(other.config))
    names = sorted(first.keys() | second.keys())
    pairs = {name: (first.get(name, "absent"), second.get(name, "absent")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict):
        yield path, node
        return
    for name, value in node.items():
        yield from _leaves(value, f"{path}.{name}" if path else name)
