"""Hydra callbacks of `launch.train -m`: checks before a sweep starts, and exit codes of failed jobs."""

from __future__ import annotations

import atexit
import os
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from degen.errors import require
from launch.cli import exit_on_user_error
from launch.config import compose, expand_sweep, in_launcher_job, launcher_settings
from launch.slurm import client as slurm
from launch.train import check_training


class CheckedSweep(Callback):
    """Checks every job of a sweep before Hydra starts the first, so that a sweep is rejected as a whole."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Check the sweep, and end the process if it cannot run."""
        # Hydra turns exceptions of a callback into warnings, except for the end of the process.
        with exit_on_user_error():
            jobs = expand_sweep(list(config.hydra.overrides.task))
            for overrides in jobs:
                check_training(compose("train", overrides), overrides)
            name, launcher = launcher_settings(config)
            if slurm.is_for_slurm(launcher):
                slurm.require_accepted(name, launcher)
                _require_fits_in_array(len(jobs))


def _require_fits_in_array(n_jobs: int) -> None:
    limit = slurm.max_array_size()
    allowed = f"of at most {limit} jobs, this cluster's MaxArraySize (degen submit splits a larger sweep)"
    require(n_jobs <= limit, "a sweep", f"{n_jobs} jobs", allowed)


class FailedJob(Callback):
    """Ends a failed job of a launcher with code 1, so that SLURM lists it as failed."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Set the exit code. The process ends by itself, once the job's result is stored."""
        if job_return.status == JobStatus.FAILED and in_launcher_job():
            atexit.register(os._exit, 1)
