"""Train a condition, a sweep (`-m`) or an experiment. Finished networks are skipped.

Examples:
    degen train task=flip_flop task.channels=2 width=64 scale=reduced
    degen train task=delayed_discrimination parameterization=mup gamma=2 seeds=50
    degen train -m gamma=0.5,1,2 task.channels=1,2 parameterization=mup seeds=8
    degen train experiment=demo
    degen train --config-dir my_conf task=my_task

Fields and their defaults are in conf/train.yaml and in the groups of conf/: task, parameterization, width,
gamma, regularizer, scale and experiment. `--cfg job` prints the composed configuration.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import signal
import subprocess
from collections.abc import Sequence
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from degen.condition import Condition
from degen.locks import LockedError
from degen.storage import RunFolder
from degen.training import Ensemble, History, train
from launch.checkpointer import Checkpointer
from launch.cli import entrypoint
from launch.config import in_launcher_job, resolved
from launch.device import prepare_device, prepare_torch, resolve_device
from launch.experiment import conditions
from launch.progress import Progress
from launch.provenance import changes_since, code_digests
from launch.retraining import RetrainingCheckpointer, move_snapshots
from launch.settings import TrainSettings, check_run_folders, parse_seeds, parse_snapshots
from launch.signals import Interrupted, interruptible

logger = logging.getLogger(__name__)


def run_training(config: DictConfig) -> None:
    """Train one condition, or every condition of an experiment in turn.

    Outside a job, a condition that another process is training is skipped.
    """
    prepare_torch()
    settings, seeds, folders = check_training(resolved(config), HydraConfig.get().overrides.task)
    device = resolve_device(settings.device)
    prepare_device(device, settings.tf32)
    snapshots = parse_snapshots(settings.snapshots)
    for folder in folders:
        # Do not write to a finished folder: it may belong to a colleague and be read-only.
        if set(seeds) - set(folder.complete_seeds(snapshots)):
            folder.create(bytes_needed=bytes_needed(folder.condition, len(seeds), len(snapshots)))
    for number, folder in enumerate(folders, start=1):
        progress_prefix = f"[{number}/{len(folders)}] " if len(folders) > 1 else ""
        try:
            train_condition(
                folder, seeds, device, settings.checkpoint_seconds, progress_prefix, snapshots=snapshots
            )
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
    *,
    snapshots: Sequence[int] = (),
) -> None:
    """Train the seeds that are not finished, from a checkpoint if there is one.

    Args:
        progress_prefix: text before each progress line.
        snapshots: epochs after which the weights are stored. Finished networks without them are trained
            again.

    Raises:
        LockedError: another process trains in this folder.
        BadInputError: a network that is trained again does not end in the same bits.
    """
    title = f"{progress_prefix}{folder.path}"
    warn_of_changes(folder, title)
    if not set(seeds) - set(folder.complete_seeds(snapshots)):
        logger.info("%s: all %d networks are finished", title, len(seeds))
        return
    try:
        with folder.lock():
            ensemble, inactive = _resume_or_create(folder, seeds, device)
            if len(ensemble):
                options = folder, ensemble, inactive, checkpoint_seconds, snapshots
                _train(folder.condition, ensemble, Checkpointer(*options), title)
            # Repeatedly: a resumed training may have passed some of the epochs.
            while lacking := sorted(set(seeds) - set(folder.complete_seeds(snapshots))):
                _train_again(folder, lacking, device, checkpoint_seconds, snapshots, title)
    except Interrupted as interrupted:
        logger.info("%s: interrupted and saved; run the same command again to resume", title)
        if interrupted.code == 128 + signal.SIGUSR2:
            # Everything is saved: raise SIGUSR2 again so that submitit's handler requeues the job.
            try:
                signal.raise_signal(signal.SIGUSR2)
            except (OSError, subprocess.SubprocessError) as error:
                logger.info("%s: this job could not be requeued; submit it again (%s)", title, error)
        raise


def _train_again(
    folder: RunFolder,
    seeds: list[int],
    device: torch.device,
    checkpoint_seconds: float,
    snapshots: Sequence[int],
    title: str,
) -> None:
    """Train finished networks again, and store their snapshots if they end in the same bits."""
    again = folder.retraining()
    again.create(bytes_needed=0)
    with again.lock():
        ensemble, inactive = _resume_or_create(again, seeds, device)
        if len(ensemble):
            options = again, ensemble, inactive, checkpoint_seconds, snapshots
            purpose = " again, for their snapshots"
            _train(folder.condition, ensemble, RetrainingCheckpointer(folder, *options), title, purpose)
    move_snapshots(again, folder)


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
    create = functools.partial(Ensemble.new, device=device, dtype=condition.dtype)
    if saved is None:
        return create(fresh, condition.task, condition.model), None
    ensemble = saved.select(resumed).to(device)
    if fresh:  # a network of the user need not be able to initialize zero seeds
        ensemble = ensemble.join(create(fresh, condition.task, condition.model))
    inactive = [i for i in range(len(saved)) if i not in set(resumed)]
    return ensemble, saved.select(inactive)


def _train(
    condition: Condition, ensemble: Ensemble, checkpointer: Checkpointer, title: str, purpose: str = ""
) -> None:
    progress = Progress(title, condition.training, len(ensemble), purpose)

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


def bytes_needed(condition: Condition, seeds: int, n_snapshots: int) -> int:
    """Return the disk space of a run folder.

    A network file contains three sets of weights, and each of two checkpoints contains five. A snapshot
    contains one. All contain the history.
    """
    network = Ensemble.new([0], condition.task, condition.model, dtype=condition.dtype)
    size = sum(weights.numel() * weights.element_size() for weights in network.initial.values())
    epochs = condition.training.max_epochs + condition.training.settle_epochs
    history = 8 * len(dataclasses.fields(History)) * epochs
    return seeds * ((13 + n_snapshots) * size + (3 + n_snapshots) * history) + 2**20


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    entrypoint("train", run_training, needs_arguments=True)()


if __name__ == "__main__":
    main()
