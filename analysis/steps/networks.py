"""Gather: one row a network, with what its training and its behaviour say."""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import degen
from analysis.results import Results, Rows, fingerprint, read_table, write_table
from analysis.unmeasured import unmeasured
from degen.condition import Condition, build, snake_case
from degen.errors import require, require_integer, require_number
from degen.metrics.pairs import thread_map
from degen.networks import Network
from degen.run import Run
from degen.storage import RunFolder
from degen.streams import Stream
from degen.tasks import Task, Trials
from degen.training.recipe import epochs_to_convergence, epochs_to_threshold
from degen.training.validation import mean_loss
from launch.cli import command_line
from launch.experiment import Experiment
from launch.provenance import changes_since, code_digests


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trialset:
    """Trials that are the same for all networks of a task: a frozen set.

    Args:
        n_trials: how many; at least 2.
        seed: another seed, other trials.
    """

    n_trials: int
    seed: int

    def __post_init__(self) -> None:
        require_integer("n_trials of probe, ood and trials", self.n_trials, 2)
        require_integer("seed of probe and ood", self.seed, 0)

    def draw(self, task: Task, purpose: str, dtype: torch.dtype) -> Trials:
        """Trials with a leading dimension of 1, the same on every machine."""
        return task.generate(self.n_trials, Stream.named([self.seed], purpose, dtype=dtype))


@dataclasses.dataclass(frozen=True, kw_only=True)
class OODCondition:
    """Trials of another kind than those of training, beside the paper's (section 2.3.1).

    Args:
        doublings: how often the out-of-distribution version (`Task.ood`) is taken: the paper's condition is
            1, twice the trial or delay; 2 is four times as long; 0 is the task as trained.
        input_noise: standard deviation of normal noise on the inputs, as a share of each input's own.
    """

    doublings: int
    input_noise: float

    def __post_init__(self) -> None:
        require_integer("doublings of further_ood", self.doublings, 0)
        require_number("input_noise of further_ood", self.input_noise, minimum=0.0)

    def draw(self, task: Task, trialset: Trialset, dtype: torch.dtype) -> Trials:
        """The trials, the same for all networks of a task."""
        for _ in range(self.doublings):
            task = task.ood()
        trials = trialset.draw(task, "ood trials", dtype)
        scale = self.input_noise * trials.inputs.std(dim=(0, 1, 2), correction=0)
        noise = Stream.named([trialset.seed], "ood noise", dtype=dtype).normal(*trials.inputs.shape[1:])
        return dataclasses.replace(trials, inputs=trials.inputs + scale * noise)


FurtherOOD = Mapping[str, OODCondition]
"""Names, as they stand in tables, to conditions."""


def further_ood(settings: Mapping[str, Any]) -> FurtherOOD:
    """The conditions of the field of that name.

    Raises:
        BadInputError: a name or a value is not allowed.
    """
    for name in settings:
        allowed = "made of letters, digits and underscores"
        require(re.fullmatch(r"\w+", str(name)) is not None, "name in further_ood", name, allowed)
    return {name: build(node, OODCondition, f"further_ood.{name}")[1] for name, node in settings.items()}


def gather(
    experiment: Experiment,
    runs: Path,
    results: Results,
    ood: Trialset,
    further: FurtherOOD,
    weights_at: str,
    overrides: Sequence[str] = (),
) -> pd.DataFrame:
    """The networks of an experiment: a row for each that is finished, whatever its status.

    Columns: condition (signature), label, task, factor, seed, status, epochs (settling included),
    epochs_to_threshold (first validation loss below it), epochs_to_convergence, threshold, final_loss
    (validation loss of the weights), test_loss and ood_loss (mean squared errors on fresh trials and on the
    OOD version), test_loss_ratio (test_loss over the threshold),
    ood_loss_<name> (on further conditions), weight_change and weight_norm (Frobenius norms of the change of
    the effective recurrent matrix and of the final one), participation (ratio of its singular values:
    (sum)^2 / sum of squares), sparsity (share of its entries below a hundredth of the largest), made_from,
    network (fingerprint of the network, and of the source of a task of the user's own).

    Args:
        weights_at: the weights that everything is measured on, `converged` or `settled`.
        overrides: those that the experiment was composed with.

    Raises:
        BadInputError: no condition has a finished network (then nothing is made).
    """
    folders = [RunFolder.of(runs, condition) for condition in experiment.conditions]
    seeds = [sorted(set(folder.finished_seeds()) & set(experiment.seeds)) for folder in folders]
    beside = unmeasured(experiment, runs)
    if not any(seeds):
        place = [] if runs == Path("runs") else [f"runs={runs}"]
        command = command_line("launch.train", [f"experiment={experiment.name}", *overrides, *place])
        words = "; ".join([command, *beside])
        require(False, "experiment", experiment.name, f"one with finished networks below {runs} ({words})")
    results.create()
    known = Rows(results.networks)
    settings = [dataclasses.asdict(ood), {name: dataclasses.asdict(c) for name, c in further.items()}]
    rows, histories, computed = [], [], 0
    for folder, finished in zip(folders, seeds, strict=True):
        if not finished:
            continue
        condition = folder.condition
        run = load_run(runs, condition, weights_at)
        networks = [network for network in run.networks if network.seed in finished]
        changes = " and ".join(changes_since(run.sessions, code_digests(condition)))
        if changes:
            print(f"warning: {folder.path}: {changes} changed since networks were trained", file=sys.stderr)
        # A user's own task may have changed since; degen's changes are in the changelog.
        own = [weights_at, *code_digests(condition).values()]
        marks = [fingerprint(condition.signature, network.digest, settings, *own) for network in networks]
        # Without the settings of the losses, on which nothing that is made of the network depends.
        named = [fingerprint(condition.signature, network.digest, *own) for network in networks]
        found = [known.find(mark) for mark in marks]
        missing = [i for i, row in enumerate(found) if row is None]
        if missing:
            tests = _trials(condition, ood, further)
            measured = functools.partial(_row, condition, tests=tests, weights_at=weights_at)
            new = thread_map(measured, [networks[i] for i in missing], torch.device("cpu"))
            for i, row in zip(missing, new, strict=True):
                found[i] = row | {"made_from": marks[i]}
            computed += len(missing)
        factor = experiment.table_value(condition)
        rows += [
            row | {"factor": factor, "network": name}
            for row, name in zip(found, named, strict=True)
            if row is not None
        ]
        histories += [_history(condition, network) for network in networks]
        if missing:
            known.keep(rows)
    table = pd.DataFrame(rows)
    made_from = identity(table)
    if any(read_table(path, made_from) is None for path in (results.history, results.networks)):
        write_table(results.history, pd.concat(histories, ignore_index=True), made_from)
        write_table(results.networks, table, made_from)
    known.end()
    print("\n".join([f"gather: {len(table)} networks, {computed} of them new", *beside]), flush=True)
    return table


def load_run(runs: Path, condition: Condition, weights_at: str) -> Run:
    """Return the networks of a condition with their weights at that stage of training."""
    return degen.load(RunFolder.of(runs, condition).path).with_weights_at(weights_at)


def identity(table: pd.DataFrame) -> str:
    """What a table of networks was made from, by its rows."""
    return fingerprint(*(table[column].tolist() for column in ("made_from", "network", "factor")))


def _trials(condition: Condition, ood: Trialset, further: FurtherOOD) -> dict[str, Trials]:
    """On what each loss of the table is measured."""
    task, dtype = condition.task, condition.dtype
    trials = {
        "test_loss": ood.draw(task, "test trials", dtype),
        "ood_loss": ood.draw(task.ood(), "ood trials", dtype),
    }
    return trials | {f"ood_loss_{name}": other.draw(task, ood, dtype) for name, other in further.items()}


def _row(
    condition: Condition, network: Network, tests: Mapping[str, Trials], weights_at: str
) -> dict[str, Any]:
    history, training = network.history, condition.training
    solved, converged = epochs_to_threshold(history, training), epochs_to_convergence(history, training)
    measured_at = converged if weights_at == "converged" and converged is not None else len(history)
    loss = functools.partial(mean_loss, condition.model, network.weights)
    losses = {name: loss(trials).item() for name, trials in tests.items()}
    recurrent = condition.model.recurrent(network.weights)[0]
    change = recurrent - condition.model.recurrent(network.initial)[0]
    # A decomposition of a matrix that is not finite would raise.
    singular = torch.linalg.svdvals(recurrent.where(recurrent.isfinite().all(), 0.0))
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
        "weight_change": float(torch.linalg.matrix_norm(change)),
        "weight_norm": float(torch.linalg.matrix_norm(recurrent)),
        "participation": float(singular.sum().square() / singular.square().sum()),
        "sparsity": float((recurrent.abs() < 0.01 * recurrent.abs().max()).float().mean()),
    }


def _history(condition: Condition, network: Network) -> pd.DataFrame:
    table = pd.DataFrame(dataclasses.asdict(network.history))
    table.insert(0, "epoch", range(1, len(table) + 1))
    return table.assign(condition=condition.signature, task=condition.task_name, seed=network.seed)
