"""Cancel the jobs of an experiment or of one submission, queued or running. Other jobs are not touched.

degen cancel experiment=demo
degen cancel submission=2026-11-24_22-23-14-sweep     # a folder in runs/.submissions
"""

from __future__ import annotations

from collections.abc import Sequence

from degen.errors import BadInputError, require
from degen.locks import exclusive_lock
from launch.cli import Arguments, exit_on_user_error
from launch.experiment import compose_first
from launch.settings import runs_folder
from launch.slurm import client as slurm
from launch.slurm.submissions import Submission, read_submissions


def cancel(overrides: Sequence[str]) -> None:
    """Cancel the queued and running jobs of an experiment or of one submission.

    Args:
        overrides: arguments of the command line: `experiment=<name>` or `submission=<folder>`, and
            optionally `runs=<folder>`.

    Raises:
        BadInputError: there is no such submission, or SLURM rejects the request.
    """
    field, value = _selection(overrides)
    runs = runs_folder(compose_first([text for text in overrides if text.startswith(("runs=", "hydra."))]))
    slurm.require_slurm()

    submissions: dict[str, list[Submission]] = {}
    for submission in read_submissions(runs):
        name = submission.experiment if field == "experiment" else submission.path.name
        submissions.setdefault(name, []).append(submission)
    names = ", ".join(sorted(submissions)) or "none: nothing was submitted"
    require(value in submissions, field, value, f"one of {names}")
    with exclusive_lock(runs):
        for submission in submissions[value]:
            tasks = submission.tasks(slurm.jobs_named(submission.array_names))
            jobs = [task.job for task in tasks if task.job is not None and task.is_active]
            slurm.cancel(jobs)
            if jobs:
                submission.mark_cancelled()
            print(f"{submission.path.name}: {len(jobs)} jobs cancelled")
    print("networks in training are saved; run degen submit with the same arguments to resume")


def _selection(overrides: Sequence[str]) -> tuple[str, str]:
    """Return `experiment` or `submission`, and its value."""
    fields = dict(text.partition("=")[::2] for text in overrides)
    selections = {name: fields.pop(name) for name in ("experiment", "submission") if name in fields}
    if len(selections) != 1 or set(fields) - {"runs", "hydra.searchpath"}:
        raise BadInputError(
            "degen cancel must be given either experiment= or submission=, and runs= if the folder is not "
            f"runs, got {' '.join(overrides) or 'nothing'}."
        )
    return next(iter(selections.items()))


def main() -> None:
    """Run the command line."""
    arguments = Arguments(__doc__ or "", "experiment= or submission=, and runs=")
    with exit_on_user_error(), arguments.parsed() as (_, overrides):
        cancel(overrides)


if __name__ == "__main__":
    main()
