"""The record of a training session in a run folder's manifest: versions, git commit, device, costs."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy
import torch

import degen
from degen.storage import RunFolder
from degen.training import Ensemble


class Session:
    """One process training in a folder; stored at each checkpoint, so a killed session counts too.

    While it trains its record tells how far it is: `epochs` behind it, `epoch` of the network with fewest,
    `training` networks, `stored` when that was written.
    """

    def __init__(self, folder: RunFolder, ensemble: Ensemble):
        device = ensemble.like.device
        self.folder = folder
        self.earlier = folder.own_sessions()
        self.clock = time.monotonic()
        self.record: dict[str, Any] = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": 0.0,
            "seeds": list(ensemble.seeds),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
            "tf32": device.type == "cuda" and torch.get_float32_matmul_precision() != "highest",
            "host": socket.gethostname(),
            "slurm_job": slurm_job(),
            "versions": {
                "degen": degen.__version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": numpy.__version__,
            },
            "git_commit": git_commit(),
            "epochs": 0,
        }
        self.store(ensemble)

    def count_epoch(self) -> None:
        self.record["epochs"] += 1

    def store(self, running: Ensemble) -> None:
        """Write the manifest with the seconds spent so far and the state of the networks in training."""
        self.record["seconds"] = round(time.monotonic() - self.clock, 3)
        self.record["training"] = len(running)
        self.record["epoch"] = min((len(history.loss) for history in running.histories), default=None)
        self.record["stored"] = datetime.now(UTC).isoformat(timespec="seconds")
        self.folder.write_manifest([*self.earlier, self.record])


def slurm_job() -> str | None:
    """The job of SLURM that this process is in, as SLURM writes it: 12, or 12_3 for task 3 of array 12."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")


def git_commit() -> str | None:
    """The commit of the code in use, with `+changes` where the working tree differs; None without git.

    A frozen copy (`launch.freeze`) has the commit it was made from in a file.
    """
    here = Path(__file__).resolve().parent
    frozen = here.parent / "git_commit"
    if frozen.exists():
        return frozen.read_text() or None
    try:
        command = ["git", "describe", "--always", "--abbrev=40", "--dirty=+changes"]
        return subprocess.run(command, cwd=here, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
