"""Train a condition, a sweep (`-m`) or an experiment. Finished networks are skipped.

Examples:
    python -m launch.train task=flip_flop task.channels=2 width=64 scale=reduced
    python -m launch.train task=delayed_discrimination parameterization=mup gamma=2 seeds=50
    python -m launch.train -m gamma=0.5,1,2 task.channels=1,2 parameterization=mup seeds=8
    python -m launch.train experiment=demo
    python -m launch.train --config-dir my_conf task=my_task

Fields and their defaults are in conf/train.yaml and in the groups of conf/: task, parameterization, width,
gamma, regularizer, scale and experiment. `--cfg job` prints the composed configuration.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from degen.condition import Condition
from degen.locks import LockedError
from degen.storage import RunFolder
from degen.training import Ensemble, History, train
from launch.cli import entrypoint
from launch.config import in_launcher_job, resolved
from launch.device import prepare_device, prepare_torch, resolve_device
from launch.experiment import conditions
from launch.progress import Progress
from launch.provenance import changes_since, code_digests
from launch.settings import TrainSettings, check_run_folders, parse_seeds
from launch.signals import Interrupted, interruptible
from launch.training_record import TrainingRecord

logger = logging.getLogger(__name__)


def run_training(config: DictConfig) -> None:
    """Train one condition, or every condition of an experiment in turn.

    Outside a job, a condition that another process is training is skipped.
    """
    prepare_torch()
    settings, seeds, folders = check_training(resolved(config), HydraConfig.get().overrides.task)
    device = resolve_device(settings.device)
    prepare_device(device, settings.tf32)
    for folder in folders:
        # Do not write to a finished folder: it may belong to a colleague and be read-only.
        if set(seeds) - set(folder.finished_seeds()):
            folder.create(bytes_needed=bytes_needed(folder.condition, len(seeds)))
    for number, folder in enumerate(folders, start=1):
        progress_prefix = f"[{number}/{len(folders)}] " if len(folders) > 1 else ""
        try:
            train_condition(folder, seeds, device, settings.checkpoint_seconds, progress_prefix)
        except LockedError as error:
            if in_launcher_job():
                raise  # a job that trains nothing must fail
            logger.info("%s%s: skipped", progress_prefix, error)


def check_training(
    config: dict[str, Any], overrides: Sequence[str]
) -> tuple[TrainSettings, list[int], list[RunFolder]]:
    """Check everything that can be checked before training; nothing is written.

    Args:
        config: `conf/train.yaml`, resolved.
        overrides: the overrides that `config` was composed with.

    Returns:
        Settings, seeds, and the run folder of each condition.

    Raises:
        BadInputError: a setting is not allowed, or a run folder is damaged.
    """
    settings = TrainSettings.from_config(config)
    resolve_device(settings.device)
    seeds = parse_seeds(config["seeds"])
    return settings, seeds, check_run_folders(conditions(config, overrides), settings.runs)


def train_condition(
    folder: RunFolder,
    seeds: list[int],
    device: torch.device,
    checkpoint_seconds: float,
    progress_prefix: str = "",
) -> None:
    """Train the seeds that are not finished, from a checkpoint if there is one.

    Args:
        progress_prefix: text before each progress line.

    Raises:
        LockedError: another process trains in this folder.
    """
    title = f"{progress_prefix}{folder.path}"
    warn_of_changes(folder, title)
    if not set(seeds) - set(folder.finished_seeds()):
        logger.info("%s: all %d networks are finished", title, len(seeds))
        return
    try:
        with folder.lock():
            ensemble, inactive = _resume_or_create(folder, seeds, device)
            if len(ensemble):
                _train(folder, ensemble, Checkpointer(folder, ensemble, inactive, checkpoint_seconds), title)
    except Interrupted as interrupted:
        logger.info("%s: interrupted and saved; run the same command again to resume", title)
        if interrupted.code == 128 + signal.SIGUSR2:
            # Everything is saved: raise SIGUSR2 again so that submitit's handler requeues the job.
            try:
                signal.raise_signal(signal.SIGUSR2)
            except (OSError, subprocess.SubprocessError) as error:
                logger.info("%s: this job could not be requeued; submit it again (%s)", title, error)
        raise


def warn_of_changes(folder: RunFolder, title: str) -> None:
    """Warn if networks in a folder were trained with other code than the code in use."""
    changes = changes_since(folder.manifest.read(), code_digests(folder.condition))
    if changes:
        subject = " and ".join(changes)
        logger.warning(
            "%s: %s changed since networks here were trained; they may not be comparable", title, subject
        )


def _resume_or_create(
    folder: RunFolder, seeds: list[int], device: torch.device
) -> tuple[Ensemble, Ensemble | None]:
    """Return the networks to train, and the inactive networks of the checkpoint, which are not requested."""
    condition = folder.condition
    missing = [seed for seed in seeds if seed not in set(folder.finished_seeds())]
    saved = folder.checkpoints.read()
    resumed = [] if saved is None else [i for i, seed in enumerate(saved.seeds) if seed in set(missing)]
    started = set() if saved is None else {saved.seeds[i] for i in resumed}
    fresh = [seed for seed in missing if seed not in started]
    ensemble = Ensemble.new(fresh, condition.task, condition.model, device=device, dtype=condition.dtype)
    if saved is None:
        return ensemble, None
    inactive = [i for i in range(len(saved)) if i not in set(resumed)]
    return saved.select(resumed).to(device).join(ensemble), saved.select(inactive)


class Checkpointer:
    """Stores an ensemble while it trains: finished networks, checkpoints, and the training record.

    Args:
        folder: where they are stored.
        ensemble: the networks to train.
        inactive: further networks that the checkpoint must keep.
        interval_s: longest time between checkpoints, in seconds.
    """

    def __init__(
        self, folder: RunFolder, ensemble: Ensemble, inactive: Ensemble | None, interval_s: float
    ) -> None:
        self.folder = folder
        self.inactive = inactive
        self.interval_s = interval_s
        self.record = TrainingRecord(folder, ensemble)
        self.latest = ensemble.select(range(len(ensemble)))
        self.saved_at = time.monotonic()

    def __call__(self, running: Ensemble, done: Ensemble) -> None:
        """Store what an epoch finished.

        Args:
            running: the networks that train on.
            done: the networks that ended in this epoch.
        """
        for member in range(len(done)):
            self.folder.networks.write(done, member)
        self.latest = running.select(range(len(running)))
        self.record.count_epoch()
        if len(done) or time.monotonic() - self.saved_at >= self.interval_s:
            self.save()

    def save(self) -> None:
        """Write a checkpoint of the latest epoch."""
        latest = self.latest
        self.folder.checkpoints.write(
            latest if self.inactive is None else latest.to("cpu").join(self.inactive)
        )
        self.record.store(latest)
        self.saved_at = time.monotonic()


def _train(folder: RunFolder, ensemble: Ensemble, checkpointer: Checkpointer, title: str) -> None:
    condition = folder.condition
    progress = Progress(title, condition.training, len(ensemble))

    def on_epoch(running: Ensemble, done: Ensemble) -> None:
        checkpointer(running, done)
        progress.update(running, done)

    with interruptible(checkpointer.save) as check_interrupt, progress:
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
            check_interrupt()  # after a signal in the last epoch, the next condition must not start
        except Interrupted:
            checkpointer.save()
            raise


def bytes_needed(condition: Condition, seeds: int) -> int:
    """Return the disk space of a run folder.

    A network file contains three sets of weights, and each of two checkpoints contains five. All three
    contain the history.
    """
    network = Ensemble.new([0], condition.task, condition.model, dtype=condition.dtype)
    size = sum(weights.numel() * weights.element_size() for weights in network.initial.values())
    epochs = condition.training.max_epochs + condition.training.settle_epochs
    return seeds * (13 * size + 3 * 8 * len(dataclasses.fields(History)) * epochs) + 2**20


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    entrypoint("train", run_training, needs_arguments=True)()


if __name__ == "__main__":
    main()
