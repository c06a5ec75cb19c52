"""The run folder of a condition: every file name and format (DESIGN, contracts 1, 3 and 4).

    runs/<task>/<label>-<signature>/
        condition.yaml              what is trained, resolved; its signature; format and version that wrote it
        networks/<seed>.safetensors a finished network: weights at the start, at convergence and after
                                    settling, history, status
        checkpoint.safetensors      the networks in training, at the end of an epoch
        manifest.json               sessions: versions, git commit, device, costs
        claim                       locked by the process that trains here
        shares/<first>-<last>/      checkpoint, manifest and claim of a process that trains some of the seeds

A network is finished when its file is there. Nothing is unpickled.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import yaml

from degen.condition import Condition
from degen.errors import BadInputError, require
from degen.files import (
    read_metadata,
    read_tensors,
    remove_parts,
    require_atomic_renames,
    write_atomically,
    write_tensors,
)
from degen.locks import LockedError, hold_lock, is_locked_on_this_host
from degen.networks import Network, checkpoint_tensors, ensemble_from, network_tensors
from degen.training import Ensemble, status
from degen.versions import VERSION

FORMAT = 2
"""Of run folders. Raised when a folder can no longer be read as before."""


class RunFolder:
    """The files of one condition.

    Args:
        path: of the folder.
        share: the seeds of a process that trains beside others; None for one that trains alone.

    Raises:
        BadInputError: the folder belongs to another condition.
    """

    def __init__(self, path: Path, condition: Condition, share: Sequence[int] | None = None):
        self.path = path
        self.condition = condition
        self.seeds = share
        self.own = path if share is None else path / "shares" / f"{min(share):05d}-{max(share):05d}"

    def share(self, seeds: Sequence[int]) -> RunFolder:
        """The same folder for a process that trains these seeds, beside others that train others.

        It has a checkpoint, a manifest and a claim of its own, and goes on from the checkpoints of all.
        """
        return RunFolder(self.path, self.condition, seeds)

    @classmethod
    def of(cls, runs: Path, condition: Condition) -> RunFolder:
        """Return the folder of a condition below `runs`; it need not exist yet.

        An existing folder is found by its signature, whatever label it was given.
        """
        folders = sorted((runs / condition.task_name).glob(f"*-{condition.signature}"))
        existing = next((path for path in folders if os.path.exists(path / "condition.yaml")), None)
        path = runs / condition.task_name / condition.name
        return cls(path, condition) if existing is None else cls.open(existing)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Return an existing folder; its name must end with the signature of what it holds."""
        file = path / "condition.yaml"
        require(file.is_file(), "run folder", str(path), "a folder with a condition.yaml")
        condition, signature = _read_condition(file)
        allowed = f"of signature {condition.signature}, its contents'"
        require(condition.signature == signature, str(file), signature, allowed)
        allowed = f"named with the signature {signature} of its contents"
        is_named = path.resolve().name.rpartition("-")[2] == signature
        require(is_named, "run folder", path.name, allowed)
        return cls(path, condition)

    def create(self, bytes_needed: int) -> None:
        """Make the folder where it is missing, and see that it can be written to.

        Raises:
            BadInputError: no space or no atomic renames (then nothing is made), or no permission.
        """
        require_atomic_renames("runs", self.path)
        networks = self.path / "networks"
        there = next(folder for folder in (self.path, *self.path.parents) if os.path.isdir(folder))
        try:
            free = shutil.disk_usage(there).free
            allowed = f"on a disk with {bytes_needed:,} bytes free (it has {free:,})"
            require(free >= bytes_needed, "runs", str(self.path), allowed)
            for folder in (networks, self.own):
                folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.path, networks, self.own):
                tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise BadInputError(
                f"runs must be a folder that can be written to, got {self.path} ({error.strerror})."
            ) from error

    def check(self) -> None:
        """Read every file.

        Raises:
            BadInputError: one is damaged, altered or of another condition.
        """
        for seed in self.finished():
            self.read_network(seed)
        self.read_checkpoint()
        self.read_manifest()

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Hold the folder, or a share of it, for training: who holds it is the only one to write there.

        The lock is the kernel's: it ends when its process does.

        Raises:
            LockedError: another process holds it; the message says which.
        """
        with ExitStack() as held:
            try:
                if self.seeds is not None:
                    held.enter_context(hold_lock(self.path / "claim", shared=True))
                held.enter_context(hold_lock(self.own / "claim", shared=False))
            except LockedError as error:
                raise LockedError(f"{self.path} is being trained by {error}") from None
            remove_parts(self.own)
            # Others may be writing the files of other seeds.
            for name in [""] if self.seeds is None else [f"{seed:05d}." for seed in self.seeds]:
                remove_parts(self.path / "networks", name)
            self.describe()
            yield

    def describe(self) -> None:
        """Write what is trained here, unless that is there."""
        if not (self.path / "condition.yaml").exists():
            about = {"signature": self.condition.signature, "format": FORMAT}
            stored = {**about, "written_by": f"degen {VERSION}", **self.condition.config}
            content = yaml.safe_dump(stored, sort_keys=False).encode()
            write_atomically(self.path / "condition.yaml", content)

    def is_claimed(self) -> bool:
        """Whether a process of this machine trains here; of others nothing is known."""
        return any(is_locked_on_this_host(claim) for claim in self._every("claim"))

    def _every(self, name: str) -> list[Path]:
        """The files of that name: of the whole folder, and of each share."""
        return [file for file in (self.path / name, *self.path.glob(f"shares/*/{name}")) if file.exists()]

    # Networks ---------------------------------------------------------------------------------------------

    def network_file(self, seed: int) -> Path:
        """Where the finished network of a seed is, or will be."""
        return self.path / "networks" / f"{seed:05d}.safetensors"

    def finished(self) -> list[int]:
        """The seeds of the finished networks, in order."""
        files = (self.path / "networks").glob("*.safetensors")
        return sorted(int(file.stem) for file in files if re.fullmatch(r"\d{5,}", file.stem))

    def write_network(self, ensemble: Ensemble, member: int) -> None:
        """Store a network of an ensemble as finished."""
        seed = ensemble.seeds[member]
        ending = status(ensemble.histories[member], self.condition.training)
        metadata = {"signature": self.condition.signature, "seed": seed, "status": ending}
        write_tensors(self.network_file(seed), network_tensors(ensemble, member, ending), metadata)

    def read_network(self, seed: int) -> Network:
        """A finished network.

        Raises:
            BadInputError: the file is damaged, altered, or of another condition or seed.
        """
        file = self.network_file(seed)
        tensors, metadata = self._read(file)
        require(metadata.get("seed") == seed, str(file), metadata.get("seed"), f"the network of seed {seed}")
        return Network.from_tensors(tensors, metadata)

    def _read(self, file: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        tensors, metadata = read_tensors(file)
        signature = self.condition.signature
        require(
            metadata.get("signature") == signature,
            str(file),
            metadata.get("signature"),
            f"of signature {signature}",
        )
        return tensors, metadata

    # Checkpoint -------------------------------------------------------------------------------------------

    def write_checkpoint(self, ensemble: Ensemble) -> None:
        """Store the networks in training, or that there are none."""
        file = self.own / "checkpoint.safetensors"
        if len(ensemble):
            metadata = {"signature": self.condition.signature, "seeds": ensemble.seeds}
            write_tensors(file, checkpoint_tensors(ensemble), metadata)
        else:
            file.unlink(missing_ok=True)
        self._remove_outdated_checkpoints(file)

    def _remove_outdated_checkpoints(self, own: Path) -> None:
        """Delete those that a process training alone has taken over, and those of finished networks."""
        finished = set(self.finished())
        for file in self._every("checkpoint.safetensors"):
            taken_over = self.seeds is None and file != own
            with suppress(FileNotFoundError):
                if taken_over or finished.issuperset(read_metadata(file).get("seeds", [None])):
                    file.unlink()

    def read_checkpoint(self) -> Ensemble | None:
        """The networks in training that have not been finished since, if any; of a share, its seeds alone.

        Where checkpoints of several shares hold the same network, it is that with most epochs.

        Raises:
            BadInputError: a file is damaged, altered or of another condition.
        """
        saved: Ensemble | None = None
        for file in self._every("checkpoint.safetensors"):
            with suppress(FileNotFoundError):
                one = self._read_checkpoint(file)
                saved = one if saved is None else saved.join(one)
        if saved is None:
            return None
        finished = set(self.finished())
        wanted = [
            i
            for i, seed in enumerate(saved.seeds)
            if seed not in finished and (self.seeds is None or seed in self.seeds)
        ]
        latest = {saved.seeds[i]: i for i in sorted(wanted, key=lambda i: len(saved.histories[i]))}
        return saved.select([i for i in wanted if latest[saved.seeds[i]] == i])

    def _read_checkpoint(self, file: Path) -> Ensemble:
        tensors, metadata = self._read(file)
        require("seeds" in metadata, str(file), metadata, "a checkpoint")
        return ensemble_from(tensors, metadata["seeds"])

    # Manifest ---------------------------------------------------------------------------------------------

    def read_manifest(self) -> list[dict[str, Any]]:
        """The sessions that trained here, whatever their share, oldest first.

        Raises:
            BadInputError: a file is damaged.
        """
        sessions = [session for file in self._every("manifest.json") for session in _sessions(file)]
        return sorted(sessions, key=lambda session: session["started"])

    def own_sessions(self) -> list[dict[str, Any]]:
        """Those of this share."""
        file = self.own / "manifest.json"
        return _sessions(file) if file.exists() else []

    def write_manifest(self, sessions: list[dict[str, Any]]) -> None:
        """Store the sessions of this share."""
        content = {"signature": self.condition.signature, "sessions": sessions}
        write_atomically(self.own / "manifest.json", json.dumps(content, indent=2).encode())


def _sessions(file: Path) -> list[dict[str, Any]]:
    try:
        return json.loads(file.read_text())["sessions"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise BadInputError(f"{file} must be as degen wrote it, got damaged contents ({error}).") from error


def _read_condition(file: Path) -> tuple[Condition, str]:
    """A stored condition and the signature stored with it.

    Raises:
        BadInputError: unreadable, or of a format or with fields that this version does not know.
    """
    try:
        stored = yaml.safe_load(file.read_text())
        signature = stored.pop("signature")
        written_by, format_number = stored.pop("written_by", "degen 0.1.0"), stored.pop("format", 1)
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, UnicodeDecodeError, OSError) as error:
        problem = f"{file} must be as degen wrote it, got unreadable contents ({error!r})."
        raise BadInputError(problem) from error
    this = f"degen {VERSION}"
    given = f"format {format_number} of {written_by}"
    allowed = f"of format {FORMAT}, the only one that {this} reads (read this folder with {written_by})"
    require(format_number == FORMAT, str(file), given, allowed)
    try:
        return Condition.from_config(stored), signature
    except BadInputError as error:
        problem = f"{file}, written by {written_by}, cannot be read by {this}: {error}"
        raise BadInputError(problem) from error
