"""Example trials: inputs, targets and outputs of one trained network per task (Fig. 2 of the paper)."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from analysis.cache import cached, fingerprint
from analysis.labels import sort_tasks
from analysis.results import ResultsFolder
from analysis.steps.activations import converged_seeds
from analysis.steps.networks import load_run
from analysis.trials import TrialSet
from degen.condition import Condition
from degen.networks import TrainedNetwork
from launch.experiment import Experiment

logger = logging.getLogger(__name__)


def compute_example_trials(
    experiment: Experiment,
    runs: Path,
    results: ResultsFolder,
    table: pd.DataFrame,
    probe: TrialSet,
    weights_at: str,
) -> None:
    """Store the first trial of the probe, with the outputs of one converged network per task.

    The network is the first one of the first condition along the factor.

    Columns: condition, seed, kind (input, target or output), channel, step, value. Outputs for class targets
    are probabilities.

    Args:
        experiment: experiment whose conditions have converged networks.
        table: the table of `analysis.steps.networks.collect_networks`.
    """
    conditions = [_first_condition(experiment, task) for task in _tasks(experiment)]
    seeds = [converged_seeds(table, condition)[0] for condition in conditions]
    fingerprints = table.set_index(["condition", "seed"])["network_fingerprint"]
    networks = [fingerprints[c.signature, seed] for c, seed in zip(conditions, seeds, strict=True)]

    def compute() -> pd.DataFrame:
        tables = []
        for condition, seed in zip(conditions, seeds, strict=True):
            run = load_run(runs, condition, weights_at)
            network = next(network for network in run.networks if network.seed == seed)
            rows = _compute_table(condition, network, probe)
            tables.append(rows.assign(condition=condition.signature, seed=seed))
        return pd.concat(tables, ignore_index=True)

    is_new = cached(results.example_trials, fingerprint(networks, dataclasses.asdict(probe)), compute)
    logger.info("example trials: %s", f"{len(networks)} networks, new" if is_new else "unchanged")


def _tasks(experiment: Experiment) -> list[str]:
    return sort_tasks(condition.task_name for condition in experiment.conditions)


def _first_condition(experiment: Experiment, task: str) -> Condition:
    conditions = [condition for condition in experiment.conditions if condition.task_name == task]
    return experiment.sorted_by_factor(conditions)[0]


def _compute_table(condition: Condition, network: TrainedNetwork, probe: TrialSet) -> pd.DataFrame:
    """Compute the rows of one network, without the columns condition and seed."""
    trials = probe.draw(condition.task, "probe", condition.dtype)
    with torch.no_grad():
        outputs = condition.model(network.weights, trials)
    if trials.loss == "cross_entropy":
        outputs = outputs.softmax(dim=-1)
    arrays = {"input": trials.inputs, "target": trials.targets, "output": outputs}
    return pd.concat([_rows(kind, array[0, 0]) for kind, array in arrays.items()], ignore_index=True)


def _rows(kind: str, values: Tensor) -> pd.DataFrame:
    """Return one row per channel and step.

    Args:
        values: (time, channels).
    """
    n_steps, n_channels = values.shape
    return pd.DataFrame(
        {
            "kind": kind,
            "channel": torch.arange(n_channels).repeat_interleave(n_steps).numpy(),
            "step": torch.arange(n_steps).repeat(n_channels).numpy(),
            "value": values.T.flatten().double().numpy(),
        }
    )
