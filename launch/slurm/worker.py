"""Job that `launch.submit` submits: it trains the shards of a task file, as `launch.train` would."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from submitit.core.utils import DelayedSubmission, UncompletedJobError

from degen.condition import Condition
from degen.locks import LockedError
from degen.storage import RunFolder
from launch.cli import configure_logging
from launch.device import prepare_device, prepare_torch, resolve_device
from launch.settings import TrainSettings, parse_snapshots
from launch.slurm.snapshot import require_snapshot
from launch.train import train_condition

logger = logging.getLogger(__name__)

_LOCK_TIMEOUT_S = 180.0
"""Longer than a file server keeps the locks of a node that died (NFS: 90 s by default)."""

_POLL_INTERVAL_S = 10.0


class TrainTask:
    """Trains the shards of a task file one after the other.

    Args:
        file: `tasks/<number>.json` of a submission.
    """

    def __init__(self, file: Path):
        self.file = file

    def __call__(self) -> None:
        """Train all shards. If one fails, the others are trained, and the job fails at its end."""
        require_snapshot(self.file.parent.parent / "code")
        configure_logging()
        prepare_torch()
        task = json.loads(self.file.read_text())
        settings = TrainSettings.from_config(task)
        failures = []
        for shard in task["shards"]:
            try:
                _train(shard, settings)
            except UncompletedJobError:
                raise  # submitit's signal handler ends this job
            except Exception as error:
                error.add_note(f"condition {shard['signature']}, seeds {shard['seeds']}")
                failures.append(error)
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise ExceptionGroup("conditions that failed", failures)

    def checkpoint(self) -> DelayedSubmission:
        """Return what submitit runs when the job is requeued: this task, which resumes from checkpoints."""
        return DelayedSubmission(self)


def _train(shard: dict[str, Any], settings: TrainSettings) -> None:
    """Train a shard, after waiting for the lock of its networks."""
    condition = Condition.from_config(shard["condition"])
    if condition.signature != shard["signature"]:
        raise RuntimeError(
            f"the condition of this job must have signature {shard['signature']}, "
            f"but in this code it has {condition.signature}"
        )
    folder = RunFolder.of(settings.runs, condition).shard(shard["seeds"])
    folder.create(bytes_needed=0)
    device = resolve_device(settings.device)
    prepare_device(device, settings.tf32)
    snapshots = parse_snapshots(settings.snapshots)
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            return train_condition(
                folder, shard["seeds"], device, settings.checkpoint_seconds, snapshots=snapshots
            )
        except LockedError as error:
            if time.monotonic() >= deadline:
                raise
            logger.info("%s: waiting for its lock", error)
            time.sleep(_POLL_INTERVAL_S)
