"""Storage of an ensemble during training: checkpoints, finished networks and snapshots."""

from __future__ import annotations

import time
from collections.abc import Collection

from degen.storage import RunFolder
from degen.training import Ensemble
from launch.training_record import TrainingRecord


class Checkpointer:
    """Stores an ensemble while it trains: snapshots, finished networks, checkpoints, and the training record.

    Args:
        folder: where they are stored.
        ensemble: the networks to train.
        inactive: further networks that the checkpoint must keep.
        interval_s: longest time between checkpoints, in seconds.
        snapshots: epochs after which the weights are stored.
    """

    trained_again = False

    def __init__(
        self,
        folder: RunFolder,
        ensemble: Ensemble,
        inactive: Ensemble | None,
        interval_s: float,
        snapshots: Collection[int] = (),
    ) -> None:
        self.folder = folder
        self.inactive = inactive
        self.interval_s = interval_s
        self.snapshots = snapshots
        self.record = TrainingRecord(folder, ensemble, trained_again=self.trained_again)
        self.latest = ensemble.select(range(len(ensemble)))
        self.saved_at = time.monotonic()

    def __call__(self, running: Ensemble, done: Ensemble) -> None:
        """Store what an epoch finished.

        Args:
            running: the networks that train on.
            done: the networks that ended in this epoch.
        """
        # Before the checkpoint: a resumed training does not repeat this epoch.
        self.folder.snapshots.write(running, self.snapshots)
        for member in range(len(done)):
            self.folder.networks.write(done, member)
        self.latest = running.select(range(len(running)))
        self.record.count_epoch()
        if len(done) or time.monotonic() - self.saved_at >= self.interval_s:
            self.save()

    def save(self) -> None:
        """Write a checkpoint of the latest epoch."""
        latest = self.latest
        self.folder.checkpoints.write(
            latest if self.inactive is None else latest.to("cpu").join(self.inactive)
        )
        self.record.store(latest)
        self.saved_at = time.monotonic()
