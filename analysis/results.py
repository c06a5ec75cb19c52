"""The results folder of an experiment: every file name of the analysis.

results/choices/<metric>-<task>-<options>.parquet   settings of a metric, on what they were chosen (choices)
results/<experiment>/
    networks.parquet                     one row a network (gather)
    history.parquet                      one row a network and epoch (gather)
    feature_learning.parquet             one row a converged network (feature_learning)
    activations/<signature>.safetensors  hidden states on the probe (activations)
    matrices/<metric>/<task>-choice.parquet     the settings that it is measured by (choices)
    matrices/<metric>/<signature>.safetensors   pairwise distances (matrices)
    degeneracy.parquet, degeneracy.csv   one row a condition and measure (degeneracy)
    settings.yaml                        what these were made with (degeneracy)
    trajectories.parquet                 trials and slow points of single networks (trajectories)
    line_attractors.parquet, line_attractors.csv   one row a network and period of a trial (line_attractors)
    figures/*.pdf, *.png
    networks.partial.parquet, feature_learning.partial.parquet   rows of a stage that was stopped
    .under_way                           the analysis that has begun and not gone to its end (stages)
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from degen.errors import BadInputError
from degen.files import read_metadata, write_atomically, write_tensors


@dataclasses.dataclass(frozen=True)
class Results:
    """A results folder."""

    path: Path

    def create(self) -> None:
        """Make the folder where it is missing.

        Raises:
            BadInputError: it cannot be written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.path).close()
        except OSError as error:
            message = f"results must be a folder that can be written to, got {self.path} ({error.strerror})."
            raise BadInputError(message) from error

    def begin(self) -> None:
        """Mark that files here may be of two analyses, until `end` in this process."""
        self._under_way.write_text(_process())

    def end(self) -> None:
        """All files here are of one analysis, unless another process has begun one since."""
        with contextlib.suppress(FileNotFoundError):
            if self._under_way.read_text() == _process():
                self._under_way.unlink()

    @property
    def is_under_way(self) -> bool:
        """Whether an analysis has begun and not gone to its end."""
        return self._under_way.exists()

    @property
    def _under_way(self) -> Path:
        return self.path / ".under_way"

    @property
    def networks(self) -> Path:
        return self.path / "networks.parquet"

    @property
    def history(self) -> Path:
        return self.path / "history.parquet"

    @property
    def feature_learning(self) -> Path:
        return self.path / "feature_learning.parquet"

    @property
    def degeneracy(self) -> Path:
        return self.path / "degeneracy.parquet"

    @property
    def settings(self) -> Path:
        return self.path / "settings.yaml"

    @property
    def trajectories(self) -> Path:
        return self.path / "trajectories.parquet"

    @property
    def line_attractors(self) -> Path:
        return self.path / "line_attractors.parquet"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    def activations(self, signature: str) -> Path:
        return self.path / "activations" / f"{signature}.safetensors"

    def choice(self, metric: str, task: str) -> Path:
        """The settings of a metric by which a task's networks are measured here."""
        return self.path / "matrices" / metric / f"{task}-choice.parquet"

    def shared_choice(self, kind: str, task: str, made_from: str) -> Path:
        """The same for all experiments beside this one, of those options of a class of metrics."""
        return self.path.parent / "choices" / f"{kind}-{task}-{made_from[:8]}.parquet"

    def matrix(self, metric: str, signature: str) -> Path:
        return self.path / "matrices" / metric / f"{signature}.safetensors"

    def beside(self, file: Path) -> list[Path]:
        """The files of other experiments in the place of this one."""
        place = file.relative_to(self.path)
        return sorted(path for path in self.path.parent.glob(f"*/{place}") if path != file)


def _process() -> str:
    return f"{socket.gethostname()} {os.getpid()}"


def fingerprint(*parts: Any) -> str:
    """Sixteen hexadecimal digits that stand for what a file was made from."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def write_table(path: Path, table: pd.DataFrame, made_from: str) -> None:
    """A parquet file that knows what it was made from."""
    table.attrs["made_from"] = made_from
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    write_atomically(path, buffer.getvalue())


def read_table(path: Path, made_from: str | None = None) -> pd.DataFrame | None:
    """The table, or None where it is missing or made from something else than `made_from` (any if None)."""
    if not path.exists():
        return None
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        message = f"{path} must be a table that the analysis wrote, got a damaged one ({error}); delete it."
        raise BadInputError(message) from error
    return table if made_from in (None, table.attrs.get("made_from")) else None


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """The table as CSV beside a parquet file, where it is not there already."""
    text = table.to_csv(index=False)
    beside = path.with_suffix(".csv")
    if not beside.exists() or beside.read_text() != text:
        write_atomically(beside, text.encode())


class Rows:
    """Rows of a table that are computed a condition at a time, those of a stage that was stopped included.

    Args:
        path: the table.
    """

    def __init__(self, path: Path):
        # A file of its own: all of its rows are of one analysis, and so are all of the table's.
        self._partial = path.with_suffix(".partial.parquet")
        self._known = [table for one in (path, self._partial) if (table := read_table(one)) is not None]

    def find(self, made_from: str) -> dict[str, Any] | None:
        """The row that was made from that, if it is there."""
        for table in self._known:
            found = table[table["made_from"] == made_from]
            if not found.empty:
                return {str(name): value for name, value in found.iloc[0].items()}
        return None

    def keep(self, rows: list[dict[str, Any]]) -> None:
        """Store what there is so far, for the same stage where it is stopped and begun again."""
        write_table(self._partial, pd.DataFrame(rows), "")

    def end(self) -> None:
        """The table holds them all."""
        self._partial.unlink(missing_ok=True)


def write_arrays(path: Path, arrays: dict[str, Tensor], metadata: dict[str, Any], made_from: str) -> None:
    """A safetensors file that knows what it was made from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, arrays, metadata | {"made_from": made_from})


def is_made_from(path: Path, made_from: str) -> bool:
    """Whether the file is there and was made from that."""
    return path.exists() and read_metadata(path).get("made_from") == made_from
