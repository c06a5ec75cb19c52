"""Activations: hidden states of the converged networks on the frozen probe."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import torch

from analysis.results import Results, fingerprint, is_made_from, write_arrays
from analysis.steps.networks import Trialset, load_run
from degen.condition import Condition
from degen.errors import BadInputError
from launch.experiment import Experiment

ARRAYS = ("hidden", "recurrent", "initial_recurrent", "inputs")
"""Hidden states (networks, trials, time, units), recurrent matrices (networks, units, units) after and before
training, and the probe's inputs (trials, time, n_inputs)."""


class NothingToCompareError(BadInputError):
    """No condition of an experiment has two converged networks."""


def converged(table: pd.DataFrame, condition: Condition) -> list[int]:
    """The seeds of a condition's converged networks."""
    rows = table[(table["condition"] == condition.signature) & (table["status"] == "converged")]
    return sorted(int(seed) for seed in rows["seed"])


def with_pairs(experiment: Experiment, table: pd.DataFrame) -> Experiment:
    """The experiment without the conditions that have no pair to compare; each is named on the way.

    Raises:
        NothingToCompareError: no condition has two converged networks.
    """
    counts = {condition.signature: len(converged(table, condition)) for condition in experiment.conditions}
    for condition in experiment.conditions:
        if counts[condition.signature] < 2:
            found = counts[condition.signature]
            print(f"left out: {condition.name}, converged networks: {found}, needed: 2", flush=True)
    if max(counts.values()) < 2:
        raise NothingToCompareError(
            f"converged networks must be at least two in some condition of {experiment.name}, "
            f"got {max(counts.values())}."
        )

    def kept(conditions: list[Condition]) -> list[Condition]:
        return [condition for condition in conditions if counts[condition.signature] >= 2]

    return dataclasses.replace(experiment, baseline=kept(experiment.baseline), swept=kept(experiment.swept))


def activations_from(table: pd.DataFrame, condition: Condition, probe: Trialset) -> str:
    """The fingerprint of what a condition's activations are made from."""
    rows = table[table["condition"] == condition.signature].set_index("seed")["network"]
    digests = rows.loc[converged(table, condition)].tolist()
    return fingerprint(digests, dataclasses.asdict(probe), ARRAYS)


def activations(
    experiment: Experiment,
    runs: Path,
    results: Results,
    table: pd.DataFrame,
    probe: Trialset,
    weights_at: str,
) -> None:
    """Store `ARRAYS` of every condition, of its converged networks."""
    written = 0
    for condition in experiment.conditions:
        seeds = converged(table, condition)
        made_from = activations_from(table, condition, probe)
        if is_made_from(results.activations(condition.signature), made_from):
            continue
        run = load_run(runs, condition, weights_at)
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
