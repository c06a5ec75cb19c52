"""What a job submitted by `launch.submit` does: it reads its task and trains, as `launch.train` would."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from submitit.core.utils import DelayedSubmission, UncompletedJobError

from degen.condition import Condition
from degen.locks import ClaimedError
from degen.storage import RunFolder
from launch.device import prepare_device, prepare_torch, resolve_device
from launch.slurm.snapshot import require_frozen
from launch.train import train_condition

# What a process on a dead node had locked, a file server keeps until it misses it (NFS: 90 s by default).
_SECONDS_TO_BE_FREE, _SECONDS_BETWEEN_TRIES = 180.0, 10.0


class TrainTask:
    """Train the pieces of a task file one after the other.

    Args:
        file: its path, `tasks/<number>.json` of a submission.
    """

    def __init__(self, file: Path):
        self.file = file

    def __call__(self) -> None:
        """One piece that fails does not keep the others from being trained; the job then fails at its end."""
        require_frozen(self.file.parent.parent / "code")
        prepare_torch()
        task = json.loads(self.file.read_text())
        failures = []
        for piece in task["pieces"]:
            try:
                _train(piece, task)
            except UncompletedJobError:
                raise  # submitit's, raised by its signal handler: the end of this job
            except Exception as error:
                error.add_note(f"condition {piece['signature']}, seeds {piece['seeds']}")
                failures.append(error)
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise ExceptionGroup("conditions that failed", failures)

    def checkpoint(self) -> DelayedSubmission:
        """What submitit runs when the job starts again: the same, which goes on from what is stored."""
        return DelayedSubmission(self)


def _train(piece: dict[str, Any], task: dict[str, Any]) -> None:
    condition = Condition.from_config(piece["condition"])
    if condition.signature != piece["signature"]:
        raise RuntimeError(
            f"this job was to train condition {piece['signature']}, its code makes it {condition.signature}"
        )
    folder = RunFolder.of(Path(task["runs"]), condition).shard(piece["seeds"])
    folder.create(bytes_needed=0)
    device = resolve_device(task["device"])
    prepare_device(device, task["tf32"])
    until = time.monotonic() + _SECONDS_TO_BE_FREE
    while True:
        try:
            return train_condition(folder, piece["seeds"], device, task["checkpoint_seconds"])
        except ClaimedError as claimed:
            if time.monotonic() >= until:
                raise
            print(f"{claimed}: waiting for it", flush=True)
            time.sleep(_SECONDS_BETWEEN_TRIES)
