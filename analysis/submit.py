"""Analyze an experiment on a SLURM cluster and return: matrices as an array of jobs, then table and figures.

python -m analysis.submit experiment=demo hydra/launcher=slurm_cpu --dry-run

The options are those of `python -m analysis`. Three jobs wait for one another: gather and activations;
an array that computes the matrices, a condition each; degeneracy table and figures. What is under way is left
alone.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from submitit.core.utils import DelayedSubmission

from analysis.__main__ import check
from analysis.stages import Analysis, trained
from degen.condition import Condition
from degen.errors import BadInputError
from degen.files import write_atomically
from launch import slurm
from launch.cli import Arguments, compose, compose_launcher, one_sentence_ends
from launch.conditions import Experiment, experiments
from launch.freeze import freeze, require_frozen
from launch.submissions import Piece, Submission, Task, locked, read_submissions, read_tasks

_SECONDS_BETWEEN_LOOKS = 10


class AnalysisTask:
    """A part of an analysis, as a job.

    Args:
        file: the settings and the experiment, resolved.
        part: `prepare`, `run`, or the signature of the condition whose matrices are computed.
    """

    def __init__(self, file: Path, part: str):
        self.file = file
        self.part = part

    def __call__(self) -> None:
        require_frozen(self.file.parent / "code")
        torch.set_flush_denormal(True)
        stored = json.loads(self.file.read_text())
        fields = stored["experiment"]
        for part in ("shared", "swept"):
            fields[part] = [Condition.from_config(config) for config in fields[part]]
        analysis = Analysis(Experiment(**fields), stored["settings"])
        if self.part == "prepare":
            analysis.prepare()
        elif self.part == "run":
            analysis.run()
        else:
            analysis.measure(only=self.part)

    def checkpoint(self) -> DelayedSubmission:
        """What submitit runs when the job starts again: the same, which skips what is stored."""
        return DelayedSubmission(self)


def submit(overrides: Sequence[str], dry_run: bool) -> list[Analysis]:
    """Say what is planned, and unless `dry_run` submit it; the analyses that are then under way.

    Raises:
        BadInputError: something is not allowed, or SLURM refuses; then nothing is submitted.
    """
    settings = compose("analyze", list(overrides))
    check(settings, [text for text in overrides if not text.lstrip("+").startswith("hydra")])
    name = next(text for text in overrides if text.startswith("experiment=")).partition("=")[2]
    settings |= {field: str(Path(settings[field]).resolve()) for field in ("runs", "results")}
    own = [text for text in overrides if text.startswith("hydra.searchpath=")]
    every = [Analysis(chosen, settings) for chosen in experiments(name, [*settings["overrides"], *own])]
    analyses = trained(every, name)
    launcher_name, launcher = compose_launcher("analyze", list(overrides))
    slurm.require_accepted(launcher_name, launcher)
    for analysis in analyses:
        count = len(analysis.experiment.conditions)
        print(
            f"{analysis.experiment.name}: {count} conditions by {', '.join(analysis.metrics)}; a job that "
            f"prepares, {count} for the matrices ({launcher['array_parallelism']} at once), one for the table"
        )
    if dry_run:
        print("nothing is submitted (--dry-run)")
        return []
    for analysis in analyses:
        analysis.results.create()
        with locked(analysis.results.path):
            if any(task.is_active for task in _tasks([analysis])):
                print(f"{analysis.experiment.name}: under way, not submitted again", flush=True)
                continue
            submission, numbers = _submit(analysis, settings, launcher)
        print(f"submitted: jobs {', '.join(numbers)} ({submission.path}); scancel stops them", flush=True)
    return analyses


def wait(analyses: Sequence[Analysis]) -> list[str]:
    """Return when no job of theirs runs or waits any more: of each that failed, where and the last words."""
    while any(task.is_active for task in _tasks(analyses, slurm.PATIENCE)):
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    failed = []
    for analysis in analyses:
        words = [task.last_words for task in _tasks([analysis], slurm.PATIENCE) if task.has_failed]
        if words:
            where = read_submissions(analysis.results.path)[-1].path
            failed.append(f"{analysis.experiment.name} failed ({where}):\n{words[0]}")
    return failed


def _tasks(analyses: Sequence[Analysis], patience: float = 0.0) -> list[Task]:
    """The jobs of their latest submissions."""
    latest = [read_submissions(analysis.results.path)[-1:] for analysis in analyses]
    return read_tasks([submission for each in latest for submission in each], patience)


def _submit(
    analysis: Analysis, settings: dict[str, Any], launcher: dict[str, Any]
) -> tuple[Submission, list[str]]:
    """Freeze, record, submit: the record leads to the jobs by name."""
    chosen = analysis.experiment
    parts = [["prepare"], [condition.signature for condition in chosen.conditions], ["run"]]
    nothing: list[list[list[Piece]]] = [[[] for _ in names] for names in parts]  # is trained
    submission = Submission.new(analysis.results.path, chosen.name, nothing, {})
    numbers: list[str] = []
    try:
        freeze(submission.code)
        file = submission.path / "analysis.json"
        kept = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(chosen)}
        for part in ("shared", "swept"):
            kept[part] = [condition.config for condition in kept[part]]
        write_atomically(file, json.dumps({"settings": settings, "experiment": kept}, indent=1).encode())
        submission.write()
        # A job whose predecessor failed would wait for ever.
        options = {**(launcher.get("additional_parameters") or {}), "kill_on_invalid_dep": "yes"}
        for array, names in enumerate(parts):
            numbers.append(
                slurm.submit_array(
                    submission.array_name(array),
                    launcher | {"additional_parameters": options},
                    [AnalysisTask(file, part) for part in names],
                    folder=submission.logs(array),
                    code=submission.code,
                    after=f"afterok:{numbers[-1]}" if numbers else None,
                )
            )
    except BadInputError:
        if not numbers:
            shutil.rmtree(submission.path)
        raise
    return submission, numbers


def main() -> None:
    """The command line."""
    arguments = Arguments(__doc__ or "")
    arguments.parser.add_argument("--dry-run", action="store_true", help="show the plan and stop")
    until = "return when its jobs have ended, with code 1 if one failed"
    arguments.parser.add_argument("--wait", action="store_true", help=until)
    with one_sentence_ends(), arguments.parsed() as (given, overrides):
        analyses = submit(overrides, given.dry_run)
        failed = wait(analyses) if given.wait else []
        if failed:
            print("\n".join(failed), file=sys.stderr)
            sys.exit(1)


if __name__ == "__main__":
    main()
