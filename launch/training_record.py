"""The record of a training session in a run folder's manifest: versions, device, and progress."""

from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime
from typing import Any

import torch

from degen.storage import RunFolder
from degen.training import Ensemble
from launch.provenance import code_digests, cpu_model, git_commit, versions


class TrainingRecord:
    """The session of one process in a run folder.

    It is stored at each checkpoint, so it is there even if the process is killed. During training its
    progress is in `epochs` (of this session), `epoch` (of the network with the fewest), `training` (number
    of networks), and `stored` (the time of writing). `seconds` is wall-clock time. `cpu_seconds` is the
    processor time of all its processes, which depends less on other work on the machine. `trained_again`
    says whether the networks were finished before, and are trained again for snapshots.
    """

    def __init__(self, folder: RunFolder, ensemble: Ensemble, *, trained_again: bool):
        device = ensemble.like.device
        self.folder = folder
        self.earlier = folder.manifest.read_shard()
        self.clock, self.cpu_clock = time.monotonic(), cpu_seconds()
        self.record: dict[str, Any] = {
            "started": _now(),
            "seconds": 0.0,
            "cpu_seconds": 0.0,
            "seeds": list(ensemble.seeds),
            "trained_again": trained_again,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "cpu": cpu_model(),
            "tf32": device.type == "cuda" and torch.get_float32_matmul_precision() != "highest",
            "host": socket.gethostname(),
            "slurm_job": slurm_job(),
            "versions": versions(),
            "git_commit": git_commit(),
            "code": code_digests(folder.condition),
            "epochs": 0,
        }
        self.store(ensemble)

    def count_epoch(self) -> None:
        """Add an epoch to this session."""
        self.record["epochs"] += 1

    def store(self, running: Ensemble) -> None:
        """Write the manifest.

        Args:
            running: the networks in training.
        """
        self.record["seconds"] = round(time.monotonic() - self.clock, 3)
        self.record["cpu_seconds"] = round(cpu_seconds() - self.cpu_clock, 3)
        self.record["training"] = len(running)
        self.record["epoch"] = min((len(history) for history in running.histories), default=None)
        self.record["stored"] = _now()
        self.folder.manifest.write_shard([*self.earlier, self.record])


def cpu_seconds() -> float:
    """Return the processor time of this process and of the processes that it forked and that have ended."""
    return sum(os.times()[:4])


def slurm_job() -> str | None:
    """Return this process's SLURM job as SLURM writes it: 12, or 12_3 for task 3 of array 12."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
