"""Train a condition, a sweep (`-m`) or an experiment. Finished networks are not trained again.

Examples:
    python -m launch.train task=flip_flop task.channels=2 width=64 scale=reduced
    python -m launch.train task=delayed_discrimination parameterization=mup gamma=2 seeds=50
    python -m launch.train -m gamma=0.5,1,2 task.channels=1,2 parameterization=mup seeds=8
    python -m launch.train experiment=demo
    python -m launch.train --config-dir my_conf task=my_task

Fields and their defaults: conf/train.yaml and the groups task, parameterization, width, gamma, regularizer,
scale and experiment in conf/. `--cfg job` prints the composed configuration.
"""

from __future__ import annotations

import atexit
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from degen.condition import Condition
from degen.errors import require, require_number
from degen.locks import ClaimedError
from degen.storage import RunFolder
from degen.tasks.contract import require_valid
from degen.training import Ensemble, History, train
from launch.cli import (
    compose,
    entrypoint,
    grid,
    launcher_of,
    one_sentence_ends,
    require_folder,
    resolved,
)
from launch.device import prepare_device, prepare_torch, resolve_device
from launch.experiment import conditions, parse_seeds
from launch.progress import Progress
from launch.signals import Interrupted, interruptible
from launch.slurm import client as slurm
from launch.training_record import Session, changes_since, code_digests


def job(config: DictConfig) -> None:
    """What Hydra calls: one condition, or every condition of an experiment in turn."""
    prepare_torch()
    settings = resolved(config)
    folders = checked(settings, HydraConfig.get().overrides.task)
    seeds, device = parse_seeds(settings["seeds"]), resolve_device(settings["device"])
    prepare_device(device, settings["tf32"])
    for folder in folders:
        # A finished one may be a colleague's, who lets others read.
        if set(seeds) - set(folder.finished_seeds()):
            folder.create(bytes_needed=bytes_needed(folder.condition, len(seeds)))
    for number, folder in enumerate(folders, start=1):
        place = f"[{number}/{len(folders)}] " if len(folders) > 1 else ""
        try:
            train_condition(folder, seeds, device, settings["checkpoint_seconds"], place)
        except ClaimedError as claimed:
            if "SUBMITIT_EXECUTOR" in os.environ:
                raise  # a launcher's job that trains nothing has failed
            print(f"{place}{claimed}: nothing is done here", flush=True)


def checked(settings: dict[str, Any], overrides: Sequence[str]) -> list[RunFolder]:
    """The run folders of a configuration, everything that can be refused looked at, nothing made.

    Args:
        overrides: those of the command line that `settings` were composed with.

    Raises:
        BadInputError: a setting is not allowed, or a folder is damaged.
    """
    resolve_device(settings["device"])
    require(isinstance(settings["tf32"], bool), "tf32", settings["tf32"], "true or false")
    require_number("checkpoint_seconds", settings["checkpoint_seconds"], minimum=0.0)
    parse_seeds(settings["seeds"])
    require_folder("runs", settings["runs"])
    found = conditions(settings, overrides)
    for condition in found:
        require_valid(condition.task, condition.dtype)
    folders = [RunFolder.of(Path(settings["runs"]), condition) for condition in found]
    for folder in folders:
        folder.validate()
    return folders


class CheckedSweep(Callback):
    """A sweep is refused as a whole: every job of it is checked before Hydra starts the first."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        # Hydra takes what a callback raises for a warning, but for the end of the process.
        with one_sentence_ends():
            jobs = grid(list(config.hydra.overrides.task))
            for overrides in jobs:
                checked(compose("train", overrides), overrides)
            name, launcher = launcher_of(config)
            if slurm.is_for_slurm(launcher):
                slurm.require_accepted(name, launcher)
                limit, allowed = slurm.max_array_size(), "of as many jobs as this cluster puts in an array"
                require(
                    len(jobs) <= limit,
                    "a sweep",
                    f"{len(jobs)} jobs",
                    f"{allowed} ({limit}; launch.submit makes several)",
                )


class FailedJob(Callback):
    """A launcher's job that failed ends with code 1, once its result is stored: SLURM then says so, too."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        if job_return.status == JobStatus.FAILED and "SUBMITIT_EXECUTOR" in os.environ:
            atexit.register(os._exit, 1)


def train_condition(
    folder: RunFolder, seeds: list[int], device: torch.device, checkpoint_seconds: float, place: str = ""
) -> None:
    """Train the seeds that are missing, going on from a checkpoint where there is one.

    Args:
        place: what stands before each line of progress.

    Raises:
        ClaimedError: another process trains there.
    """
    title = f"{place}{folder.path}"
    _warn_of_changes(folder, title)
    if not set(seeds) - set(folder.finished_seeds()):
        print(f"{title}: all {len(seeds)} networks are there", flush=True)
        return
    try:
        with folder.lock():
            ensemble, set_aside = _gather(folder, seeds, device)
            if len(ensemble):
                _train(folder, ensemble, set_aside, checkpoint_seconds, title)
    except Interrupted as interrupted:
        print(f"{title}: interrupted and stored; the same command goes on", flush=True)
        if interrupted.code == 128 + signal.SIGUSR2:
            # To whom it is meant for, now that all is stored: submitit's handler requeues the job.
            try:
                signal.raise_signal(signal.SIGUSR2)
            except (OSError, subprocess.SubprocessError) as error:
                print(f"{title}: this job is not requeued, submit again ({error})", flush=True)
        raise


def _warn_of_changes(folder: RunFolder, title: str) -> None:
    """Warn if networks of a folder were trained by other code than today's."""
    changes = changes_since(folder.manifest.read(), code_digests(folder.condition))
    if changes:
        words = f"{' and '.join(changes)} changed since networks here were trained"
        print(f"warning: {title}: {words}; they may not be comparable", file=sys.stderr, flush=True)


def _gather(folder: RunFolder, seeds: list[int], device: torch.device) -> tuple[Ensemble, Ensemble | None]:
    """The networks to train, resumed or new, and those of the checkpoint that nobody asked for now."""
    condition = folder.condition
    missing = [seed for seed in seeds if seed not in set(folder.finished_seeds())]
    saved = folder.checkpoints.read()
    resumed = [] if saved is None else [i for i, seed in enumerate(saved.seeds) if seed in set(missing)]
    started = set() if saved is None else {saved.seeds[i] for i in resumed}
    fresh = [seed for seed in missing if seed not in started]
    ensemble = Ensemble.new(fresh, condition.task, condition.model, device=device, dtype=condition.dtype)
    if saved is None:
        return ensemble, None
    kept = [i for i in range(len(saved)) if i not in set(resumed)]
    return saved.select(resumed).to(device).join(ensemble), saved.select(kept)


def _train(
    folder: RunFolder,
    ensemble: Ensemble,
    set_aside: Ensemble | None,
    checkpoint_seconds: float,
    title: str,
) -> None:
    condition = folder.condition
    session = Session(folder, ensemble)
    progress = Progress(title, condition.training, len(ensemble))
    latest, saved_at = ensemble.select(range(len(ensemble))), time.monotonic()

    def checkpoint() -> None:
        folder.checkpoints.write(latest if set_aside is None else latest.to("cpu").join(set_aside))
        session.store(latest)

    def on_epoch(running: Ensemble, done: Ensemble) -> None:
        nonlocal latest, saved_at
        for member in range(len(done)):
            folder.networks.write(done, member)
        latest = running.select(range(len(running)))
        session.count_epoch()
        if len(done) or time.monotonic() - saved_at >= checkpoint_seconds:
            checkpoint()
            saved_at = time.monotonic()
        progress.epoch(running, done)

    with interruptible(checkpoint) as check_interrupt, progress:
        try:
            train(
                ensemble,
                condition.task,
                condition.model,
                condition.training,
                condition.regularizer,
                check_interrupt=check_interrupt,
                on_epoch=on_epoch,
            )
            check_interrupt()  # a signal in the last epoch: the next condition is not to start
        except Interrupted:
            checkpoint()
            raise


def bytes_needed(condition: Condition, seeds: int) -> int:
    """Return the space of a run folder.

    A network file holds three sets of weights, each of two checkpoints five. All three hold the history.
    """
    one = Ensemble.new([0], condition.task, condition.model, dtype=condition.dtype)
    size = sum(weights.numel() * weights.element_size() for weights in one.initial.values())
    epochs = condition.training.max_epochs + condition.training.settle_epochs
    return seeds * (13 * size + 3 * 8 * len(dataclasses.fields(History)) * epochs) + 2**20


def main() -> None:
    """The command line."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    entrypoint("train", job, needs_arguments=True)()


if __name__ == "__main__":
    main()
