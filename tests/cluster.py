"""A private SLURM on this machine, for the tests and to try the commands on: `make cluster-up`.

One node of 16 pretended CPUs and 4 pretended GPUs; partitions `low` (default; its jobs are preempted and
requeued) and `high`. As root in a Debian container, without systemd; every daemon listens on loopback only.

    python -m tests.cluster install | up [--no-accounting] | down
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster_files import ACCOUNTING, DATABASE, GPUS, SLURM
from tests.cluster_packages import install, why_not

DAEMONS = ("slurmd", "slurmctld", "slurmdbd", "mariadbd", "munged")
"""In the order in which they are stopped."""

PATIENCE = 900
"""Seconds after which a wait for a process or a job is hopeless: on two laden cores all take minutes."""

REBOOT = 12.0
"""Least number of seconds that a killed node is away.

For 10 s the controller tries to tell the node that its jobs have ended. If the node returns and runs such a
job again within this time, the message ends the new run. A real node takes longer to boot.
"""

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "cluster"


class Cluster:
    """The daemons below a folder.

    Args:
        root: where their files go; its path is short, for sockets are in it.
        accounting: with a database, so that `sacct` knows ended jobs and accounts are checked (the
            account is `lab`).
        max_array_size: SLURM's limit on job arrays.
    """

    def __init__(self, root: Path, accounting: bool = True, max_array_size: int = 1001):
        self.root = root
        self.accounting = accounting
        self.max_array_size = max_array_size
        self.variables = {"SLURM_CONF": str(root / "etc" / "slurm.conf")}
        names = ("controller_port", "node_port", "database_port")
        self.ports = dict(zip(names, _free_ports(3), strict=True))
        self._start_after = 0.0

    def start(self) -> None:
        """Start every daemon and wait until the node is idle."""
        for name in ("etc", "state", "spool", "log", "run"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self._configure()
        run, log = self.root / "run", self.root / "log"
        munge = ["munged", f"--key-file={self.root}/etc/munge.key", f"--socket={run}/munge.sock", "--force"]
        munge += [f"--pid-file={run}/munged.pid", f"--log-file={log}/munged.log", f"--seed-file={run}/seed"]
        self._run(*munge)
        if self.accounting:
            self._start_database()
        self._run("slurmctld")
        self._wait("slurmctld", lambda: "UP" in self.slurm("scontrol", "ping"))
        if self.accounting:
            self.slurm("sacctmgr", "--immediate", "add", "account", "lab", "cluster=degen")
            self.slurm("sacctmgr", "--immediate", "add", "user", "root", "account=lab", "cluster=degen")
        self.start_node()

    def start_node(self) -> None:
        """Start the node, and wait until it takes jobs."""
        time.sleep(max(0.0, self._start_after - time.monotonic()))
        self._run("slurmd", "-N", "node1")
        # A job that waits for the node may start before the node is seen idle.
        up = re.compile("idle|mixed|allocated")
        self._wait("slurmd", lambda: up.search(self.slurm("sinfo", "--noheader", "--format=%T")))

    def kill_node(self) -> None:
        """As if it lost power: its daemon and all jobs on it are gone, and the controller knows."""
        while processes := self._node_processes():  # again, because a job may start processes meanwhile
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        self.slurm("scontrol", "update", "nodename=node1", "state=down", "reason=killed")
        self._start_after = time.monotonic() + REBOOT

    def _node_processes(self) -> list[int]:
        """Return the processes of the node's daemon and of all jobs."""
        mark = f"SLURM_CONF={self.variables['SLURM_CONF']}".encode()
        numbers = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                variables = (process / "environ").read_bytes().split(b"\0")
                is_daemon = (process / "comm").read_text().strip() in ("slurmd", "slurmstepd")
                is_in_job = any(variable.startswith(b"SLURM_JOB_ID=") for variable in variables)
                if mark in variables and (is_daemon or is_in_job):
                    numbers.append(int(process.name))
        return numbers

    def stop(self) -> None:
        """Cancel every job and stop every daemon."""
        self.slurm("scancel", "--user=root", "--signal=KILL")
        self.slurm("scancel", "--user=root")
        for name in DAEMONS:
            with contextlib.suppress(OSError, ValueError):
                process = int((self.root / "run" / f"{name}.pid").read_text())
                _end(process)

    def slurm(self, *command: str) -> str:
        """The standard output of a SLURM command."""
        environment = os.environ | self.variables
        return subprocess.run(command, env=environment, capture_output=True, text=True).stdout

    def answer(self, *command: str) -> str:
        """Return the standard output of a SLURM command, repeated until it succeeds.

        A controller that is too busy to answer has said nothing about jobs.

        Raises:
            TimeoutError: it fails for `PATIENCE` seconds.
        """
        deadline = time.monotonic() + PATIENCE
        environment = os.environ | self.variables
        while True:
            ended = subprocess.run(command, env=environment, capture_output=True, text=True)
            if ended.returncode == 0:
                return ended.stdout
            if time.monotonic() > deadline:
                raise TimeoutError(f"{' '.join(command)} fails: {ended.stderr}")
            time.sleep(0.5)

    def _configure(self) -> None:
        etc = self.root / "etc"
        values = {
            "root": self.root,
            "host": socket.gethostname().partition(".")[0],
            "max_array_size": self.max_array_size,
            **self.ports,
        }
        etc.chmod(0o700)
        if not (etc / "munge.key").exists():
            (etc / "munge.key").write_bytes(os.urandom(1024))
            (etc / "munge.key").chmod(0o600)
        accounting = ACCOUNTING if self.accounting else ""
        (etc / "slurm.conf").write_text((SLURM + accounting).format(**values))
        (etc / "slurmdbd.conf").write_text(DATABASE.format(**values))
        (etc / "slurmdbd.conf").chmod(0o600)
        (etc / "gres.conf").write_text(GPUS.format(**values))
        for number in range(4):
            if not (self.root / f"gpu{number}").exists():
                os.mknod(self.root / f"gpu{number}", 0o20666, os.makedev(1, 3))  # /dev/null again

    def _start_database(self) -> None:
        run, data, tmpdir = self.root / "run", self.root / "database", f"--tmpdir={self.root}/spool"
        if not data.exists():
            install = ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}"]
            self._run(*install, tmpdir, "--auth-root-authentication-method=socket")
        server = [
            "mariadbd",
            "--no-defaults",
            "--user=root",
            f"--datadir={data}",
            tmpdir,
            "--skip-networking",
        ]
        server += [f"--socket={run}/mysqld.sock", f"--pid-file={run}/mariadbd.pid"]
        server += ["--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"]
        with open(self.root / "log" / "mariadbd.log", "ab") as log:
            subprocess.Popen(server, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        ping = ("mariadb-admin", "--no-defaults", "-uroot", f"--socket={run}/mysqld.sock", "ping")
        self._wait("mariadbd", lambda: "alive" in self.slurm(*ping))
        self._run("slurmdbd", MYSQL_UNIX_PORT=f"{run}/mysqld.sock")
        self._wait("slurmdbd", lambda: _is_open(self.ports["database_port"]))

    def _run(self, *command: str, **variables: str) -> None:
        environment = os.environ | self.variables | variables
        with open(self.root / "log" / "starts.log", "ab") as log:
            subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True
            )

    def _wait(self, name: str, ready: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} does not answer; see {self.root}/log")
            time.sleep(0.1)


def _end(process: int) -> None:
    """Ask a process to end; after ten seconds make it."""
    os.kill(process, signal.SIGTERM)
    for _ in range(100):
        # A container may have no process that reaps the dead.
        if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    os.kill(process, signal.SIGKILL)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for bound in sockets:
            bound.bind(("127.0.0.1", 0))
        return [bound.getsockname()[1] for bound in sockets]


def _is_open(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def main() -> None:
    """The command line."""
    command, *options = sys.argv[1:] or [""]
    if command == "install":
        install()
        return
    reason = why_not()
    if reason is not None:
        sys.exit(f"no cluster can be started: {reason}")
    cluster = Cluster(FOLDER, accounting="--no-accounting" not in options)
    if command == "up":
        cluster.start()
        print(cluster.slurm("sinfo", "--format=%P %D nodes %c CPUs %G %T"), end="")
        print(f"Now: export SLURM_CONF={cluster.variables['SLURM_CONF']}")
    elif command == "down":
        cluster.stop()
    else:
        sys.exit("python -m tests.cluster install | up [--no-accounting] | down")


if __name__ == "__main__":
    main()
