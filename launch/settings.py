"""Settings of training that are not part of a condition, and checks before any work starts."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from degen.condition import Condition
from degen.errors import require, require_number
from degen.storage import RunFolder
from launch.contract import require_contracts
from launch.device import require_device_name


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of where and how a process trains.

    Attributes:
        runs: folder that contains the run folders.
        device: auto, cpu, cuda or cuda:<number>.
        tf32: whether CUDA multiplies float32 matrices in the TF32 format.
        checkpoint_seconds: longest time between checkpoints, rounded up to the end of an epoch.
        snapshots: epochs after which the weights of networks are stored, and `end`.

    Raises:
        BadInputError: a value is not allowed.
    """

    runs: Path
    device: str
    tf32: bool
    checkpoint_seconds: float
    snapshots: Sequence[int | str] = ()

    def __post_init__(self) -> None:
        require_device_name(self.device)
        require(isinstance(self.tf32, bool), "tf32", self.tf32, "true or false")
        require_number("checkpoint_seconds", self.checkpoint_seconds, minimum=0.0)
        parse_snapshots(self.snapshots)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TrainSettings:
        """Return the settings in a configuration, or in the JSON of `to_config`. Other keys are ignored."""
        fields = {field.name: config[field.name] for field in dataclasses.fields(cls)}
        return cls(**fields | {"runs": runs_folder(config)})

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON can store them."""
        return dataclasses.asdict(self) | {"runs": str(self.runs)}


def check_run_folders(conditions: Iterable[Condition], runs: Path) -> list[RunFolder]:
    """Return the run folders of conditions, after checking tasks, networks and every existing file.

    Nothing is written.

    Raises:
        BadInputError: a task or a network does not keep its contract, or a file is damaged.
    """
    conditions = list(conditions)
    for condition in conditions:
        require_contracts(condition)
    folders = [RunFolder.of(runs, condition) for condition in conditions]
    for folder in folders:
        folder.validate()
    return folders


def parse_seeds(seeds: Any) -> list[int]:
    """Return the seeds 0..n-1 for a number n, or the seeds of a list.

    Raises:
        BadInputError: there are no seeds, or a seed is repeated or negative.
    """
    allowed = "a number of at least 1 or a list of different numbers of at least 0"
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        require(seeds >= 1, "seeds", seeds, allowed)
        return list(range(seeds))
    holds = isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)
    require(holds and 0 < len(seeds) == len(set(seeds)), "seeds", seeds, allowed)
    return seeds


def parse_snapshots(snapshots: Any) -> list[int]:
    """Return the epochs of a list of epochs and `end`, in ascending order.

    Epoch 0 (the initial weights) and `end` are allowed because results name them. Every network file contains
    both.

    Raises:
        BadInputError: it is no such list, or an entry is repeated or negative.

    Examples:
        >>> parse_snapshots([2, 0, 1, "end"])
        [0, 1, 2]
    """
    is_list = isinstance(snapshots, Sequence) and not isinstance(snapshots, str)
    is_valid = is_list and all(epoch == "end" or (type(epoch) is int and epoch >= 0) for epoch in snapshots)
    allowed = "a list of different epochs of at least 0, as in [0,1,5,end]"
    require(is_valid and len(snapshots) == len(set(snapshots)), "snapshots", snapshots, allowed)
    return sorted(epoch for epoch in snapshots if epoch != "end")


def runs_folder(config: dict[str, Any]) -> Path:
    """Return the folder of run folders in a configuration.

    Raises:
        BadInputError: the value is not the path of a folder.
    """
    require_folder("runs", config["runs"])
    return Path(config["runs"])


def require_folder(field: str, value: Any) -> None:
    """Raise `BadInputError` unless `value` is the path of a folder that exists or can be made."""
    require(isinstance(value, str) and value != "", field, value, "the path of a folder")
    allowed = "a path without ~ (write $HOME, or leave out the quotes so that the shell expands it)"
    require(not value.startswith("~"), field, value, allowed)
    existing = next(path for path in (Path(value), *Path(value).absolute().parents) if os.path.lexists(path))
    require(existing.is_dir(), field, value, f"the path of a folder ({existing} is a file)")
