"""Provenance of trained networks: versions, git commit, processor, and source code of a user's modules."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch

from degen.condition import Condition
from degen.files import sha256
from degen.versions import NUMERICS, VERSION
from launch.paths import PROJECT_ROOT
from launch.user_code import source_files


def versions() -> dict[str, Any]:
    """Return the versions of degen, of its numerics, and of the packages that compute."""
    return {
        "degen": VERSION,
        "numerics": NUMERICS,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        # Imported by degen.tasks.Neurogym only.
        **({"neurogym": importlib.metadata.version("neurogym")} if "neurogym" in sys.modules else {}),
    }


def git_commit() -> str | None:
    """Return the commit of the code in use, with `+changes` if the working tree differs; None without git.

    A snapshot (`launch.slurm.snapshot`) contains its commit in the file `git_commit`.
    """
    stored = PROJECT_ROOT / "git_commit"
    if stored.exists():
        return stored.read_text() or None
    if not (PROJECT_ROOT / ".git").exists():
        return None  # installed, perhaps inside a git repository of the user
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty=+changes"]
    try:
        result = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
        return result.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def cpu_model() -> str:
    """Return the processor's model name, or its architecture where the system does not report a name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def code_digests(condition: Condition) -> dict[str, str]:
    """Return digests of the source of the user's modules that a condition names, and of those they import."""
    return source_digests(condition.config)


def source_digests(config: Any) -> dict[str, str]:
    """Return digests of the source of the user's modules that `_target_` fields name or these import."""
    named = {target.rpartition(".")[0] for target in _targets(config)}
    return {name: _digest(file) for name, file in source_files(sorted(named)).items()}


def _targets(node: Any) -> Iterator[str]:
    """Yield the dotted names of all classes in a configuration."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from _targets(value)


def _digest(file: Path) -> str:
    """Return twelve hexadecimal digits of the SHA-256 of a file's name and content."""
    return hashlib.sha256(f"{file.name} {sha256(file)}\n".encode()).hexdigest()[:12]


def changes_since(sessions: Sequence[dict[str, Any]], code: dict[str, str]) -> list[str]:
    """Name what differs between the code in use and earlier training sessions of a run folder.

    Args:
        code: return value of `code_digests`.

    Returns:
        One noun phrase for the numerics version, if it differs, and one for each changed module.
    """
    numerics = {session["versions"].get("numerics", NUMERICS) for session in sessions} - {NUMERICS}
    earlier = ", ".join(map(str, sorted(numerics)))
    changes = [f"degen's numerics (version {earlier} then, {NUMERICS} now)"] if numerics else []
    modules = {
        name
        for session in sessions
        for name, stored in session.get("code", {}).items()
        if code.get(name) != stored
    }
    return changes + [f"the code of {name}" for name in sorted(modules)]
