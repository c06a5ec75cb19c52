"""Submit a sweep or an experiment to a SLURM cluster and return; what is finished or under way is left out.

python -m launch.submit experiment=demo hydra/launcher=slurm_gpu --dry-run
python -m launch.submit gamma=0.5,1,2 task.channels=1,2 seeds=50 hydra/launcher=slurm_gpu
"""

from __future__ import annotations

import getpass
import json
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from degen.errors import BadInputError, UnwritableError, require, require_number
from degen.files import write_atomically
from degen.storage import RunFolder
from degen.tasks.contract import require_valid
from launch.cli import Arguments, compose_launcher, one_sentence_ends, require_folder
from launch.experiment import Sweep, sweep
from launch.slurm import client as slurm
from launch.slurm.plan import Plan, plan
from launch.slurm.snapshot import freeze
from launch.slurm.submissions import Submission, locked, read_submissions, read_tasks
from launch.slurm.worker import TrainTask
from launch.train import bytes_needed


def submit(overrides: Sequence[str], dry_run: bool) -> None:
    """Plan, say what is planned, and unless `dry_run` submit it.

    Raises:
        BadInputError: something is not allowed, or SLURM refuses; then nothing is submitted.
    """
    asked = sweep(overrides)
    name, launcher = compose_launcher("train", list(overrides))
    _check(asked)
    slurm.require_accepted(name, launcher)
    runs = Path(asked.settings["runs"])
    if dry_run:
        planned = _plan(asked, launcher)
        print("\n".join([*planned.lines(launcher, dry=True), "nothing is submitted (--dry-run)"]))
        return
    with locked(runs):
        planned = _plan(asked, launcher)
        print("\n".join(planned.lines(launcher, dry=False)), flush=True)
        if planned.arrays:
            submission, numbers = _submit(planned, launcher, list(overrides))
            print(f"submitted: jobs {', '.join(numbers)} ({submission.path})")
            place = "" if runs == Path("runs") else f" runs={runs}"
            stop = f"python -m launch.cancel submission={submission.path.name}{place}"
            print(f"watch: python -m launch.status with the same arguments; stop: {stop}")
        else:
            print("nothing to submit")


def _check(asked: Sweep) -> None:
    """Refuse what a job would refuse, before there is one."""
    settings = asked.settings
    require_folder("runs", settings["runs"])
    require(isinstance(settings["tf32"], bool), "tf32", settings["tf32"], "true or false")
    require_number("checkpoint_seconds", settings["checkpoint_seconds"], minimum=0.0)
    is_device = re.fullmatch(r"auto|cpu|cuda", str(settings["device"])) is not None
    require(is_device, "device", settings["device"], "auto, cpu or cuda")
    for condition, _ in asked.wanted.values():
        require_valid(condition.task, condition.dtype)
        RunFolder.of(Path(settings["runs"]), condition).validate()


def _plan(asked: Sweep, launcher: dict[str, Any]) -> Plan:
    tasks = read_tasks(read_submissions(Path(asked.settings["runs"])))
    return plan(asked, tasks, launcher, slurm.max_array_size())


def _submit(planned: Plan, launcher: dict[str, Any], overrides: list[str]) -> tuple[Submission, list[str]]:
    """Freeze, record, submit: whoever reads the record finds the jobs by name, even if this process dies."""
    wanted, runs = planned.sweep.wanted, Path(planned.sweep.settings["runs"]).resolve()
    for piece in planned.pieces:
        condition, _ = wanted[piece.signature]
        folder = RunFolder.of(runs, condition).shard(piece.seeds)
        folder.create(bytes_needed=bytes_needed(condition, len(piece.seeds)))
        folder.store_condition()
    names = {
        signature: f"{condition.task_name}/{condition.name}" for signature, (condition, _) in wanted.items()
    }
    submission = Submission.new(runs, planned.sweep.name, planned.arrays, names)
    numbers: list[str] = []
    try:
        freeze(submission.code)
        calls = _write_tasks(submission, planned, launcher)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        submission.write(overrides=overrides, launcher=launcher, submitted=started, user=getpass.getuser())
        for array, tasks in enumerate(planned.arrays):
            numbers.append(
                slurm.submit_array(
                    submission.array_name(array),
                    launcher | {"array_parallelism": min(planned.cap, len(tasks))},
                    calls[array],
                    folder=submission.logs(array),
                    code=submission.code,
                    python=planned.sweep.settings["submit"]["python"],
                    after=f"afterany:{numbers[-1]}" if planned.is_chained and numbers else None,
                )
            )
    except (BadInputError, UnwritableError):
        if not numbers:
            shutil.rmtree(submission.path)
        raise
    return submission, numbers


def _write_tasks(submission: Submission, planned: Plan, launcher: dict[str, Any]) -> list[list[TrainTask]]:
    """What each job trains, as a file; and its call."""
    settings = planned.sweep.settings
    common = {
        "runs": str(Path(settings["runs"]).resolve()),
        "device": _device(settings["device"], launcher),
        "tf32": settings["tf32"],
        "checkpoint_seconds": settings["checkpoint_seconds"],
    }
    (submission.path / "tasks").mkdir()
    calls: list[list[TrainTask]] = []
    number = 0
    for array in planned.arrays:
        calls.append([])
        for task in array:
            pieces = [
                {
                    "signature": piece.signature,
                    "seeds": piece.seeds,
                    "condition": planned.sweep.wanted[piece.signature][0].config,
                }
                for piece in task
            ]
            file = submission.task_file(number)
            write_atomically(file, json.dumps(common | {"pieces": pieces}, indent=1).encode())
            calls[-1].append(TrainTask(file))
            number += 1
    return calls


def _device(device: str, launcher: dict[str, Any]) -> str:
    """`auto` is what the job asks for: a job with a GPU that it cannot use must fail, not train elsewhere."""
    if device != "auto":
        return device
    asked = launcher | (launcher.get("additional_parameters") or {})
    counts = [value for name, value in asked.items() if name.replace("-", "_").startswith("gpus")]
    return "cuda" if any(counts) or "gpu" in f"{asked.get('gres')} {asked.get('tres_per_task')}" else "cpu"


def main() -> None:
    """The command line."""
    arguments = Arguments(__doc__ or "")
    arguments.parser.add_argument("--dry-run", action="store_true", help="show the plan and stop")
    with one_sentence_ends(), arguments.parsed() as (given, overrides):
        submit(overrides, given.dry_run)


if __name__ == "__main__":
    main()
