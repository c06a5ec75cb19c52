"""Snapshots of networks along training, and the samples of them that are compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import degen
from degen.condition import Condition
from degen.networks import TrainedNetwork
from degen.training.recipe import last_epoch

END, OWN_END = "end", "own_end"
"""Name of the final weights in the column `epoch`, and of the distances to them in the column `kind`."""

Snapshots = Mapping[str, Mapping[int, TrainedNetwork]]
"""Networks by epoch, in the order of training with `END` last, then by seed."""


class Sample(NamedTuple):
    """Networks that are compared.

    Attributes:
        kind: `epoch` (distances between networks at an epoch), `loss` (between networks at a validation
            loss) or `own_end` (distance of each network to its own final weights).
        epoch: the epoch or `END`, None for a loss.
        loss_level: the validation loss, None for an epoch.
        networks: the networks, with the weights of a snapshot.
    """

    kind: str
    epoch: str | None
    loss_level: float | None
    networks: list[TrainedNetwork]


@dataclasses.dataclass(frozen=True)
class Source:
    """Snapshots of some networks of a run folder.

    Attributes:
        folder: path of the run folder.
        seeds: seeds of the networks.
        epochs: epochs in ascending order.
        weights_at: stage of training of the final weights.
    """

    folder: Path
    seeds: Sequence[int]
    epochs: Sequence[int]
    weights_at: str

    def load(self) -> Snapshots:
        """Return the networks at each epoch before or at their end, and at their end."""
        run = degen.load(self.folder)
        run = dataclasses.replace(run, networks=[n for n in run.networks if n.seed in self.seeds])
        loaded = {str(epoch): run.with_weights_at(epoch) for epoch in self.epochs}
        loaded[END] = run.with_weights_at(self.weights_at)
        return {epoch: {network.seed: network for network in at.networks} for epoch, at in loaded.items()}


def samples(snapshots: Snapshots, losses: Mapping[str, Mapping[int, float]]) -> Iterator[Sample]:
    """Yield the samples of one condition that have at least two networks.

    Every epoch gives a sample of kind `epoch` and a sample of kind `own_end`. Every epoch with losses, except
    `END`, also gives a sample of kind `loss`, at the median loss of its networks.

    Args:
        snapshots: networks of one condition.
        losses: validation losses by epoch, then by seed. Epoch 0 has none.
    """
    for epoch, networks in snapshots.items():
        if len(networks) >= 2:
            yield Sample("epoch", epoch, None, list(networks.values()))
            yield Sample(OWN_END, epoch, None, list(networks.values()))
    for epoch, losses_here in losses.items():
        # Networks end in different epochs, so the median of their final losses belongs to no single moment.
        if epoch != END and len(losses_here) >= 2:
            level = float(np.median(list(losses_here.values())))
            first = first_at_or_below(losses, level)
            if len(first) >= 2:
                yield Sample("loss", None, level, [snapshots[at][seed] for seed, at in first.items()])


def first_at_or_below(losses: Mapping[str, Mapping[int, float]], level: float) -> dict[int, str]:
    """Return the epoch of the first snapshot of each network whose loss is at or below a level.

    Args:
        losses: validation loss by epoch, in the order of training, and seed.

    Returns:
        Epochs by seed, in ascending order of seeds. Networks that never reach the level are left out.

    Examples:
        >>> first_at_or_below({"1": {0: 0.9, 1: 0.4}, "5": {0: 0.3, 1: 0.5}, "end": {2: 0.6}}, level=0.4)
        {0: '5', 1: '1'}
    """
    first: dict[int, str] = {}
    for epoch, by_seed in losses.items():
        for seed, loss in by_seed.items():
            if loss <= level:
                first.setdefault(seed, epoch)
    return dict(sorted(first.items()))


def validation_losses(
    snapshots: Snapshots, condition: Condition, weights_at: str
) -> dict[str, dict[int, float]]:
    """Return the validation loss of snapshots by epoch and seed, without epoch 0, which has none."""

    def loss(network: TrainedNetwork, epoch: str) -> float:
        losses = network.history.validation_loss
        if epoch != END:
            return losses[int(epoch) - 1]
        is_settled = weights_at == "settled"
        return losses[-1 if is_settled else last_epoch(network.history, condition.training) - 1]

    return {
        epoch: {seed: loss(network, epoch) for seed, network in networks.items()}
        for epoch, networks in snapshots.items()
        if epoch != "0"
    }
