"""Does the stop rule change degeneracy? The paper's rule, taken literally, against convergence here.

    python -m analysis.replication.literal_stop_rule CONVERGED CONTINUED HYPERPARAMETERS TARGET

The paper trains until the mean training loss of an epoch is below the threshold, and for three more epochs.
CONVERGED is the run folder of a condition. CONTINUED has the same networks, whose training went on past
convergence, with a snapshot of every epoch:

    degen train task=delayed_discrimination width=128 seeds=16 training.patience=26 training.max_epochs=26 \
        'snapshots=[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25]'

HYPERPARAMETERS is the table of DSA's hyperparameters that `analysis.replication.small_tables` wrote.

TARGET is a folder for two tables. networks.csv has a row per network: its epoch and losses under both rules.
changes.csv has a row per measure: degeneracy under both rules and its relative change, with an interval and p
over seeds.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import degen
from analysis.metrics import Hyperparameters, Metric
from analysis.replication.small_tables import selected_hyperparameters
from analysis.steps.activations import compute_states
from analysis.steps.networks import draw_loss_trials
from analysis.trials import TrialSet
from degen.condition import Condition, build
from degen.errors import require
from degen.networks import TrainedNetwork
from degen.run import Run
from degen.statistics import Bootstrap, FactorCurve, deviation_curve, distance_curve, fit_trend
from degen.tasks import Trials
from degen.training.recipe import last_epoch
from degen.training.validation import mean_loss
from launch.cli import exit_on_user_error
from launch.config import compose

RULES = ("converged", "literal")
"""Convergence as in docs/specification.md, section 4, and the paper's rule, taken literally."""

EXTRA_EPOCHS = 3
"""Epochs of training after the first one whose mean training loss is below the threshold."""

METRICS = ("dsa", "dsa_weighted", "pif")

BOOTSTRAP = Bootstrap(n_samples=2000, level=0.95, seed=0)
N_PERMUTATIONS = 9999


def literal_epoch(losses: Sequence[float], threshold: float) -> int | None:
    """Return the epoch, counted from 1, in which the paper's rule ends training.

    Args:
        losses: mean training loss of each epoch.
        threshold: threshold of the task.

    Returns:
        None if training ends before it.

    Examples:
        >>> literal_epoch([0.3, 0.09, 0.2, 0.08, 0.05], threshold=0.1)
        5
    """
    epochs = (epoch for epoch, loss in enumerate(losses, start=1) if loss < threshold)
    epoch = next(epochs, len(losses)) + EXTRA_EPOCHS
    return epoch if epoch <= len(losses) else None


def networks_by_rule(converged: Run, continued: Run) -> dict[str, list[TrainedNetwork]]:
    """Return the networks of the continued run, with their weights under each of `RULES`.

    Args:
        converged: networks that ended by convergence.
        continued: the same networks, trained past convergence, with snapshots.

    Raises:
        BadInputError: the runs differ in more than the end of training, or training ends too early.
    """
    _require_same_training(converged.condition, continued.condition)
    ended = {network.seed: network for network in converged.networks}
    at_epoch = functools.cache(lambda epoch: {n.seed: n for n in continued.with_weights_at(epoch).networks})
    networks: dict[str, list[TrainedNetwork]] = {rule: [] for rule in RULES}
    for network in continued.networks:
        found = f"seed {network.seed} of {continued.path}"
        require(network.seed in ended, "network", found, f"in {converged.path}, too")
        own = ended[network.seed]
        reached = last_epoch(own.history, converged.condition.training)
        is_same = reached <= len(network.history) and _equal_weights(at_epoch(reached)[network.seed], own)
        require(is_same, "network", found, f"equal to that of {converged.path} in epoch {reached}")
        epoch = literal_epoch(network.history.loss, continued.condition.training.threshold)
        allowed = f"trained for {EXTRA_EPOCHS} epochs after its loss falls below the threshold"
        require(epoch is not None, "network", found, allowed)
        networks["converged"].append(own)
        networks["literal"].append(at_epoch(epoch)[network.seed])
    return networks


def _require_same_training(converged: Condition, continued: Condition) -> None:
    """Raise `BadInputError` unless two conditions differ only in patience and number of epochs."""
    own = converged.config["training"]
    end = {name: own[name] for name in ("patience", "max_epochs")}
    config = continued.config | {"training": continued.config["training"] | end}
    is_same = config == converged.config
    require(is_same, "continued condition", continued.name, f"{converged.name} with another patience")


def _equal_weights(first: TrainedNetwork, second: TrainedNetwork) -> bool:
    return all(torch.equal(weights, second.weights[name]) for name, weights in first.weights.items())


def networks_table(
    networks: Mapping[str, list[TrainedNetwork]], condition: Condition, trials: Mapping[str, Trials]
) -> pd.DataFrame:
    """Return one row per network: seed, and epoch and losses on fresh trials under each rule.

    Args:
        networks: networks under each rule.
        condition: the condition that converged.
        trials: trials of each loss, by column.
    """
    training = condition.training
    table = pd.DataFrame({"seed": [network.seed for network in networks["literal"]]})
    table["epoch_converged"] = [last_epoch(n.history, training) for n in networks["converged"]]
    table["epoch_literal"] = [literal_epoch(n.history.loss, training.threshold) for n in networks["literal"]]
    for rule in RULES:
        for name, batch in trials.items():
            losses = [mean_loss(condition.model, network.weights, batch) for network in networks[rule]]
            table[f"{name}_{rule}"] = torch.cat(losses).tolist()
    return table


def changes_table(
    networks: Mapping[str, list[TrainedNetwork]],
    losses: pd.DataFrame,
    condition: Condition,
    probe: TrialSet,
    metrics: Mapping[str, tuple[Metric, Hyperparameters]],
) -> pd.DataFrame:
    """Return one row per measure: its value under each rule, and the relative change with interval and p."""
    states = [compute_states(condition, networks[rule], probe) for rule in RULES]
    groups = [losses[f"ood_loss_{rule}"].to_numpy() for rule in RULES]
    settings = [losses["seed"].tolist()] * len(RULES), BOOTSTRAP, condition.task_name
    curves = {
        name: distance_curve([metric.matrix(state, selected) for state in states], *settings)
        for name, (metric, selected) in metrics.items()
    }
    curves["sigma_ood"] = deviation_curve(groups, *settings)
    return pd.DataFrame([{"measure": name} | _change(curve) for name, curve in curves.items()])


def _change(curve: FactorCurve) -> dict[str, float]:
    """Return the values under both rules, and the relative change from convergence to the literal rule."""
    trend = fit_trend([curve], BOOTSTRAP, N_PERMUTATIONS)
    change, low, high = np.expm1([trend.effect, trend.low, trend.high])
    values = dict(zip(RULES, curve.values, strict=True))
    return values | {"change": change, "low": low, "high": high, "p": trend.p}


def write_tables(converged: Path, continued: Path, hyperparameters: Path, target: Path) -> None:
    """Write networks.csv and changes.csv to `target`.

    Args:
        converged: run folder of a condition.
        continued: run folder of the same networks, trained past convergence.
        hyperparameters: table of the hyperparameters of DSA.
        target: folder of the tables.
    """
    run = degen.load(converged)
    networks, condition = networks_by_rule(run, degen.load(continued)), run.condition
    settings = compose("analyze", ["~experiment", f"metric=[{','.join(METRICS)}]"])
    probe, ood = (build(settings[name], TrialSet, name)[1] for name in ("probe", "ood"))
    metrics = _metrics(settings["metrics"], condition, pd.read_csv(hyperparameters))
    losses = networks_table(networks, condition, draw_loss_trials(condition, ood, {}))
    changes = changes_table(networks, losses, condition, probe, metrics)
    target.mkdir(parents=True, exist_ok=True)
    for name, table in (("networks", losses), ("changes", changes)):
        table.to_csv(target / f"{name}.csv", index=False, float_format="%.6g")
        print(table.to_string(index=False), flush=True)


def _metrics(
    nodes: Mapping[str, Any], condition: Condition, hyperparameters: pd.DataFrame
) -> dict[str, tuple[Metric, Hyperparameters]]:
    """Return each of `METRICS` with its hyperparameters."""
    return {
        name: (
            build(nodes[name], Metric, f"metrics.{name}")[1],
            selected_hyperparameters(hyperparameters, condition.task_name, name),
        )
        for name in METRICS
    }


def main() -> None:
    """Run the command line."""
    with exit_on_user_error():
        allowed = "two run folders, a table of hyperparameters and a folder for the tables"
        require(len(sys.argv) == 5, "arguments", sys.argv[1:], allowed)
        write_tables(*map(Path, sys.argv[1:]))


if __name__ == "__main__":
    main()
