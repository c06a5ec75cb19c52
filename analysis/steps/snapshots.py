"""Along training: distances between networks at equal epochs and equal losses, and to their own end."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from analysis.cache import Arrays, cached, fingerprint, write_csv
from analysis.metrics import Hyperparameters, Metric
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.snapshot_samples import END, OWN_END, Sample, Source, samples, validation_losses
from analysis.steps.activations import compute_states, converged_seeds
from analysis.steps.distances import read_hyperparameters
from analysis.trends.factors import factor_columns
from analysis.trials import TrialSet
from analysis.unmeasured import training_command
from degen.condition import Condition
from degen.errors import BadInputError, require
from degen.files import read_metadata, read_tensors
from degen.networks import TrainedNetwork
from degen.statistics import Bootstrap
from degen.storage import RunFolder
from launch.experiment import Experiment
from launch.provenance import source_digests
from launch.settings import parse_snapshots

MEASURES = ("dsa", "pif")
"""Metrics that are measured along training, if they are among the metrics of the analysis."""

_COLUMNS = (
    *("task", "condition", "label", "factor_name", "factor_value", "measure", "kind", "epoch", "loss_level"),
    *("networks", "left_out", "value", "low", "high"),
)

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class SnapshotDistances:
    """Settings for the comparison of a condition's networks.

    Attributes:
        condition: task and model of the networks.
        metric: the distance between networks.
        hyperparameters: those of the metric, selected on the final networks.
        probe: trials on which hidden states are computed.
    """

    condition: Condition
    metric: Metric
    hyperparameters: Hyperparameters
    probe: TrialSet

    def distances(self, sample: Sample, ends: Mapping[int, TrainedNetwork]) -> Tensor:
        """Return the distances of all pairs, (networks, networks), or to the own end, (networks,).

        Args:
            sample: the networks.
            ends: the final networks by seed.

        Raises:
            BadInputError: the metric cannot compare these networks.
        """
        if sample.kind != OWN_END:
            return self._matrix(sample.networks)
        pairs = [[network, ends[network.seed]] for network in sample.networks]
        return torch.stack([self._matrix(pair)[0, 1] for pair in pairs])

    def _matrix(self, networks: list[TrainedNetwork]) -> Tensor:
        states = compute_states(self.condition, networks, self.probe)
        return torch.from_numpy(self.metric.matrix(states, self.hyperparameters))


def parse_epochs(snapshots: Any, metrics: Collection[str]) -> list[int]:
    """Return the epochs of the field `snapshots` in ascending order, without `end`.

    Raises:
        BadInputError: it is no list of epochs and `end`, or no metric is measured along training.
    """
    epochs = parse_snapshots(snapshots)
    is_measured = len(snapshots) == 0 or any(name in metrics for name in MEASURES)
    require(is_measured, "snapshots", snapshots, f"[] unless metric contains {' or '.join(MEASURES)}")
    return epochs


def require_snapshots(
    experiment: Experiment,
    seeds: Mapping[str, list[int]],
    runs: Path,
    epochs: Sequence[int],
    overrides: Sequence[str],
) -> None:
    """Check that every converged network has a snapshot at each epoch before its end.

    Args:
        seeds: seeds of finished networks by condition signature.
        overrides: the overrides that the experiment was composed with.

    Raises:
        BadInputError: snapshots are missing. The sentence contains the command that trains them.
    """
    missing: set[int] = set()
    for condition in experiment.conditions if any(epochs) else []:
        folder = RunFolder.of(runs, condition)
        for seed in seeds[condition.signature]:
            network = folder.networks.read(seed)
            if network.status == "converged":
                missing.update(folder.snapshots.missing(network, epochs))
    others = [text for text in overrides if not text.startswith("snapshots=")]
    given = f"snapshots=[{','.join(map(str, epochs))}]"
    command = training_command(experiment, runs, [*others, given])
    allowed = f"epochs of which all converged networks have snapshots ({command})"
    require(not missing, "snapshots", sorted(missing), allowed)


def compute_snapshots(
    experiment: Experiment,
    runs: Path,
    results: ResultsFolder,
    table: pd.DataFrame,
    metrics: Mapping[str, tuple[dict[str, Any], Metric]],
    probe: TrialSet,
    weights_at: str,
    epochs: Sequence[int],
    bootstrap: Bootstrap,
) -> pd.DataFrame:
    """Store distances along training, as parquet and as CSV.

    Hyperparameters are those selected on the final networks. Levels of the loss are medians over networks at
    each epoch from 1. A measure has no row where it cannot compare the networks, for example because their
    dynamics have too few dimensions. The log says so.

    Args:
        experiment: experiment whose conditions have at least two converged networks.
        table: the table of `analysis.steps.networks.collect_networks`.
        metrics: complete configuration and metric, by name. Only `MEASURES` are measured.
        epochs: epochs in ascending order. The final weights are always measured.

    Returns:
        One row per condition, measure and sample of at least two networks. Columns: task, condition, label,
        factor_name, factor_value, measure, kind, epoch and loss_level (see `Sample`), networks (that are
        compared), left_out (converged networks that ended before the epoch or never reached the loss),
        value, low, high (empty for fewer than five networks).
    """
    rows: list[dict[str, Any]] = []
    for name in [name for name in MEASURES if name in metrics]:
        config, metric = metrics[name]
        for condition in track(f"snapshots: {name}", experiment.conditions):
            seeds = converged_seeds(table, condition)[: metric.max_networks]
            source = Source(RunFolder.of(runs, condition).path, seeds, epochs, weights_at)
            path = results.snapshot_distances(name, condition.signature)
            try:
                selected = read_hyperparameters(results, name, metric, condition)
            except BadInputError as error:
                logger.info("not measured: snapshots of %s, %s", condition.name, error)
                continue
            digests = _network_fingerprints(table, condition, seeds)
            _store(path, SnapshotDistances(condition, metric, selected, probe), source, digests, config)
            identity = {"task": condition.task_name, "condition": condition.signature}
            identity |= {"label": condition.label, **factor_columns(experiment, condition), "measure": name}
            rows += [identity | row for row in _rows(path, len(seeds), bootstrap)]
    snapshots = pd.DataFrame(rows, columns=list(_COLUMNS)).astype({"loss_level": float})
    is_new = cached(results.snapshots, fingerprint(snapshots.to_csv()), lambda: snapshots)
    write_csv(results.snapshots, snapshots)
    logger.info("snapshots: %d values, %s", len(snapshots), "new" if is_new else "unchanged")
    return snapshots


def _network_fingerprints(table: pd.DataFrame, condition: Condition, seeds: list[int]) -> list[str]:
    networks = table[table["condition"] == condition.signature].set_index("seed")
    return networks["network_fingerprint"].loc[seeds].tolist()


def _store(
    path: Path, comparison: SnapshotDistances, source: Source, digests: list[str], config: dict[str, Any]
) -> None:
    """Store the distances of every sample of a condition, and log the samples without distances.

    Args:
        digests: fingerprints of the networks.
        config: complete configuration of the metric.
    """
    code = config, comparison.metric.version, list(source_digests(config).values())
    settings = list(source.epochs), dataclasses.asdict(comparison.probe), comparison.hyperparameters
    cached(path, fingerprint(digests, *code, *settings), functools.partial(_compute, comparison, source))
    for error in read_metadata(path)["errors"]:
        logger.info("not measured: snapshots of %s, %s", comparison.condition.name, error)


def _compute(comparison: SnapshotDistances, source: Source) -> Arrays:
    """Return the distances of each sample, which the metadata describes in the same order."""
    tensors: dict[str, Tensor] = {}
    described: list[tuple[str, str | None, float | None, int]] = []
    errors: list[str] = []
    snapshots = source.load()
    losses = validation_losses(snapshots, comparison.condition, source.weights_at)
    for sample in samples(snapshots, losses):
        try:
            tensors[str(len(described))] = comparison.distances(sample, snapshots[END])
            described.append((sample.kind, sample.epoch, sample.loss_level, len(sample.networks)))
        except BadInputError as error:
            at = f"{sample.loss_level:.3g}" if sample.epoch is None else sample.epoch
            errors.append(f"{sample.kind} {at}: {error}")
    return Arrays(tensors, {"samples": described, "errors": errors})


def _rows(path: Path, n_networks: int, bootstrap: Bootstrap) -> Iterator[dict[str, Any]]:
    """Yield kind, epoch, loss level, numbers of networks and the estimate of each stored sample."""
    tensors, metadata = read_tensors(path)
    for index, (kind, epoch, loss_level, n) in enumerate(metadata["samples"]):
        distances = tensors[str(index)].numpy()
        estimate = bootstrap.mean(distances) if kind == OWN_END else bootstrap.mean_distance(distances)
        counts = {"networks": n, "left_out": n_networks - n}
        yield {"kind": kind, "epoch": epoch, "loss_level": loss_level} | counts | estimate._asdict()
