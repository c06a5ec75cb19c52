"""SLURM jobs of an analysis: parts of the pipeline that wait for each other."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from submitit.core.utils import DelayedSubmission

from analysis.experiment_analysis import ExperimentAnalysis
from analysis.pipeline import select_for
from degen.condition import Condition
from degen.errors import BadInputError
from degen.files import write_atomically
from degen.locks import exclusive_lock
from degen.training.cpu.process_pool import available_cores
from launch.cli import configure_logging
from launch.experiment import Experiment
from launch.slurm import client as slurm
from launch.slurm.snapshot import require_snapshot, snapshot_code
from launch.slurm.submissions import Shard, Submission


class AnalysisTask:
    """A part of an analysis, as a job.

    Args:
        file: JSON file with the settings, all experiments of the analysis and the name of this experiment.
        part: `prepare`, `select`, `finish`, or the signature of a condition whose matrices are computed.
    """

    def __init__(self, file: Path, part: str):
        self.file = file
        self.part = part

    def __call__(self) -> None:
        require_snapshot(self.file.parent / "code")
        torch.set_flush_denormal(True)
        torch.set_num_threads(min(torch.get_num_threads(), available_cores()))
        configure_logging()
        content = json.loads(self.file.read_text())
        experiments = [_decode_experiment(fields) for fields in content["experiments"]]
        analyses = {e.name: ExperimentAnalysis(e, content["settings"]) for e in experiments}
        analysis = analyses[content["name"]]
        if self.part == "prepare":
            analysis.prepare()
        elif self.part == "select":
            # Jobs of other experiments select the same hyperparameters: the first job stores them.
            with exclusive_lock(analysis.results.path.parent, "results"):
                loaded = [(item, item.load_paired()) for item in analyses.values()]
                comparable = [(item, paired) for item, paired in loaded if paired is not None]
                # Copy them to this experiment only, because other experiments may be running.
                select_for(comparable, [analysis])
        elif self.part == "finish":
            analysis.finish(*analysis.prepare())
        else:
            analysis.compute_distances(self.part)

    def checkpoint(self) -> DelayedSubmission:
        """Return the job that submitit requeues. It skips finished work."""
        return DelayedSubmission(self)


class JobChain:
    """The jobs of one analysis, with a snapshot of the code and a record of the submission.

    Args:
        analysis: the analysis.
        analyses: all analyses that are submitted together.
    """

    def __init__(
        self,
        analysis: ExperimentAnalysis,
        analyses: Sequence[ExperimentAnalysis],
        settings: dict[str, Any],
        launcher: dict[str, Any],
    ):
        name = analysis.experiment.name
        signatures = [condition.signature for condition in analysis.experiment.conditions]
        self.parts = [["prepare"], ["select"], signatures, ["finish"]]
        # Without this option, a job would wait forever after its predecessor failed.
        options = {**(launcher.get("additional_parameters") or {}), "kill_on_invalid_dep": "yes"}
        self.launcher = launcher | {"additional_parameters": options}
        self.python = settings["submit"]["python"]
        self.job_ids: list[str] = []
        no_training: list[list[list[Shard]]] = [[[] for _ in parts] for parts in self.parts]
        self.submission = Submission.new(analysis.results.path, name, no_training, {})
        self.file = self.submission.path / "analysis.json"
        try:
            snapshot_code(self.submission.code)
            fields = [_encode_experiment(item.experiment) for item in analyses]
            content = {"settings": settings, "name": name, "experiments": fields}
            write_atomically(self.file, json.dumps(content, indent=1).encode())
            self.submission.write()
        except BaseException:
            shutil.rmtree(self.submission.path)
            raise

    @property
    def is_complete(self) -> bool:
        """True if all jobs are submitted."""
        return len(self.job_ids) == len(self.parts)

    def submit_first(self) -> None:
        """Submit the first job."""
        self._submit(dependency=None)

    def submit_rest(self, first_jobs: Sequence[str]) -> None:
        """Submit the other jobs.

        Args:
            first_jobs: first jobs of the other chains. The second job waits until they have ended.
        """
        others = f",afterany:{':'.join(first_jobs)}" if first_jobs else ""
        self._submit(dependency=f"afterok:{self.job_ids[-1]}{others}")
        for _ in self.parts[2:]:
            self._submit(dependency=f"afterok:{self.job_ids[-1]}")
        job_ids = ", ".join(self.job_ids)
        print(f"submitted: jobs {job_ids} ({self.submission.path}); scancel stops them", flush=True)

    def _submit(self, dependency: str | None) -> None:
        array = len(self.job_ids)
        self.job_ids.append(
            slurm.submit_array(
                self.submission.array_name(array),
                self.launcher,
                [AnalysisTask(self.file, part) for part in self.parts[array]],
                folder=self.submission.logs(array),
                code=self.submission.code,
                python=self.python,
                after=dependency,
            )
        )


def roll_back(chains: Sequence[JobChain]) -> None:
    """Roll back incomplete submissions: cancel their jobs, and delete the record if no job was submitted."""
    for chain in chains:
        if not chain.job_ids:
            shutil.rmtree(chain.submission.path)
        elif not chain.is_complete:
            chain.submission.mark_cancelled()
            # The caller raises the error that stopped the submission. An error of SLURM must not replace it.
            with contextlib.suppress(BadInputError):
                arrays = slurm.jobs_named(chain.submission.array_names)
                slurm.cancel([job for jobs in arrays.values() for job in jobs.values() if job.is_active])


def _encode_experiment(experiment: Experiment) -> dict[str, Any]:
    """Convert an experiment to JSON types."""
    fields = {field.name: getattr(experiment, field.name) for field in dataclasses.fields(experiment)}
    conditions = {part: [condition.config for condition in fields[part]] for part in ("baseline", "swept")}
    return fields | conditions


def _decode_experiment(fields: dict[str, Any]) -> Experiment:
    """Convert JSON types to an experiment."""
    conditions = {
        part: [Condition.from_config(config) for config in fields[part]] for part in ("baseline", "swept")
    }
    return Experiment(**fields | conditions)
