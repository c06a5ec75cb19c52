"""Analyze an experiment on a SLURM cluster and return: matrices as an array of jobs, then table and figures.

python -m analysis.submit experiment=demo hydra/launcher=slurm_cpu --dry-run

The options are those of `python -m analysis`. For each experiment four jobs wait for one another: gather and
activations; the choice of settings, after the first job of every experiment; an array that computes the
matrices, a condition each; degeneracy table and figures. What is under way is left alone.
"""

from __future__ import annotations

import contextlib
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
from analysis.pipeline import Analysis, chosen, trained
from degen.condition import Condition
from degen.errors import BadInputError
from degen.files import write_atomically
from degen.locks import exclusive_lock
from degen.training.cpu.process_pool import available_cores
from launch.cli import Arguments, configure_logging, exit_on_user_error
from launch.config import compose, compose_launcher
from launch.experiment import Experiment, experiments
from launch.slurm import client as slurm
from launch.slurm.snapshot import require_snapshot, snapshot_code
from launch.slurm.submissions import ArrayTask, Shard, Submission, read_submissions, read_tasks

_SECONDS_BETWEEN_LOOKS = 10


class AnalysisTask:
    """A part of an analysis, as a job.

    Args:
        file: the settings, all experiments that are analysed together, resolved, and the name of its own.
        part: `prepare`, `choose`, `run`, or the signature of the condition whose matrices are computed.
    """

    def __init__(self, file: Path, part: str):
        self.file = file
        self.part = part

    def __call__(self) -> None:
        require_snapshot(self.file.parent / "code")
        configure_logging()
        torch.set_flush_denormal(True)
        torch.set_num_threads(min(torch.get_num_threads(), available_cores()))
        stored = json.loads(self.file.read_text())
        experiments = [_experiment(fields) for fields in stored["experiments"]]
        every = {each.name: Analysis(each, stored["settings"]) for each in experiments}
        analysis = every[stored["name"]]
        if self.part == "prepare":
            analysis.prepare()
        elif self.part == "choose":
            # The jobs of other experiments want the same: the first makes it, the others find it made.
            with exclusive_lock(analysis.results.path.parent, "results"):
                kept = [(one, one.prepared()) for one in every.values()]
                # Its own copy only: others may be under way.
                chosen([(one, there) for one, there in kept if there is not None], [analysis])
        elif self.part == "run":
            analysis.finish(*analysis.prepare())
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
    own_fields = ("hydra", "submit.")
    check(settings, [text for text in overrides if not text.lstrip("+").startswith(own_fields)])
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
            f"prepares, one that chooses settings, {count} for the matrices "
            f"({launcher['array_parallelism']} at once), one for the table"
        )
    if dry_run:
        print("nothing is submitted (--dry-run)")
        return []
    chains: list[_Chain] = []
    with contextlib.ExitStack() as locks:
        for analysis in sorted(analyses, key=lambda one: one.experiment.name):  # no two wait for each other
            analysis.results.create()
            locks.enter_context(exclusive_lock(analysis.results.path, "results"))
        locks.callback(_give_up, chains)
        for analysis in analyses:
            if any(task.is_active for task in _tasks([analysis])):
                print(f"{analysis.experiment.name}: under way, not submitted again", flush=True)
            else:
                chains.append(_Chain(analysis, analyses, settings, launcher))
        for chain in chains:
            chain.begin()
        for chain in chains:
            chain.follow([other.numbers[0] for other in chains if other is not chain])
    return analyses


def wait(analyses: Sequence[Analysis]) -> list[str]:
    """Return when no job of theirs runs or waits any more: of each that failed, where and the last words."""
    while any(task.is_active for task in _tasks(analyses, slurm.SLURM_TIMEOUT_S)):
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    failed = []
    for analysis in analyses:
        words = [task.error_tail for task in _tasks([analysis], slurm.SLURM_TIMEOUT_S) if task.has_failed]
        if words:
            where = read_submissions(analysis.results.path)[-1].path
            failed.append(f"{analysis.experiment.name} failed ({where}):\n{words[0]}")
    return failed


def _tasks(analyses: Sequence[Analysis], timeout_s: float = 0.0) -> list[ArrayTask]:
    """The jobs of their latest submissions."""
    latest = [read_submissions(analysis.results.path)[-1:] for analysis in analyses]
    return read_tasks([submission for each in latest for submission in each], timeout_s)


class _Chain:
    """The jobs of one analysis, frozen and recorded: the record leads to them by name.

    Args:
        analysis: its own.
        every: all that are analysed together.
    """

    def __init__(
        self,
        analysis: Analysis,
        every: Sequence[Analysis],
        settings: dict[str, Any],
        launcher: dict[str, Any],
    ):
        name = analysis.experiment.name
        signatures = [condition.signature for condition in analysis.experiment.conditions]
        self.parts = [["prepare"], ["choose"], signatures, ["run"]]
        # A job whose predecessor failed would wait for ever.
        options = {**(launcher.get("additional_parameters") or {}), "kill_on_invalid_dep": "yes"}
        self.launcher = launcher | {"additional_parameters": options}
        self.python = settings["submit"]["python"]
        self.numbers: list[str] = []
        nothing: list[list[list[Shard]]] = [[[] for _ in names] for names in self.parts]  # is trained
        self.submission = Submission.new(analysis.results.path, name, nothing, {})
        self.file = self.submission.path / "analysis.json"
        try:
            snapshot_code(self.submission.code)
            fields = [_fields(one.experiment) for one in every]
            content = {"settings": settings, "name": name, "experiments": fields}
            write_atomically(self.file, json.dumps(content, indent=1).encode())
            self.submission.write()
        except BaseException:
            shutil.rmtree(self.submission.path)
            raise

    def begin(self) -> None:
        """Submit the first job."""
        self._submit(after=None)

    def follow(self, others: Sequence[str]) -> None:
        """Submit the jobs after the first, given the numbers of the other chains' first jobs."""
        ends = f",afterany:{':'.join(others)}" if others else ""
        self._submit(after=f"afterok:{self.numbers[-1]}{ends}")
        for _ in self.parts[2:]:
            self._submit(after=f"afterok:{self.numbers[-1]}")
        numbers = ", ".join(self.numbers)
        print(f"submitted: jobs {numbers} ({self.submission.path}); scancel stops them", flush=True)

    def _submit(self, after: str | None) -> None:
        array = len(self.numbers)
        self.numbers.append(
            slurm.submit_array(
                self.submission.array_name(array),
                self.launcher,
                [AnalysisTask(self.file, part) for part in self.parts[array]],
                folder=self.submission.logs(array),
                code=self.submission.code,
                python=self.python,
                after=after,
            )
        )


def _give_up(chains: Sequence[_Chain]) -> None:
    """Of those of which not all is submitted: cancel what is; where nothing is, forget the record."""
    for chain in chains:
        if not chain.numbers:
            shutil.rmtree(chain.submission.path)
        elif len(chain.numbers) < len(chain.parts):
            chain.submission.mark_cancelled()
            with contextlib.suppress(BadInputError):
                known = slurm.jobs_named(chain.submission.array_names)
                slurm.cancel([job for jobs in known.values() for job in jobs.values() if job.is_active])


def _fields(experiment: Experiment) -> dict[str, Any]:
    """An experiment as JSON holds it."""
    fields = {field.name: getattr(experiment, field.name) for field in dataclasses.fields(experiment)}
    return fields | {part: [one.config for one in fields[part]] for part in ("baseline", "swept")}


def _experiment(fields: dict[str, Any]) -> Experiment:
    """The experiment of such fields."""
    built = {part: [Condition.from_config(one) for one in fields[part]] for part in ("baseline", "swept")}
    return Experiment(**fields | built)


def main() -> None:
    """The command line."""
    arguments = Arguments(__doc__ or "", "as of python -m analysis, and hydra/launcher=")
    arguments.parser.add_argument("--dry-run", action="store_true", help="show the plan and stop")
    until = "return when its jobs have ended, with code 1 if one failed"
    arguments.parser.add_argument("--wait", action="store_true", help=until)
    with exit_on_user_error(), arguments.parsed() as (given, overrides):
        analyses = submit(overrides, given.dry_run)
        failed = wait(analyses) if given.wait else []
        if failed:
            print("\n".join(failed), file=sys.stderr)
            sys.exit(1)


if __name__ == "__main__":
    main()
