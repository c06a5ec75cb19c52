"""Choices: settings that a metric shares over all networks of a task, made once in a folder of results.

An analysis makes them on all its experiments' networks, before any distance is known. The next one takes them
as they are, so that values of one task compare over experiments; only one that holds every network on which
they were made makes them anew, where some have come or changed. Other candidates or another probe are another
choice, in place of the first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from analysis.gather import Trialset
from analysis.metrics import Metric
from analysis.results import Results, fingerprint, read_table, write_table
from degen.files import read_entry, read_metadata
from launch.conditions import Experiment

Place = tuple[Experiment, Results]
"""An experiment whose activations are stored, and where."""


def choose(places: Sequence[Place], metrics: dict[str, tuple[dict, Metric]], probe: Trialset) -> None:
    """Make and store what is not chosen yet, for every metric and every task of the experiments.

    Args:
        metrics: name to completed configuration and metric.
        probe: the trials on which activations were stored.
    """
    results = places[0][1]
    for name, (_, metric) in metrics.items():
        made_from = fingerprint(metric.version, metric.chosen_by, dataclasses.asdict(probe))
        for task, files in _by_task(places).items():
            path = results.choice(name, task)
            here = {signature: _identity(file) for signature, file in files.items()}
            known = read_table(path, made_from)
            before = {} if known is None else known.attrs["networks"]
            if known is None or (_holds(here, before) and here != before):
                curve = metric.choose(_States(list(files.values())))
                if curve is None:
                    break
                curve.attrs["networks"] = before = here
                path.parent.mkdir(parents=True, exist_ok=True)
                write_table(path, known := curve, made_from)
            chosen = ", ".join(f"{word} {value}" for word, value in metric.chosen(known).items())
            others = sum(_count({key: one}) for key, one in here.items() if before.get(key) != one)
            notice = f" (without {others} of these: delete {path} to choose anew)" if others else ""
            print(f"choice: {name} of {task}, {chosen}, on {_count(before)} networks{notice}", flush=True)


def _by_task(places: Sequence[Place]) -> dict[str, dict[str, Path]]:
    """Task to the activations of its conditions by signature, each once."""
    found: dict[str, dict[str, Path]] = {}
    for experiment, results in places:
        for condition in experiment.conditions:
            files = found.setdefault(condition.task_name, {})
            files.setdefault(condition.signature, results.activations(condition.signature))
    # The same sums, whatever the order of experiments.
    return {task: dict(sorted(files.items())) for task, files in found.items()}


def _identity(file: Path) -> dict[str, Any]:
    metadata = read_metadata(file)
    return {"seeds": metadata["seeds"], "made_from": metadata["made_from"]}


def _holds(here: dict[str, dict], before: dict[str, dict]) -> bool:
    """Whether every network of `before` is one of these, the same or trained anew."""
    return all(key in here and set(one["seeds"]) <= set(here[key]["seeds"]) for key, one in before.items())


def _count(networks: dict[str, dict]) -> int:
    return sum(len(one["seeds"]) for one in networks.values())


class _States(Sequence[Tensor]):
    """Hidden states (trials, time, units) of every network in files of activations.

    Each is read when it is asked for: those of a task at once might take more memory than there is.
    """

    def __init__(self, files: Sequence[Path]):
        self.places = [(file, i) for file in files for i in range(len(read_metadata(file)["seeds"]))]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        file, network = self.places[index]
        return read_entry(file, "hidden", network)
