"""Activations: hidden states of the converged networks on the frozen probe."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import torch

import degen
from analysis.gather import Trialset
from analysis.results import Results, fingerprint, is_made_from, write_arrays
from degen.condition import Condition
from degen.errors import BadInputError
from degen.storage import RunFolder
from launch.conditions import Experiment

ARRAYS = ("hidden", "recurrent", "initial_recurrent", "inputs")
"""Hidden states (networks, trials, time, units), recurrent matrices (networks, units, units) after and before
training, and the probe's inputs (trials, time, n_inputs)."""


def converged(table: pd.DataFrame, condition: Condition) -> list[int]:
    """The seeds of a condition's converged networks."""
    rows = table[(table["condition"] == condition.signature) & (table["status"] == "converged")]
    return sorted(int(seed) for seed in rows["seed"])


def require_pairs(experiment: Experiment, table: pd.DataFrame) -> None:
    """See that every condition has a pair to compare.

    Raises:
        BadInputError: a condition has fewer than two converged networks.
    """
    for condition in experiment.conditions:
        count = len(converged(table, condition))
        if count < 2:
            raise BadInputError(
                f"condition {condition.name} must have at least two converged networks, got {count}."
            )


def activations(
    experiment: Experiment, runs: Path, results: Results, table: pd.DataFrame, probe: Trialset
) -> None:
    """Store `ARRAYS` of every condition, of its converged networks."""
    written = 0
    for condition in experiment.conditions:
        seeds = converged(table, condition)
        digests = (
            table[table["condition"] == condition.signature]
            .set_index("seed")["made_from"]
            .loc[seeds]
            .tolist()
        )
        made_from = fingerprint(digests, dataclasses.asdict(probe), ARRAYS)
        if is_made_from(results.activations(condition.signature), made_from):
            continue
        run = degen.load(RunFolder.of(runs, condition).path)
        networks = [network for network in run.networks if network.seed in seeds]
        trials = probe.draw(condition.task, "probe", condition.dtype)
        model = condition.model
        with torch.no_grad():
            hidden = torch.cat([model.unroll(network.weights, trials) for network in networks])
            recurrent = torch.cat([model.recurrent(network.weights) for network in networks])
            initial = torch.cat([model.recurrent(network.initial) for network in networks])
        arrays = dict(zip(ARRAYS, (hidden, recurrent, initial, trials.inputs[0]), strict=True))
        write_arrays(results.activations(condition.signature), arrays, {"seeds": seeds}, made_from)
        written += 1
    print(f"activations: {len(experiment.conditions)} conditions, {written} of them new", flush=True)
