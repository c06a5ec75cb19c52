"""The record of a training session in a run folder's manifest: versions, git commit, device, costs."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy
import torch

from degen.condition import Condition
from degen.files import sha256
from degen.storage import RunFolder
from degen.training import Ensemble
from degen.versions import NUMERICS, VERSION
from launch.paths import PROJECT_ROOT


class Session:
    """One process training in a folder; stored at each checkpoint, so a killed session counts too.

    While it trains its record tells how far it is: `epochs` behind it, `epoch` of the network with fewest,
    `training` networks, `stored` when that was written.
    """

    def __init__(self, folder: RunFolder, ensemble: Ensemble):
        device = ensemble.like.device
        self.folder = folder
        self.earlier = folder.manifest.read_shard()
        self.clock = time.monotonic()
        self.record: dict[str, Any] = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": 0.0,
            "seeds": list(ensemble.seeds),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "cpu": cpu_model(),
            "tf32": device.type == "cuda" and torch.get_float32_matmul_precision() != "highest",
            "host": socket.gethostname(),
            "slurm_job": slurm_job(),
            "versions": {
                "degen": VERSION,
                "numerics": NUMERICS,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": numpy.__version__,
            },
            "git_commit": git_commit(),
            "code": code_digests(folder.condition),
            "epochs": 0,
        }
        self.store(ensemble)

    def count_epoch(self) -> None:
        self.record["epochs"] += 1

    def store(self, running: Ensemble) -> None:
        """Write the manifest with the seconds spent so far and the state of the networks in training."""
        self.record["seconds"] = round(time.monotonic() - self.clock, 3)
        self.record["training"] = len(running)
        self.record["epoch"] = min((len(history) for history in running.histories), default=None)
        self.record["stored"] = datetime.now(UTC).isoformat(timespec="seconds")
        self.folder.manifest.write_shard([*self.earlier, self.record])


def code_digests(condition: Condition) -> dict[str, str]:
    """Return the digest of the source of each module of the user's own that a condition names."""
    named: set[str] = set()

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            named.update({node["_target_"].rpartition(".")[0]} if "_target_" in node else ())
            for value in node.values():
                collect(value)

    collect(condition.config)
    own = sorted(name for name in named if not name.startswith("degen."))
    return {name: digest([Path(sys.modules[name].__file__ or "")]) for name in own}


def changes_since(sessions: Sequence[dict[str, Any]], code: dict[str, str]) -> list[str]:
    """Name what differs between now and the sessions that trained in a folder before.

    Args:
        code: as `code_digests` returns it.

    Returns:
        One noun phrase for the numerics version, if it differs, and one for each changed module.
    """
    numerics = {session["versions"].get("numerics", NUMERICS) for session in sessions} - {NUMERICS}
    former = ", ".join(map(str, sorted(numerics)))
    changes = [f"degen's numerics (version {former} then, {NUMERICS} now)"] if numerics else []
    modules = {
        name
        for session in sessions
        for name, digest_then in session.get("code", {}).items()
        if code.get(name) != digest_then
    }
    return changes + [f"the code of {name}" for name in sorted(modules)]


def sources(folder: Path, *kinds: str) -> list[Path]:
    """Files of source below a folder, Python's and those of the kinds given, in order."""
    found = (path for kind in (".py", *kinds) for path in folder.rglob(f"*{kind}"))
    return sorted(path for path in found if "__pycache__" not in path.parts)


def digest(files: Sequence[Path]) -> str:
    """Twelve hexadecimal digits of the SHA-256 of files' names and contents."""
    hashed = hashlib.sha256()
    for file in files:
        hashed.update(f"{file.name} {sha256(file)}\n".encode())
    return hashed.hexdigest()[:12]


def cpu_model() -> str:
    """Return the processor's model name, or its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def slurm_job() -> str | None:
    """The job of SLURM that this process is in, as SLURM writes it: 12, or 12_3 for task 3 of array 12."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")


def git_commit() -> str | None:
    """The commit of the code in use, with `+changes` where the working tree differs; None without git.

    A frozen copy (`launch.slurm.snapshot`) has the commit it was made from in a file.
    """
    frozen = PROJECT_ROOT / "git_commit"
    if frozen.exists():
        return frozen.read_text() or None
    if not (PROJECT_ROOT / ".git").exists():
        return None  # installed, perhaps inside a repository of the user's own
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty=+changes"]
    try:
        result = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
        return result.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
