"""Client of SLURM: queries through its own commands, submission through submitit."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

import submitit
from submitit.core.utils import FailedJobError

from degen.errors import BadInputError, require, require_integer

ACTIVE = ("PENDING", "RUNNING", "SUSPENDED", "CONFIGURING", "COMPLETING", "REQUEUED", "RESIZING", "SIGNALING")
"""States of jobs that have not ended (manual of squeue, "Job state codes")."""

SLURM_TIMEOUT_S = 900.0
"""Seconds that commands which watch jobs wait for an answer, in case SLURM's controller restarts."""

_POLL_INTERVAL_S = 10.0


@dataclasses.dataclass(frozen=True)
class Job:
    """A job in SLURM.

    Attributes:
        identity: job number as SLURM writes it, 12 or 12_3.
        state: SLURM's name of the state, such as RUNNING.
        restarts: how often the job was requeued; 0 if that is not known.
    """

    identity: str
    state: str
    restarts: int

    @property
    def is_active(self) -> bool:
        """True while the job is pending or running."""
        return self.state in ACTIVE

    @property
    def task(self) -> int:
        """Task number in the array; 0 for a job that is not part of an array."""
        return int(self.identity.partition("_")[2] or 0)


def require_slurm() -> None:
    """Raise `BadInputError` unless SLURM's commands are installed."""
    missing = [name for name in ("sbatch", "squeue", "scancel", "scontrol") if shutil.which(name) is None]
    if missing:
        raise BadInputError(
            f"SLURM must be installed where this command runs, such as a cluster's login node, "
            f"got no {', '.join(missing)} (degen train trains on this machine)."
        )


def is_for_slurm(launcher: dict[str, Any]) -> bool:
    """Return whether a launcher's settings are for SLURM."""
    return str(launcher.get("_target_")).endswith(".SlurmLauncher")


def require_accepted(name: str, launcher: dict[str, Any]) -> None:
    """Check that SLURM would accept a job with a launcher's settings. Nothing is submitted.

    Args:
        name: name of the launcher.
        launcher: its settings, from `conf/hydra/launcher/`.

    Raises:
        BadInputError: the settings are not for SLURM, one is missing, or SLURM rejects them. The message then
            contains SLURM's reason.
    """
    require(is_for_slurm(launcher), "hydra/launcher", name, "one for SLURM, such as slurm_gpu or slurm_cpu")
    for field, minimum in (("timeout_min", 1), ("array_parallelism", 1), ("max_num_timeout", 0)):
        require_integer(f"hydra.launcher.{field}", launcher.get(field), minimum)
    require_slurm()
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as script:
        sbatch: Any = _executor(launcher, Path(tempfile.gettempdir()))._executor
        script.write(sbatch._make_submission_file_text("true", ""))
        script.flush()
        answer = subprocess.run(["sbatch", "--test-only", script.name], capture_output=True, text=True)
    if answer.returncode != 0:
        raise BadInputError(_rejection(launcher, answer.stderr))


def max_array_size() -> int:
    """Return the largest number of jobs in an array (SLURM's MaxArraySize)."""
    match = re.search(r"MaxArraySize\s*=\s*(\d+)", _query("scontrol", "show", "config"))
    return int(match.group(1)) if match else 1001


def submit_array(
    name: str,
    launcher: dict[str, Any],
    calls: Sequence[Callable[[], None]],
    folder: Path,
    code: Path,
    python: str | None = None,
    after: str | None = None,
) -> str:
    """Submit calls as the tasks of a job array, and return the array's job number.

    Args:
        name: name of the array.
        launcher: settings from `conf/hydra/launcher/`.
        calls: one per task; they must be picklable.
        folder: folder of submitit's files, including the output of jobs.
        code: folder from which jobs import the packages.
        python: command that starts Python in a job; None for the Python in use.
        after: dependency on other jobs, in the syntax of `sbatch --dependency`.

    Raises:
        BadInputError: SLURM rejects the array.
    """
    setup = [
        # Since SLURM 22.05, submitit's job step does not inherit this number and may be bound to one core.
        "${SLURM_CPUS_PER_TASK:+export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK}",
        *(launcher.get("setup") or []),
        f"cd {quote(str(code))}",
        f"export PYTHONPATH={quote(str(code))}${{PYTHONPATH:+:$PYTHONPATH}}",
    ]
    settings = launcher | {"name": name, "setup": setup, "dependency": after}
    executor = _executor(settings, folder, python)
    try:
        with executor.batch():
            jobs = [executor.submit(call) for call in calls]
    except FailedJobError as error:
        raise BadInputError(_rejection(launcher, str(error))) from error
    return jobs[0].job_id.partition("_")[0]


def jobs_named(names: Sequence[str], timeout_s: float = 0.0) -> dict[str, dict[int, Job]]:
    """Return the jobs of arrays that SLURM knows, by array name and task number.

    The controller forgets jobs some time after they end; accounting, where SLURM has it, remembers them.

    Args:
        timeout_s: seconds to wait for SLURM to answer.

    Raises:
        BadInputError: SLURM is installed and does not answer. To assume an answer could submit a job twice.
    """
    jobs: dict[str, dict[int, Job]] = {name: {} for name in names}
    if not names or shutil.which("squeue") is None:
        return jobs
    selection = f"--name={','.join(names)}"
    accounted = _query("sacct", "-X", "-n", "-P", "-S", "now-365days", "-o", "JobID,JobName,State", selection)
    rows = [[*line.split("|"), "0"] for line in accounted.splitlines()]
    # The controller's answer comes last, so it wins.
    rows += [line.split() for line in _query_queue(selection, timeout_s).splitlines()]
    for identity, name, state, restarts in rows:
        if re.fullmatch(r"\d+(_\d+)?", identity) and name in jobs:
            job = Job(identity, state.split()[0], int(restarts) if restarts.isdigit() else 0)
            jobs[name][job.task] = job
    return jobs


def _query_queue(selection: str, timeout_s: float) -> str:
    """Return one line per job of the controller: number, name, state and number of restarts."""
    command = ["squeue", "--array", "--noheader", "--states=all", selection]
    command.append("--Format=JobArrayID:40,Name:120,State:20,RestartCnt:10")
    deadline = time.monotonic() + timeout_s
    while (answer := subprocess.run(command, capture_output=True, text=True)).returncode != 0:
        if time.monotonic() >= deadline:
            raise BadInputError(f"SLURM must answer, got {_short(answer.stderr)!r} from squeue; try again.")
        time.sleep(min(_POLL_INTERVAL_S, timeout_s))
    return answer.stdout


def cancel(jobs: Sequence[Job]) -> None:
    """Cancel jobs.

    Raises:
        BadInputError: SLURM rejects the request, for example because a job belongs to another user.
    """
    if jobs:
        answer = subprocess.run(["scancel", *(job.identity for job in jobs)], capture_output=True, text=True)
        if answer.returncode != 0:
            raise BadInputError(f"SLURM must allow cancelling these jobs, got {_short(answer.stderr)!r}.")


def _query(*command: str) -> str:
    """Return the output of a SLURM command; empty if the command is not installed."""
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True).stdout


def _executor(launcher: dict[str, Any], folder: Path, python: str | None = None) -> submitit.AutoExecutor:
    """Return submitit's executor for a launcher's settings, named as in Hydra's own launcher."""
    common = submitit.AutoExecutor._typed_parameters()
    settings = {
        field if field in common else f"slurm_{field}": value
        for field, value in launcher.items()
        if field not in ("_target_", "max_num_timeout")
    }
    executor = submitit.AutoExecutor(
        folder, cluster="slurm", slurm_max_num_timeout=launcher["max_num_timeout"], slurm_python=python
    )
    try:
        executor.update_parameters(**settings)
    except (AssertionError, NameError) as error:
        message = f"hydra.launcher must be settings that submitit accepts, got {_short(str(error))}."
        raise BadInputError(message) from error
    return executor


def _rejection(launcher: dict[str, Any], message: str) -> str:
    settings = [
        f"{field}={launcher[field]}"
        for field in ("partition", "account", "qos", "constraint", "gres")
        if launcher.get(field) is not None
    ]
    return (
        "hydra.launcher must be settings that this cluster accepts, "
        f"got {', '.join(settings) or 'its defaults'} (SLURM: {_short(message)})."
    )


def _short(message: str) -> str:
    """Return the last error in SLURM's output, without the name of its command."""
    lines = [line.strip() for line in message.splitlines() if line.strip()] or ["no reason given"]
    errors = [line for line in lines if "error:" in line or "failure:" in line] or lines
    prefix = r"^.*?(Batch job submission failed|allocation failure|error):\s*"
    return re.sub(prefix, "", errors[-1]).rstrip(".")
