"""Submit a sweep or an experiment to a SLURM cluster. Finished networks and active jobs are skipped.

degen submit experiment=demo hydra/launcher=slurm_gpu --dry-run
degen submit gamma=0.5,1,2 task.channels=1,2 seeds=50 hydra/launcher=slurm_gpu
"""

from __future__ import annotations

import dataclasses
import getpass
import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from degen.errors import BadInputError, UnwritableError, require_choice
from degen.files import write_atomically
from degen.locks import exclusive_lock
from degen.storage import RunFolder
from launch.cli import Arguments, command_line, exit_on_user_error
from launch.config import compose_launcher
from launch.experiment import Sweep, compose_sweep
from launch.settings import TrainSettings, check_run_folders, parse_snapshots
from launch.slurm import client as slurm
from launch.slurm.plan import SubmissionPlan, plan_submission
from launch.slurm.snapshot import snapshot_code
from launch.slurm.submissions import Shard, Submission, read_submissions, read_tasks
from launch.slurm.worker import TrainTask
from launch.train import bytes_needed, warn_of_changes


def submit(overrides: Sequence[str], dry_run: bool) -> None:
    """Print the plan of a submission, and submit it unless `dry_run`.

    Raises:
        BadInputError: a setting is not allowed, or SLURM rejects it; then nothing is submitted.
    """
    sweep = compose_sweep(overrides)
    name, launcher = compose_launcher("train", list(overrides))
    settings = TrainSettings.from_config(sweep.config)
    require_choice("device", settings.device, ("auto", "cpu", "cuda"))
    for folder in check_run_folders(sweep.conditions, settings.runs):
        warn_of_changes(folder, str(folder.path))
    slurm.require_accepted(name, launcher)
    if dry_run:
        print(_plan(sweep, launcher).describe(launcher, show_conditions=True))
        print("nothing is submitted (--dry-run)")
        return
    with exclusive_lock(settings.runs):
        plan = _plan(sweep, launcher)
        print(plan.describe(launcher, show_conditions=False), flush=True)
        if not plan.arrays:
            print("nothing to submit")
            return
        submission, numbers = _submit(plan, settings, launcher, list(overrides))
    print(f"submitted: jobs {', '.join(numbers)} ({submission.path})")
    runs = [] if settings.runs == Path("runs") else [f"runs={settings.runs}"]
    print(f"watch: {command_line('status', overrides)}")
    print(f"stop: {command_line('cancel', [f'submission={submission.path.name}', *runs])}")


def _plan(sweep: Sweep, launcher: dict[str, Any]) -> SubmissionPlan:
    tasks = read_tasks(read_submissions(Path(sweep.config["runs"])))
    return plan_submission(sweep, tasks, launcher, slurm.max_array_size())


def _submit(
    plan: SubmissionPlan, settings: TrainSettings, launcher: dict[str, Any], overrides: list[str]
) -> tuple[Submission, list[str]]:
    """Snapshot the code, write the record, submit. Return the submission and its job numbers.

    The record is written before SLURM gets any job. Jobs are therefore found by the names in the record,
    even if this process dies.
    """
    requested, runs = plan.sweep.requested, settings.runs.resolve()
    for shard in plan.shards:
        condition, _ = requested[shard.signature]
        folder = RunFolder.of(runs, condition).shard(shard.seeds)
        n_snapshots = len(parse_snapshots(settings.snapshots))
        folder.create(bytes_needed=bytes_needed(condition, len(shard.seeds), n_snapshots))
        folder.store_condition()
    names = {
        signature: f"{condition.task_name}/{condition.name}"
        for signature, (condition, _) in requested.items()
    }
    submission = Submission.new(runs, plan.sweep.name, plan.arrays, names)
    numbers: list[str] = []
    try:
        snapshot_code(submission.code)
        calls = _write_tasks(submission, plan, settings, launcher)
        submitted = datetime.now(UTC).isoformat(timespec="seconds")
        submission.write(overrides=overrides, launcher=launcher, submitted=submitted, user=getpass.getuser())
        for array in range(len(plan.arrays)):
            after = f"afterany:{numbers[-1]}" if plan.is_chained and numbers else None
            numbers.append(_submit_array(submission, array, calls[array], plan, launcher, after))
    except (BadInputError, UnwritableError):
        if not numbers:
            shutil.rmtree(submission.path)
        raise
    return submission, numbers


def _submit_array(
    submission: Submission,
    array: int,
    calls: list[TrainTask],
    plan: SubmissionPlan,
    launcher: dict[str, Any],
    after: str | None,
) -> str:
    return slurm.submit_array(
        submission.array_name(array),
        launcher | {"array_parallelism": min(plan.cap, len(calls))},
        calls,
        folder=submission.logs(array),
        code=submission.code,
        python=plan.sweep.config["submit"]["python"],
        after=after,
    )


def _write_tasks(
    submission: Submission, plan: SubmissionPlan, settings: TrainSettings, launcher: dict[str, Any]
) -> list[list[TrainTask]]:
    """Write a file for each job, and return the calls of each array."""
    device = device_of_job(settings.device, launcher)
    settings = dataclasses.replace(settings, runs=settings.runs.resolve(), device=device)

    def describe(shard: Shard) -> dict[str, Any]:
        condition, _ = plan.sweep.requested[shard.signature]
        return dataclasses.asdict(shard) | {"condition": condition.config}

    (submission.path / "tasks").mkdir()
    calls: list[list[TrainTask]] = []
    number = 0
    for array in plan.arrays:
        calls.append([])
        for shards in array:
            content = settings.to_config() | {"shards": [describe(shard) for shard in shards]}
            file = submission.task_file(number)
            write_atomically(file, json.dumps(content, indent=1).encode())
            calls[-1].append(TrainTask(file))
            number += 1
    return calls


def device_of_job(device: str, launcher: dict[str, Any]) -> str:
    """Replace `auto` by `cuda` if the launcher requests a GPU, and by `cpu` otherwise.

    A job that cannot use its GPU then fails. With `auto` it would train on the CPU.

    Args:
        device: the setting `device`: auto, cpu or cuda.
        launcher: settings from `conf/hydra/launcher/`.
    """
    if device != "auto":
        return device
    settings = launcher | (launcher.get("additional_parameters") or {})
    counts = [value for name, value in settings.items() if name.replace("-", "_").startswith("gpus")]
    resources = f"{settings.get('gres')} {settings.get('tres_per_task')}"
    return "cuda" if any(counts) or "gpu" in resources else "cpu"


def main() -> None:
    """Run the command line."""
    arguments = Arguments(__doc__ or "")
    arguments.parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    with exit_on_user_error(), arguments.parsed() as (options, overrides):
        submit(overrides, options.dry_run)


if __name__ == "__main__":
    main()
