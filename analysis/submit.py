"""Analyze an experiment on a SLURM cluster and return: matrices as an array of jobs, then table and figures.

python -m analysis.submit experiment=demo hydra/launcher=slurm_cpu --dry-run

The options are those of `python -m analysis`. Three jobs wait for one another: gather and activations;
an array that computes the matrices, a condition each; degeneracy table and figures.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from submitit.core.utils import DelayedSubmission

from analysis.__main__ import check
from analysis.stages import Analysis
from degen.condition import Condition
from degen.errors import BadInputError
from degen.files import write_atomically
from launch import slurm
from launch.cli import Arguments, compose, compose_launcher, one_sentence_ends
from launch.conditions import Experiment, experiments
from launch.freeze import freeze, require_frozen
from launch.submissions import Submission


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


def submit(overrides: Sequence[str], dry_run: bool) -> None:
    """Say what is planned, and unless `dry_run` submit it.

    Raises:
        BadInputError: something is not allowed, or SLURM refuses; then nothing is submitted.
    """
    settings = compose("analyze", list(overrides))
    check(settings, [text for text in overrides if not text.startswith("hydra")])
    name = next(text for text in overrides if text.startswith("experiment=")).partition("=")[2]
    settings |= {field: str(Path(settings[field]).resolve()) for field in ("runs", "results")}
    own = [text for text in overrides if text.startswith("hydra.searchpath=")]
    analyses = [Analysis(chosen, settings) for chosen in experiments(name, [*settings["overrides"], *own])]
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
        return
    for analysis in analyses:
        analysis.results.create()
        submission = Submission.new(analysis.results.path, analysis.experiment.name, [], {})
        try:
            numbers = _submit(submission, analysis.experiment, settings, launcher)
        except BadInputError:
            shutil.rmtree(submission.path)
            raise
        print(f"submitted: jobs {', '.join(numbers)} ({submission.path}); scancel stops them")


def _submit(
    submission: Submission, chosen: Experiment, settings: dict[str, Any], launcher: dict[str, Any]
) -> list[str]:
    freeze(submission.code)
    file = submission.path / "analysis.json"
    kept = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(chosen)}
    for part in ("shared", "swept"):
        kept[part] = [condition.config for condition in kept[part]]
    write_atomically(file, json.dumps({"settings": settings, "experiment": kept}, indent=1).encode())
    # A job whose predecessor failed would wait for ever.
    options = {**(launcher.get("additional_parameters") or {}), "kill_on_invalid_dep": "yes"}
    parts = [["prepare"], [condition.signature for condition in chosen.conditions], ["run"]]
    numbers: list[str] = []
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
    return numbers


def main() -> None:
    """The command line."""
    arguments = Arguments(__doc__ or "")
    arguments.parser.add_argument("--dry-run", action="store_true", help="show the plan and stop")
    with one_sentence_ends(), arguments.parsed() as (given, overrides):
        submit(overrides, given.dry_run)


if __name__ == "__main__":
    main()
