"""Table of networks: status, losses and weight statistics of every finished network."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import degen
from analysis.cache import cached, cached_rows, fingerprint
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.trends.factors import factor_columns
from analysis.trials import FurtherOOD, TrialSet
from analysis.unmeasured import describe_unmeasured, training_command
from degen.condition import Condition, snake_case
from degen.errors import require
from degen.metrics.pairs import thread_map
from degen.networks import TrainedNetwork
from degen.run import Run
from degen.storage import RunFolder
from degen.streams import Stream
from degen.tasks import Trials
from degen.training.recipe import epochs_to_convergence, epochs_to_threshold
from degen.training.validation import mean_loss
from launch.experiment import Experiment
from launch.provenance import changes_since, code_digests

SETTLED_LOSSES = ("test_loss", "ood_loss")
"""Losses that an analysis of converged weights also computes for settled weights."""

logger = logging.getLogger(__name__)


def finished_seeds(experiment: Experiment, runs: Path, overrides: Sequence[str] = ()) -> dict[str, list[int]]:
    """Return the seeds of the finished networks of an experiment, by condition signature.

    Finished networks of other seeds or settings are logged.

    Args:
        overrides: the overrides that the experiment was composed with.

    Raises:
        BadInputError: no condition has a finished network.
    """
    seeds = {
        condition.signature: sorted(
            set(RunFolder.of(runs, condition).finished_seeds()) & set(experiment.seeds)
        )
        for condition in experiment.conditions
    }
    notes = describe_unmeasured(experiment, runs, overrides)
    if not any(seeds.values()):
        command = training_command(experiment, runs, overrides)
        allowed = f"one with finished networks below {runs} ({'; '.join([command, *notes])})"
        require(False, "experiment", experiment.name, allowed)
    for note in notes:
        logger.info(note)
    return seeds


def collect_networks(
    experiment: Experiment,
    seeds: Mapping[str, list[int]],
    runs: Path,
    results: ResultsFolder,
    ood: TrialSet,
    further_ood: FurtherOOD,
    weights_at: str,
) -> pd.DataFrame:
    """Store the table of networks and the table of training histories.

    Args:
        seeds: seeds of finished networks by condition signature, from `finished_seeds`.
        weights_at: the weights that everything is measured on, `converged` or `settled`.

    Returns:
        One row per finished network of any status. Columns: condition (signature), label, task,
        parameterization, width, seed, status, epochs (settling included), epochs_to_threshold (first
        validation loss below the threshold), epochs_to_convergence, threshold, final_loss (validation loss
        of the weights), test_loss and ood_loss (task losses on fresh trials and on the OOD version of
        the task), test_loss_ratio (test_loss / threshold), ood_loss_<name> (extra OOD conditions),
        test_loss_settled and ood_loss_settled (for settled weights, if converged weights are measured),
        weight_change and weight_norm (Frobenius norms of the change of the effective recurrent matrix and of
        the final matrix), participation_ratio ((sum of singular values)^2 / sum of squares),
        near_zero_fraction (fraction of entries below 1 % of the largest), factor_name, factor_value,
        fingerprint (of the row) and network_fingerprint (of the network and of the code of the user's task).
    """
    extra = {name: dataclasses.asdict(variant) for name, variant in further_ood.items()}
    settings = [dataclasses.asdict(ood), extra, SETTLED_LOSSES]
    tables, histories, n_computed = [], [], 0
    for condition in track("networks", experiment.conditions):
        if not seeds[condition.signature]:
            continue
        networks = _load_networks(runs, condition, seeds[condition.signature], weights_at)
        # Later steps depend on the network and on the user's code, but not on the trials of the losses.
        code = [weights_at, *code_digests(condition).values()]
        keys = {n.seed: fingerprint(condition.signature, n.digest, *code) for n in networks}
        row_keys = {n.seed: fingerprint(condition.signature, n.digest, settings, *code) for n in networks}
        compute = functools.partial(_rows, condition, networks, ood, further_ood, weights_at)
        rows, n_new = cached_rows(results.condition_networks(condition.signature), row_keys, compute)
        tables.append(
            rows.assign(**factor_columns(experiment, condition), network_fingerprint=list(keys.values()))
        )
        histories += [_history(condition, network) for network in networks]
        n_computed += n_new
    table = pd.concat(tables, ignore_index=True)
    cached(results.history, table_fingerprint(table), lambda: pd.concat(histories, ignore_index=True))
    cached(results.networks, table_fingerprint(table), lambda: table)
    logger.info("networks: %d, %d of them new", len(table), n_computed)
    for task in dict.fromkeys(c.task_name for c in experiment.conditions if c.task.ood() is None):
        logger.info("left out: OOD losses of %s, which has no ood()", task)
    return table


def load_run(runs: Path, condition: Condition, weights_at: str) -> Run:
    """Return the networks of a condition with their weights at a stage of training."""
    return degen.load(RunFolder.of(runs, condition).path).with_weights_at(weights_at)


def table_fingerprint(table: pd.DataFrame) -> str:
    """Return the fingerprint of a table of networks."""
    columns = ("fingerprint", "network_fingerprint", "factor_name", "factor_value")
    return fingerprint(*(table[column].tolist() for column in columns))


def _load_networks(
    runs: Path, condition: Condition, seeds: list[int], weights_at: str
) -> list[TrainedNetwork]:
    """Load finished networks. Warn if the code has changed since they were trained."""
    run = load_run(runs, condition, weights_at)
    changes = " and ".join(changes_since(run.sessions, code_digests(condition)))
    if changes:
        path = RunFolder.of(runs, condition).path
        logger.warning("%s: %s changed since networks were trained", path, changes)
    return [network for network in run.networks if network.seed in seeds]


def _rows(
    condition: Condition,
    networks: Sequence[TrainedNetwork],
    ood: TrialSet,
    further_ood: FurtherOOD,
    weights_at: str,
    seeds: list[int],
) -> list[dict[str, Any]]:
    """Compute the rows of some seeds."""
    trials = draw_loss_trials(condition, ood, further_ood)
    compute = functools.partial(_row, condition, trials=trials, weights_at=weights_at)
    return list(thread_map(compute, [n for n in networks if n.seed in seeds], torch.device("cpu")))


def draw_loss_trials(condition: Condition, ood: TrialSet, further_ood: FurtherOOD) -> dict[str, Trials]:
    """Return the trials of each loss with the process noise of the model, by column.

    A task without OOD version has no OOD losses.
    """
    task, dtype = condition.task, condition.dtype
    ood_task = task.ood()
    trials = {"test_loss": ood.draw(task, "test trials", dtype)}
    if ood_task is not None:
        trials["ood_loss"] = ood.draw(ood_task, "ood trials", dtype)
    extra = {f"ood_loss_{name}": variant.draw(task, ood, dtype) for name, variant in further_ood.items()}
    return {
        name: condition.model.add_noise(batch, Stream.named([ood.seed], f"{name} noise", dtype=dtype))
        for name, batch in (trials | extra).items()
        if batch is not None
    }


def _row(
    condition: Condition, network: TrainedNetwork, trials: Mapping[str, Trials], weights_at: str
) -> dict[str, Any]:
    history, training = network.history, condition.training
    solved, converged = epochs_to_threshold(history, training), epochs_to_convergence(history, training)
    measured_at = converged if weights_at == "converged" and converged is not None else len(history)
    loss = functools.partial(mean_loss, condition.model)
    losses = {name: loss(network.weights, batch).item() for name, batch in trials.items()}
    if weights_at == "converged":
        for name in (name for name in SETTLED_LOSSES if name in trials):
            losses[f"{name}_settled"] = loss(network.settled, trials[name]).item()
    return {
        "condition": condition.signature,
        "label": condition.label,
        "task": condition.task_name,
        "parameterization": snake_case(type(condition.model).__name__),
        "width": condition.model.width,
        "seed": network.seed,
        "status": network.status,
        "epochs": len(history),
        "epochs_to_threshold": float("nan") if solved is None else solved,
        "epochs_to_convergence": float("nan") if converged is None else converged,
        "threshold": training.threshold,
        "final_loss": history.validation_loss[measured_at - 1],
        **losses,
        "test_loss_ratio": losses["test_loss"] / training.threshold,
        **_weight_statistics(condition, network),
    }


def _weight_statistics(condition: Condition, network: TrainedNetwork) -> dict[str, float]:
    """Return the statistics of the effective recurrent matrix, or of the stacked blocks of a gated cell."""
    recurrent = condition.model.recurrent(network.weights)[0]
    change = recurrent - condition.model.recurrent(network.initial)[0]
    # The singular value decomposition of a matrix that is not finite would raise an error.
    singular = torch.linalg.svdvals(recurrent.where(recurrent.isfinite().all(), 0.0))
    near_zero = recurrent.abs() < 0.01 * recurrent.abs().max()
    return {
        "weight_change": float(torch.linalg.matrix_norm(change)),
        "weight_norm": float(torch.linalg.matrix_norm(recurrent)),
        "participation_ratio": float(singular.sum().square() / singular.square().sum()),
        "near_zero_fraction": float(near_zero.float().mean()),
    }


def _history(condition: Condition, network: TrainedNetwork) -> pd.DataFrame:
    table = pd.DataFrame(dataclasses.asdict(network.history))
    table.insert(0, "epoch", range(1, len(table) + 1))
    return table.assign(condition=condition.signature, task=condition.task_name, seed=network.seed)
