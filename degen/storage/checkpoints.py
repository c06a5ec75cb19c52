"""The checkpoints of a run folder: the networks in training at the end of an epoch."""

from __future__ import annotations

import dataclasses
import functools
from contextlib import suppress
from pathlib import Path

from degen.errors import require
from degen.files import read_metadata, write_tensors
from degen.networks import checkpoint_tensors, ensemble_from
from degen.storage.network_files import read_signed_tensors
from degen.storage.paths import RunPaths
from degen.training import Ensemble


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a run folder, one file for the whole folder and one per shard.

    Attributes:
        paths: the shard whose checkpoint is written.
        signature: of the condition.
    """

    paths: RunPaths
    signature: str

    def write(self, ensemble: Ensemble) -> None:
        """Store the networks in training, and delete checkpoints that are no longer needed."""
        if len(ensemble):
            metadata = {"signature": self.signature, "seeds": ensemble.seeds}
            write_tensors(self.paths.checkpoint, checkpoint_tensors(ensemble), metadata)
        else:
            self.paths.checkpoint.unlink(missing_ok=True)
        self._remove_outdated()

    def _remove_outdated(self) -> None:
        """Delete checkpoints without unfinished networks; for the whole folder also those of all shards."""
        finished = set(self.paths.finished_seeds())
        for file in self._files():
            replaced = self.paths.shard_seeds is None and file != self.paths.checkpoint
            with suppress(FileNotFoundError):
                if replaced or finished.issuperset(read_metadata(file).get("seeds", [None])):
                    file.unlink()

    def read(self) -> Ensemble | None:
        """Return the latest state of each unfinished network, or None if there is no checkpoint.

        A shard returns only its own seeds, but reads the checkpoints of the whole folder and of all shards.
        If several checkpoints contain a network, the state with the most epochs is returned.

        Raises:
            BadInputError: a file is damaged or altered, or belongs to another condition.
        """
        ensembles = []
        for file in self._files():
            with suppress(FileNotFoundError):  # another process may delete it now
                ensembles.append(self._read_file(file))
        if not ensembles:
            return None
        saved = functools.reduce(Ensemble.join, ensembles)
        return saved.select(self._latest_unfinished(saved))

    def _latest_unfinished(self, saved: Ensemble) -> list[int]:
        """Return the positions of the latest state of each unfinished network of this shard."""
        seeds = set(saved.seeds if self.paths.shard_seeds is None else self.paths.shard_seeds)
        seeds -= set(self.paths.finished_seeds())
        positions = [i for i, seed in enumerate(saved.seeds) if seed in seeds]
        by_epochs = sorted(positions, key=lambda i: len(saved.histories[i]))
        latest = {saved.seeds[i]: i for i in by_epochs}
        return [i for i in positions if latest[saved.seeds[i]] == i]

    def _files(self) -> list[Path]:
        return self.paths.in_all_shards(self.paths.checkpoint.name)

    def _read_file(self, file: Path) -> Ensemble:
        tensors, metadata = read_signed_tensors(file, self.signature)
        require("seeds" in metadata, str(file), metadata, "a checkpoint")
        return ensemble_from(tensors, metadata["seeds"])
