"""What is asked of SLURM, by its own commands, and told to it, through submitit."""

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
"""States of jobs that have not ended (squeue's manual, "job state codes")."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A job, as SLURM knows it.

    Attributes:
        identity: as SLURM writes it, 12 or 12_3.
        state: SLURM's word, such as RUNNING.
        restarts: how often it was requeued; 0 where that is not known.
    """

    identity: str
    state: str
    restarts: int

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def task(self) -> int:
        """Its number in its array; 0 for a job that is none."""
        return int(self.identity.partition("_")[2] or 0)


def require_slurm() -> None:
    """Raise `BadInputError` unless SLURM's commands are there."""
    missing = [name for name in ("sbatch", "squeue", "scancel", "scontrol") if shutil.which(name) is None]
    if missing:
        raise BadInputError(
            f"SLURM must be installed where this command runs, such as a cluster's login node, "
            f"got no {', '.join(missing)} (python -m launch.train trains on this machine)."
        )


def is_for_slurm(launcher: dict[str, Any]) -> bool:
    """Whether a launcher's settings are for SLURM, and not for this machine."""
    return str(launcher.get("_target_")).endswith(".SlurmLauncher")


def require_accepted(name: str, launcher: dict[str, Any]) -> None:
    """See that SLURM would take a job with these settings; nothing is submitted.

    Args:
        name: of the launcher.
        launcher: its settings, from `conf/hydra/launcher/`.

    Raises:
        BadInputError: they are not for SLURM, one is missing, or SLURM refuses them, in its own words.
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
        raise BadInputError(_refusal(launcher, answer.stderr))


def max_array_size() -> int:
    """The largest number of jobs in one array."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config"))
    return int(found.group(1)) if found else 1001


def submit_array(
    name: str,
    launcher: dict[str, Any],
    calls: Sequence[Callable[[], None]],
    folder: Path,
    code: Path,
    python: str | None = None,
    after: str | None = None,
) -> str:
    """Submit calls as the tasks of one job array; its number.

    Args:
        name: of the array.
        launcher: settings from `conf/hydra/launcher/`.
        folder: where submitit's files go, the output of jobs among them.
        code: folder from which they import.
        python: command that starts Python there.
        after: condition on other jobs, as `sbatch --dependency` takes it.

    Raises:
        BadInputError: SLURM refuses.
    """
    setup = [
        # Since SLURM 22.05 the step that submitit starts does not inherit it, and may be bound to one core.
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
        raise BadInputError(_refusal(launcher, str(error))) from error
    return jobs[0].job_id.partition("_")[0]


PATIENCE = 900.0
"""Seconds for which SLURM may be silent before who waits for jobs gives up: a restart of its controller."""
_SECONDS_BETWEEN_QUESTIONS = 10.0


def jobs_named(names: Sequence[str], patience: float = 0.0) -> dict[str, dict[int, Job]]:
    """What SLURM knows of arrays, by name and task: from the controller, and the accounts where it has any.

    Args:
        patience: seconds for which it is asked again where it does not answer.

    Raises:
        BadInputError: SLURM is there and does not answer; to guess would submit or report something twice.
    """
    known: dict[str, dict[int, Job]] = {name: {} for name in names}
    if not names or shutil.which("squeue") is None:
        return known
    chosen = f"--name={','.join(names)}"
    table = _ask("sacct", "-X", "-n", "-P", "-S", "now-365days", "-o", "JobID,JobName,State", chosen)
    lines = [[*line.split("|"), "0"] for line in table.splitlines()]
    queue = ["squeue", "--array", "--noheader", "--states=all", chosen]
    queue.append("--Format=JobArrayID:40,Name:120,State:20,RestartCnt:10")
    until = time.monotonic() + patience
    while (answer := subprocess.run(queue, capture_output=True, text=True)).returncode != 0:
        if time.monotonic() >= until:
            raise BadInputError(f"SLURM must answer, got {_short(answer.stderr)!r} from squeue; try again.")
        time.sleep(min(_SECONDS_BETWEEN_QUESTIONS, patience))
    # The controller has the last word.
    lines += [line.split() for line in answer.stdout.splitlines()]
    for identity, name, state, restarts in lines:
        if re.fullmatch(r"\d+(_\d+)?", identity) and name in known:
            job = Job(identity, state.split()[0], int(restarts) if restarts.isdigit() else 0)
            known[name][job.task] = job
    return known


def cancel(jobs: Sequence[Job]) -> None:
    """Cancel jobs.

    Raises:
        BadInputError: SLURM refuses, because they are somebody else's, say.
    """
    if jobs:
        answer = subprocess.run(["scancel", *(job.identity for job in jobs)], capture_output=True, text=True)
        if answer.returncode != 0:
            raise BadInputError(f"SLURM must let these jobs be cancelled, got {_short(answer.stderr)!r}.")


def _ask(*command: str) -> str:
    """The answer of a command of SLURM; empty where that has none."""
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True).stdout


def _executor(launcher: dict[str, Any], folder: Path, python: str | None = None) -> submitit.AutoExecutor:
    """Submitit's, with a launcher's settings, passed on as Hydra's own launcher does."""
    shared = submitit.AutoExecutor._typed_parameters()
    aside = ("_target_", "max_num_timeout")
    settings = {
        field if field in shared else f"slurm_{field}": value
        for field, value in launcher.items()
        if field not in aside
    }
    executor = submitit.AutoExecutor(
        folder, cluster="slurm", slurm_max_num_timeout=launcher["max_num_timeout"], slurm_python=python
    )
    try:
        executor.update_parameters(**settings)
    except (AssertionError, NameError) as error:
        raise BadInputError(
            f"hydra.launcher must be what submitit takes, got {_short(str(error))}."
        ) from error
    return executor


def _refusal(launcher: dict[str, Any], message: str) -> str:
    chosen = [
        f"{field}={launcher[field]}"
        for field in ("partition", "account", "qos", "constraint", "gres")
        if launcher.get(field) is not None
    ]
    return (
        f"hydra.launcher must be settings that this cluster takes, got {', '.join(chosen) or 'its defaults'} "
        f"(SLURM: {_short(message)})."
    )


def _short(message: str) -> str:
    """The last thing that SLURM said, without its own names before it."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = (
        [line for line in lines if "error:" in line or "failure:" in line] or lines or ["no reason given"]
    )
    return re.sub(r"^.*?(Batch job submission failed|allocation failure|error):\s*", "", errors[-1]).rstrip(
        "."
    )
