"""The snapshots of a run folder: weights of networks along training, one file per network and epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from degen.condition import Condition
from degen.errors import require
from degen.files import write_tensors
from degen.models import Parameters
from degen.networks import TrainedNetwork, snapshot_from, snapshot_tensors
from degen.storage.network_files import read_signed_tensors
from degen.storage.paths import RunPaths
from degen.training import Ensemble
from degen.training.recipe import epochs_to_convergence, last_epoch

FORMAT = 1
"""Version of the format of a snapshot. Raise it when older files can no longer be read."""


@dataclasses.dataclass(frozen=True)
class Snapshots:
    """The snapshots of a run folder.

    A snapshot contains the weights after an epoch, and the history up to it. The initial weights and the
    weights at the end of training have no snapshot, because the network file contains them.
    """

    paths: RunPaths
    condition: Condition

    def write(self, running: Ensemble, epochs: Collection[int]) -> None:
        """Store the networks in training whose last epoch is one of `epochs`.

        Networks in their settling epochs are left out: their trajectory ended at convergence.
        """
        for member, (seed, history) in enumerate(zip(running.seeds, running.histories, strict=True)):
            has_converged = epochs_to_convergence(history, self.condition.training) is not None
            if len(history) in epochs and not has_converged:
                file = self.paths.snapshot(seed, len(history))
                file.parent.mkdir(exist_ok=True)
                identity = {"signature": self.condition.signature, "seed": seed, "epoch": len(history)}
                write_tensors(file, snapshot_tensors(running, member), {"format": FORMAT} | identity)

    def missing(self, network: TrainedNetwork, epochs: Iterable[int]) -> list[int]:
        """Return the epochs before the end of a network's training that have no snapshot."""
        stored = {0, *self.paths.snapshot_epochs(network.seed)}
        last = last_epoch(network.history, self.condition.training)
        return [epoch for epoch in epochs if epoch < last and epoch not in stored]

    def read(self, network: TrainedNetwork, epoch: int) -> Parameters | None:
        """Return the weights of a finished network after an epoch.

        Args:
            network: the network, from the same run folder.
            epoch: the epoch, counted from 1. 0 gives the initial weights.

        Returns:
            Weights by name, each (1, ...), or None for an epoch after the end of the network's training.

        Raises:
            BadInputError: there is no snapshot, or it is damaged, altered, of another format or of another
                network.
        """
        last = last_epoch(network.history, self.condition.training)
        if epoch == 0:
            return network.initial
        if epoch >= last:
            return network.weights if epoch == last else None
        stored = self.paths.snapshot_epochs(network.seed)
        allowed = (
            f"epochs that were stored, {stored} for seed {network.seed} (train with snapshots=[{epoch}])"
        )
        require(epoch in stored, "snapshots", epoch, allowed)
        return self._read_file(self.paths.snapshot(network.seed, epoch), network, epoch)

    def validate(self, network: TrainedNetwork) -> None:
        """Read every snapshot of a finished network.

        Raises:
            BadInputError: as for `read`.
        """
        for epoch in self.paths.snapshot_epochs(network.seed):
            self._read_file(self.paths.snapshot(network.seed, epoch), network, epoch)

    def _read_file(self, file: Path, network: TrainedNetwork, epoch: int) -> Parameters:
        weights, history = snapshot_from(self._read_tensors(file, network.seed, epoch))
        remedy = f"delete the file, then train with snapshots=[{epoch}]"
        allowed = f"of the stored network of seed {network.seed} ({remedy})"
        is_same = len(history) == epoch and network.history.starts_with(history)
        require(is_same, str(file), "a snapshot of another training", allowed)
        return weights

    def _read_tensors(self, file: Path, seed: int, epoch: int) -> dict[str, Tensor]:
        tensors, metadata = read_signed_tensors(file, self.condition.signature)
        require(metadata.get("format") == FORMAT, str(file), metadata.get("format"), f"of format {FORMAT}")
        given: list[Any] = [metadata.get("seed"), metadata.get("epoch")]
        require(given == [seed, epoch], str(file), given, f"of seed {seed} and epoch {epoch}")
        return tensors
