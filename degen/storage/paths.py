"""Paths of the files in a run folder."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class RunPaths:
    """Paths of the files in a run folder, or in one of its shards.

    Attributes:
        root: the run folder.
        shard_seeds: seeds of the shard; None for the whole folder.

    Examples:
        >>> paths = RunPaths(Path("runs/flip_flop/3bit"), shard_seeds=[8, 9])
        >>> paths.checkpoint.as_posix()
        'runs/flip_flop/3bit/shares/00008-00009/checkpoint.safetensors'
        >>> paths.network(8).as_posix()
        'runs/flip_flop/3bit/networks/00008.safetensors'
    """

    root: Path
    shard_seeds: Sequence[int] | None = None

    @property
    def shard_path(self) -> Path:
        """Folder of the shard's checkpoint, manifest and lock; `root` for the whole folder."""
        if self.shard_seeds is None:
            return self.root
        return self.root / "shares" / f"{min(self.shard_seeds):05d}-{max(self.shard_seeds):05d}"

    @property
    def condition(self) -> Path:
        """File of the resolved condition."""
        return self.root / "condition.yaml"

    @property
    def networks(self) -> Path:
        """Folder of the finished networks."""
        return self.root / "networks"

    def network(self, seed: int) -> Path:
        """Return the file of a finished network."""
        return self.networks / f"{seed:05d}.safetensors"

    def finished_seeds(self) -> list[int]:
        """Return the seeds of the finished networks in ascending order."""
        files = self.networks.glob("*.safetensors")
        return sorted(int(file.stem) for file in files if re.fullmatch(r"\d{5,}", file.stem))

    @property
    def snapshots(self) -> Path:
        """Folder of the snapshots."""
        return self.root / "snapshots"

    def snapshot(self, seed: int, epoch: int) -> Path:
        """Return the file of the weights of a network after an epoch."""
        return self.snapshots / f"{seed:05d}-{epoch:05d}.safetensors"

    def snapshot_epochs(self, seed: int) -> list[int]:
        """Return the epochs of the snapshots of a network in ascending order."""
        files = self.snapshots.glob(f"{seed:05d}-*.safetensors")
        epochs = [file.stem.partition("-")[2] for file in files]
        return sorted(int(epoch) for epoch in epochs if re.fullmatch(r"\d{5,}", epoch))

    @property
    def checkpoint(self) -> Path:
        """Checkpoint of the shard."""
        return self.shard_path / "checkpoint.safetensors"

    @property
    def retraining(self) -> Path:
        """Folder in which the shard trains finished networks again."""
        return self.shard_path / "retraining"

    @property
    def manifest(self) -> Path:
        """Manifest of the shard."""
        return self.shard_path / "manifest.json"

    @property
    def lock(self) -> Path:
        """Lock file of the shard."""
        return self.shard_path / "claim"

    @property
    def whole_folder_lock(self) -> Path:
        """Lock file of the whole folder, which shards hold together."""
        return self.root / "claim"

    def in_all_shards(self, name: str) -> list[Path]:
        """Return the existing files with this name: in the run folder and in each shard.

        A link to a missing file is one of them: its content may be needed, but is not here.
        """
        files = (self.root / name, *self.root.glob(f"shares/*/{name}"))
        return [file for file in files if os.path.lexists(file)]
