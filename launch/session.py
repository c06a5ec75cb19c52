"""The record of a training session in a run folder's manifest: versions, git commit, device, costs."""

from __future__ import annotations

import platform
import socket
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy
import torch

import degen
from degen.storage import RunFolder
from degen.training import Ensemble


class Session:
    """One process training in a folder; stored at each checkpoint, so a killed session counts too."""

    def __init__(self, folder: RunFolder, ensemble: Ensemble):
        device = ensemble.like.device
        self.folder = folder
        self.earlier = folder.read_manifest()
        self.clock = time.monotonic()
        self.record = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": 0.0,
            "seeds": list(ensemble.seeds),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
            "tf32": device.type == "cuda" and torch.get_float32_matmul_precision() != "highest",
            "host": socket.gethostname(),
            "versions": {
                "degen": degen.__version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": numpy.__version__,
            },
            "git_commit": git_commit(),
        }
        self.store()

    def store(self) -> None:
        """Write the manifest with the seconds spent so far."""
        self.record["seconds"] = round(time.monotonic() - self.clock, 3)
        self.folder.write_manifest([*self.earlier, self.record])


def git_commit() -> str | None:
    """The commit of the code in use, with `+changes` where the working tree differs; None without git."""
    here = Path(__file__).resolve().parent
    try:
        command = ["git", "describe", "--always", "--abbrev=40", "--dirty=+changes"]
        return subprocess.run(command, cwd=here, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
