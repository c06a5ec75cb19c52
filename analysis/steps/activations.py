"""Activations: hidden states of the converged networks on the probe."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from analysis.cache import Arrays, cached, fingerprint
from analysis.metrics import States
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.steps.networks import load_run
from analysis.trials import TrialSet
from degen.condition import Condition
from degen.errors import BadInputError
from degen.networks import TrainedNetwork
from launch.experiment import Experiment

ARRAYS = ("hidden", "recurrent", "initial_recurrent", "inputs")
"""Hidden states (networks, trials, time, units), recurrent matrices (networks, units, units) after and before
training, and inputs of the probe (trials, time, n_inputs)."""

logger = logging.getLogger(__name__)


class NothingToCompareError(BadInputError):
    """No condition of an experiment has two converged networks."""


def converged_seeds(table: pd.DataFrame, condition: Condition) -> list[int]:
    """Return the seeds of the converged networks of a condition."""
    rows = table[(table["condition"] == condition.signature) & (table["status"] == "converged")]
    return sorted(int(seed) for seed in rows["seed"])


def drop_unpaired_conditions(experiment: Experiment, table: pd.DataFrame) -> Experiment:
    """Return the experiment without the conditions that have fewer than two converged networks.

    Raises:
        NothingToCompareError: no condition has two converged networks.
    """
    counts = {c.signature: len(converged_seeds(table, c)) for c in experiment.conditions}
    for condition in experiment.conditions:
        if counts[condition.signature] < 2:
            count = counts[condition.signature]
            logger.info("left out: %s, converged networks: %d, needed: 2", condition.name, count)
    if max(counts.values()) < 2:
        raise NothingToCompareError(
            f"converged networks must be at least two in some condition of {experiment.name}, "
            f"got {max(counts.values())}."
        )

    def paired(conditions: list[Condition]) -> list[Condition]:
        return [condition for condition in conditions if counts[condition.signature] >= 2]

    return dataclasses.replace(
        experiment, baseline=paired(experiment.baseline), swept=paired(experiment.swept)
    )


def activations_fingerprint(table: pd.DataFrame, condition: Condition, probe: TrialSet) -> str:
    """Return the fingerprint of the activations of a condition."""
    rows = table[table["condition"] == condition.signature].set_index("seed")["network_fingerprint"]
    networks = rows.loc[converged_seeds(table, condition)].tolist()
    return fingerprint(networks, dataclasses.asdict(probe), ARRAYS)


def compute_activations(
    experiment: Experiment,
    runs: Path,
    results: ResultsFolder,
    table: pd.DataFrame,
    probe: TrialSet,
    weights_at: str,
) -> None:
    """Store `ARRAYS` of the converged networks of every condition."""
    n_computed = 0
    for condition in track("activations", experiment.conditions):
        seeds = converged_seeds(table, condition)
        compute = functools.partial(_arrays, runs, condition, seeds, probe, weights_at)
        key = activations_fingerprint(table, condition, probe)
        n_computed += cached(results.activations(condition.signature), key, compute)
    logger.info("activations: %d conditions, %d of them new", len(experiment.conditions), n_computed)


def _arrays(runs: Path, condition: Condition, seeds: list[int], probe: TrialSet, weights_at: str) -> Arrays:
    run = load_run(runs, condition, weights_at)
    networks = [network for network in run.networks if network.seed in seeds]
    return Arrays(compute_states(condition, networks, probe), {"seeds": seeds})


def compute_states(condition: Condition, networks: Sequence[TrainedNetwork], probe: TrialSet) -> States:
    """Return `ARRAYS` of some networks of a condition."""
    trials = probe.draw(condition.task, "probe", condition.dtype)
    model = condition.model
    with torch.no_grad():
        hidden = torch.cat([model.unroll(network.weights, trials) for network in networks])
        recurrent = torch.cat([model.recurrent(network.weights) for network in networks])
        initial = torch.cat([model.recurrent(network.initial) for network in networks])
    return dict(zip(ARRAYS, (hidden, recurrent, initial, trials.inputs[0]), strict=True))
