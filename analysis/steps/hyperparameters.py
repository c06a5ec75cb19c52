"""Choices: settings that a metric shares over all networks of a task, made once in a folder of results.

An analysis makes them on all its experiments' networks, before any distance is known. The next one takes them
as they are, so that values of one task compare over experiments; only one that holds every network on which
they were made, as far as these are still there, makes them anew, where some have come or changed. Each
experiment keeps a copy, by which it is measured. Other candidates or another probe are another choice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from analysis.metrics import Metric
from analysis.results import Results, fingerprint, read_table, write_table
from analysis.steps.networks import Trialset
from degen.errors import BadInputError
from degen.files import read_entry, read_metadata
from launch.experiment import Experiment

Place = tuple[Experiment, Results]
"""An experiment whose activations are stored, and where."""


def choose(
    places: Sequence[Place],
    metrics: dict[str, tuple[dict[str, Any], Metric]],
    probe: Trialset,
    takers: Sequence[Results],
) -> list[BadInputError]:
    """Make and store what is not chosen yet, for every metric and every task of the experiments.

    Where nothing can be chosen, that is said, and no copy is left: the experiment cannot be measured then.

    Args:
        metrics: name to completed configuration and metric.
        probe: the trials on which activations were stored.
        takers: where the copies go: of those of the experiments that are measured next.

    Returns:
        Why something could not be chosen.
    """
    refused = []
    for name, (config, metric) in metrics.items():
        if metric.chosen_by is None:
            continue
        options = config["_target_"], metric.version, metric.chosen_by, dataclasses.asdict(probe)
        made_from = fingerprint(*options)
        # By its class: metrics that choose alike, such as input_dsa and dsa, share the choice.
        kind = config["_target_"].rpartition(".")[2].lower()
        for task, files in _by_task(places).items():
            of_task = [results for one, results in places if task in {c.task_name for c in one.conditions}]
            copies = [results.choice(name, task) for results in of_task if results in takers]
            path = of_task[0].shared_choice(kind, task, made_from)
            try:
                curve = _choice(path, made_from, metric, files, of_task[0])
            except BadInputError as error:
                print(f"not chosen: {name} of {task}, {error}", flush=True)
                refused.append(error)
                for own in copies:
                    own.unlink(missing_ok=True)
                continue
            before = curve.attrs["networks"]
            copied = fingerprint(made_from, before)
            for own in copies:
                if read_table(own, copied) is None:
                    own.parent.mkdir(parents=True, exist_ok=True)
                    write_table(own, curve.copy(), copied)
            others = sum(
                len(set(one["seeds"]) - set(before.get(key, {"seeds": []})["seeds"]))
                for key, one in _identities(files).items()
            )
            notice = f" (without {others} of these: delete {path} to choose anew)" if others else ""
            number = sum(len(one["seeds"]) for one in before.values())
            words = settings_text(metric.chosen(curve))
            print(f"choice: {name} of {task}, {words}, on {number} networks{notice}", flush=True)
    return refused


def settings_text(chosen: dict[str, int]) -> str:
    """Settings for a reader."""
    return ", ".join(f"{word} {value}" for word, value in chosen.items())


def _choice(
    path: Path, made_from: str, metric: Metric, files: dict[str, Path], results: Results
) -> pd.DataFrame:
    """What is chosen already, or else is now."""
    here = _identities(files)
    known = read_table(path, made_from)
    if known is not None:
        before = known.attrs["networks"]
        holds = all(
            seeds <= set(here.get(signature, {"seeds": []})["seeds"])
            for signature, seeds in _still_there(before, results).items()
        )
        if before == here or not holds:
            return known
    curve = metric.choose(_States(list(files.values())))
    curve.attrs["networks"] = here
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, curve, made_from)
    return curve


def _by_task(places: Sequence[Place]) -> dict[str, dict[str, Path]]:
    """Task to the activations of its conditions by signature, each once."""
    found: dict[str, dict[str, Path]] = {}
    for experiment, results in places:
        for condition in experiment.conditions:
            files = found.setdefault(condition.task_name, {})
            files.setdefault(condition.signature, results.activations(condition.signature))
    # The same sums, whatever the order of experiments.
    return {task: dict(sorted(files.items())) for task, files in found.items()}


def _identities(files: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """Of each condition the seeds of its networks, and what their states were made from."""
    stored = {signature: read_metadata(file) for signature, file in files.items()}
    return {
        signature: {"seeds": metadata["seeds"], "made_from": metadata["made_from"]}
        for signature, metadata in stored.items()
    }


def _still_there(before: dict[str, dict[str, Any]], results: Results) -> dict[str, set[int]]:
    """The seeds of those networks that some experiment's table still has (activations may be deleted)."""
    tables = [read_table(path) for path in results.beside(results.networks)]
    tables.append(read_table(results.networks))
    there: set[tuple[str, int]] = set()
    for table in tables:
        if table is not None:
            good = table[table["status"] == "converged"]
            there |= set(zip(good["condition"], good["seed"].astype(int), strict=True))
    return {key: {seed for seed in one["seeds"] if (key, seed) in there} for key, one in before.items()}


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
