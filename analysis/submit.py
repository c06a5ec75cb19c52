"""Analyze an experiment on a SLURM cluster: submit the jobs and return.

Options are those of `degen analyze`. Each experiment has four jobs that wait for each other:
prepare (table of networks, activations), select (hyperparameters, after the first job of every experiment),
an array that computes the distances of one condition per task, and finish (degeneracy table and figures).
An experiment whose analysis is running is not submitted again.

Examples:
    python -m analysis.submit experiment=demo hydra/launcher=slurm_cpu --dry-run
    python -m analysis.submit gamma=1,2 parameterization=mup seeds=8 hydra/launcher=slurm_cpu
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.experiment_analysis import ExperimentAnalysis
from analysis.pipeline import drop_untrained
from analysis.settings import collect_sweep, load_experiments, require_valid
from analysis.slurm_jobs import JobChain, roll_back
from degen.locks import exclusive_lock
from launch.cli import Arguments, exit_on_user_error
from launch.config import compose, compose_launcher
from launch.slurm import client as slurm
from launch.slurm.submissions import ArrayTask, read_submissions, read_tasks

_POLL_INTERVAL_S = 10


def submit(overrides: Sequence[str], dry_run: bool) -> list[ExperimentAnalysis]:
    """Print the plan, and submit it unless `dry_run`.

    Returns:
        The analyses that are running.

    Raises:
        BadInputError: a setting is not allowed, or SLURM rejects a job. Nothing is submitted then.
    """
    analyses, settings = _build_analyses(overrides)
    launcher_name, launcher = compose_launcher("analyze", collect_sweep(overrides))
    slurm.require_accepted(launcher_name, launcher)
    for analysis in analyses:
        _print_plan(analysis, launcher)
    if dry_run:
        print("nothing is submitted (--dry-run)")
        return []
    chains: list[JobChain] = []
    with contextlib.ExitStack() as locks:
        # In the order of their names, so that two processes never wait for each other.
        for analysis in sorted(analyses, key=lambda analysis: analysis.experiment.name):
            analysis.results.create()
            locks.enter_context(exclusive_lock(analysis.results.path, "results"))
        locks.callback(roll_back, chains)
        for analysis in analyses:
            if any(task.is_active for task in _read_tasks([analysis])):
                print(f"{analysis.experiment.name}: running, not submitted again", flush=True)
            else:
                chains.append(JobChain(analysis, analyses, settings, launcher))
        for chain in chains:
            chain.submit_first()
        for chain in chains:
            chain.submit_rest([other.job_ids[0] for other in chains if other is not chain])
    return analyses


def _build_analyses(overrides: Sequence[str]) -> tuple[list[ExperimentAnalysis], dict[str, Any]]:
    """Return the analyses that the command line names, and their settings with absolute paths."""
    overrides = collect_sweep(overrides)
    settings = compose("analyze", overrides)
    launcher_fields = ("hydra", "submit.")
    require_valid(settings, [text for text in overrides if not text.lstrip("+").startswith(launcher_fields)])
    names = [text.removeprefix("experiment=") for text in overrides if text.startswith("experiment=")]
    settings |= {field: str(Path(settings[field]).resolve()) for field in ("runs", "results")}
    search_path = [text for text in overrides if text.startswith("hydra.searchpath=")]
    loaded = load_experiments(names[-1] if names else None, [*settings["overrides"], *search_path])
    analyses = [ExperimentAnalysis(experiment, settings) for experiment in loaded]
    return drop_untrained(analyses, (names or [loaded[0].name])[-1]), settings


def _print_plan(analysis: ExperimentAnalysis, launcher: dict[str, Any]) -> None:
    n_conditions, metrics = len(analysis.experiment.conditions), ", ".join(analysis.metrics)
    print(
        f"{analysis.experiment.name}: {n_conditions} conditions, {metrics}; jobs: prepare, select, "
        f"{n_conditions} for distances ({launcher['array_parallelism']} at once), finish"
    )


def wait(analyses: Sequence[ExperimentAnalysis]) -> list[str]:
    """Wait until all jobs have ended.

    Returns:
        For each failed analysis, where its logs are, and the last lines of its errors.
    """
    while any(task.is_active for task in _read_tasks(analyses, slurm.SLURM_TIMEOUT_S)):
        time.sleep(_POLL_INTERVAL_S)
    failures = []
    for analysis in analyses:
        tails = [
            task.error_tail for task in _read_tasks([analysis], slurm.SLURM_TIMEOUT_S) if task.has_failed
        ]
        if tails:
            path = read_submissions(analysis.results.path)[-1].path
            failures.append(f"{analysis.experiment.name} failed ({path}):\n{tails[0]}")
    return failures


def _read_tasks(analyses: Sequence[ExperimentAnalysis], timeout_s: float = 0.0) -> list[ArrayTask]:
    """Return the jobs of the latest submission of each analysis."""
    latest = [read_submissions(analysis.results.path)[-1:] for analysis in analyses]
    return read_tasks([submission for submissions in latest for submission in submissions], timeout_s)


def main() -> None:
    """Run the command line."""
    arguments = Arguments(__doc__ or "", "as for degen analyze, plus hydra/launcher=")
    arguments.parser.add_argument("--dry-run", action="store_true", help="print the plan and exit")
    wait_help = "return when all jobs have ended, with exit code 1 if a job failed"
    arguments.parser.add_argument("--wait", action="store_true", help=wait_help)
    with exit_on_user_error(), arguments.parsed() as (options, overrides):
        analyses = submit(overrides, options.dry_run)
        failures = wait(analyses) if options.wait else []
        if failures:
            print("\n".join(failures), file=sys.stderr)
            sys.exit(1)


if __name__ == "__main__":
    main()
