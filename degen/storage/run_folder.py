"""The run folder of a condition."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from degen.condition import Condition
from degen.errors import BadInputError, require
from degen.files import remove_temporary_files, require_atomic_renames
from degen.locks import LockedError, hold_lock, is_locked_on_this_host
from degen.storage.checkpoints import Checkpoints
from degen.storage.condition_file import read_condition, write_condition
from degen.storage.manifest import Manifest
from degen.storage.network_files import NetworkFiles
from degen.storage.paths import RunPaths
from degen.storage.snapshots import Snapshots


class RunFolder:
    """The run folder of a condition, as a whole or one shard of it: the seeds that one job trains.

    Attributes:
        path: the folder.
        paths: the files in it.
        networks: its finished networks.
        snapshots: weights of its networks along training.
        checkpoints: its networks in training.
        manifest: its training sessions.
    """

    def __init__(self, path: Path, condition: Condition, shard_seeds: Sequence[int] | None = None):
        """Refer to a folder, which need not exist yet.

        Args:
            shard_seeds: seeds of the shard; None for the whole folder.
        """
        self.path = path
        self.condition = condition
        self.paths = RunPaths(path, shard_seeds)
        self.networks = NetworkFiles(self.paths, condition)
        self.snapshots = Snapshots(self.paths, condition)
        self.checkpoints = Checkpoints(self.paths, condition.signature)
        self.manifest = Manifest(self.paths, condition.signature)

    @classmethod
    def of(cls, runs: Path, condition: Condition) -> RunFolder:
        """Return the folder of a condition below `runs`, which need not exist yet.

        An existing folder is found by its signature; its label may be any.
        """
        folders = sorted((runs / condition.task_name).glob(f"*-{condition.signature}"))
        existing = next((path for path in folders if os.path.exists(RunPaths(path).condition)), None)
        path = runs / condition.task_name / condition.name
        return cls(path, condition) if existing is None else cls.open(existing)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Return an existing folder.

        Raises:
            BadInputError: there is no run folder, its condition cannot be read, or its name does not end
                with the signature of the condition.
        """
        condition = read_condition(RunPaths(path).condition)
        allowed = f"named with the signature {condition.signature} of its contents"
        is_named = path.resolve().name.rpartition("-")[2] == condition.signature
        require(is_named, "run folder", path.name, allowed)
        return cls(path, condition)

    def shard(self, seeds: Sequence[int]) -> RunFolder:
        """Return the shard of a process that trains these seeds while others train other seeds.

        A shard has its own checkpoint, manifest and lock. It resumes from the checkpoints of all shards.
        """
        return RunFolder(self.path, self.condition, seeds)

    def retraining(self) -> RunFolder:
        """Return the folder in which this process trains finished networks again, for their snapshots.

        The sessions are recorded in the manifest of this folder.
        """
        again = RunFolder(self.paths.retraining, self.condition)
        again.manifest = self.manifest
        return again

    def create(self, bytes_needed: int) -> None:
        """Create missing folders and check that files can be written to them.

        Raises:
            BadInputError: the disk has not enough space or no atomic renames, in which case no folder is
                created, or permission is missing.
        """
        require_atomic_renames("runs", self.path)
        existing = next(folder for folder in (self.path, *self.path.parents) if os.path.isdir(folder))
        shard_path = self.paths.shard_path
        try:
            free = shutil.disk_usage(existing).free
            allowed = f"on a disk with {bytes_needed:,} bytes free (it has {free:,})"
            require(free >= bytes_needed, "runs", str(self.path), allowed)
            for folder in (self.paths.networks, shard_path):
                folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.path, self.paths.networks, shard_path):
                tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise BadInputError(
                f"runs must be a folder that can be written to, got {self.path} ({error.strerror})."
            ) from error

    def validate(self) -> None:
        """Read every file.

        Raises:
            BadInputError: a file is damaged or altered, or belongs to another condition.
        """
        for seed in self.finished_seeds():
            self.snapshots.validate(self.networks.read(seed))
        self.checkpoints.read()
        self.manifest.read()

    def finished_seeds(self) -> list[int]:
        """Return the seeds of the finished networks in ascending order."""
        return self.paths.finished_seeds()

    def complete_seeds(self, epochs: Sequence[int]) -> list[int]:
        """Return the seeds of the finished networks that have snapshots at all of these epochs.

        A network has no snapshots after the end of its training.
        """
        seeds = self.finished_seeds()
        if not any(epochs):  # the network file contains the initial weights
            return seeds
        return [seed for seed in seeds if not self.snapshots.missing(self.networks.read(seed), epochs)]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder, or the shard, for training. Only the process with the lock writes files there.

        The operating system releases the lock when the process ends.

        Raises:
            LockedError: another process, which the message names, has the lock.
        """
        seeds = self.paths.shard_seeds
        with ExitStack() as locks:
            try:
                if seeds is not None:
                    locks.enter_context(hold_lock(self.paths.whole_folder_lock, shared=True))
                locks.enter_context(hold_lock(self.paths.lock, shared=False))
            except LockedError as error:
                raise LockedError(f"{self.path} is being trained by {error}") from None
            remove_temporary_files(self.paths.shard_path)
            # Other shards may be writing files of their seeds.
            for name in [""] if seeds is None else [f"{seed:05d}" for seed in seeds]:
                remove_temporary_files(self.paths.networks, name and f"{name}.")
                remove_temporary_files(self.paths.snapshots, name and f"{name}-")
            self.store_condition()
            yield

    def store_condition(self) -> None:
        """Write the condition file, unless it exists."""
        if not self.paths.condition.exists():
            write_condition(self.paths.condition, self.condition)

    def is_locked(self) -> bool:
        """Return whether a process on this machine trains here. Other machines are not checked."""
        return any(is_locked_on_this_host(lock) for lock in self.paths.in_all_shards(self.paths.lock.name))
