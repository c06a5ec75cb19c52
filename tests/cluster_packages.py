"""The Debian packages of the private SLURM of `tests.cluster`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client", "slurmdbd", "mariadb-server")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "slurmdbd", "mariadbd")


def why_not() -> str | None:
    """Why no cluster can be started here; None if one can."""
    # Debian puts daemons where not every user's path leads.
    os.environ["PATH"] += os.pathsep + os.pathsep.join(("/usr/sbin", "/sbin"))
    if os.geteuid() != 0:
        return "its daemons must be started by root (in a container, say)"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"no {', '.join(missing)} here (python -m tests.cluster install)" if missing else None


def install() -> None:
    """Install the Debian packages that are missing; say so where that cannot be."""
    if why_not() is None:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(
            "the tests on a real SLURM will be skipped: its packages need root and apt-get.", file=sys.stderr
        )
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    get = ("apt-get", "-qq", "-o=Dpkg::Use-Pty=0")
    for command in (
        (*get, "update"),
        (*get, "install", "--yes", "--no-install-recommends", *PACKAGES),
    ):
        if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode != 0:
            print(f"{' '.join(command)} failed", file=sys.stderr)
            return
