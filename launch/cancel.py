"""Stop what was submitted for an experiment, and nothing else: its jobs, queued or running.

python -m launch.cancel experiment=demo
python -m launch.cancel submission=2026-11-24_22-23-14-sweep     # a folder below runs/.submissions
"""

from __future__ import annotations

from collections.abc import Sequence

from degen.errors import BadInputError, require
from launch.cli import Arguments, one_sentence_ends, runs_folder
from launch.experiment import compose_settings
from launch.slurm import client as slurm
from launch.slurm.submissions import locked, read_submissions


def cancel(overrides: Sequence[str]) -> None:
    """Cancel the active jobs of the submissions chosen.

    Raises:
        BadInputError: none is chosen, or SLURM refuses.
    """
    fields = dict(text.partition("=")[::2] for text in overrides)
    chosen = {name: fields.pop(name) for name in ("experiment", "submission") if name in fields}
    if len(chosen) != 1 or set(fields) - {"runs", "hydra.searchpath"}:
        raise BadInputError(
            f"launch.cancel must be given either experiment= or submission=, and runs= where it is not runs, "
            f"got {' '.join(overrides) or 'nothing'}."
        )
    where = [text for text in overrides if text.startswith(("runs=", "hydra."))]
    runs = runs_folder(compose_settings(where))
    ((field, value),) = chosen.items()
    slurm.require_slurm()
    submissions = read_submissions(runs)
    names = [each.experiment if field == "experiment" else each.path.name for each in submissions]
    require(
        value in names,
        field,
        value,
        f"one of {', '.join(sorted(set(names))) or 'none: nothing was submitted'}",
    )
    with locked(runs):
        chosen_ones = [each for each, name in zip(submissions, names, strict=True) if name == value]
        known = slurm.jobs_named([name for each in chosen_ones for name in each.array_names])
        for each in chosen_ones:
            jobs = [task.job for task in each.tasks(known) if task.job is not None and task.is_active]
            slurm.cancel(jobs)
            if jobs:
                each.mark_cancelled()
            print(f"{each.path.name}: {len(jobs)} jobs cancelled")
    print("networks in training are stored; launch.submit with the arguments of before goes on")


def main() -> None:
    """The command line."""
    arguments = Arguments(__doc__ or "", "experiment= or submission=, and runs=")
    with one_sentence_ends(), arguments.parsed() as (_, overrides):
        cancel(overrides)


if __name__ == "__main__":
    main()
