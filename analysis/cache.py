"""Files that carry a fingerprint of the inputs they were computed from."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from degen.errors import BadInputError
from degen.files import has_content, read_metadata, write_atomically, write_tensors


@dataclasses.dataclass(frozen=True)
class Arrays:
    """Content of a safetensors file."""

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]


def fingerprint(*inputs: Any) -> str:
    """Return sixteen hexadecimal digits that identify the inputs of a computation."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()[:16]


def cached(path: Path, fingerprint: str, compute: Callable[[], pd.DataFrame | Arrays]) -> bool:
    """Compute and store a file, unless the file exists and carries the fingerprint.

    Args:
        path: a parquet file for a table, or a safetensors file for arrays.
        compute: returns the content.

    Returns:
        Whether the content was computed.
    """
    if read_fingerprint(path) == fingerprint:
        return False
    content = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Arrays):
        write_tensors(path, content.tensors, content.metadata | {"fingerprint": fingerprint})
    else:
        write_table(path, content, fingerprint)
    return True


def cached_rows(
    path: Path, fingerprints: Mapping[int, str], compute: Callable[[list[int]], Sequence[dict[str, Any]]]
) -> tuple[pd.DataFrame, int]:
    """Compute the rows of a table that are not stored, and store the table.

    Stored rows with other fingerprints are outdated and left out.

    Args:
        path: a parquet file with one row per network.
        fingerprints: for each seed, the fingerprint of the inputs of its row.
        compute: returns one row per seed, in the order of the given seeds.

    Returns:
        The table, with the column `fingerprint`, and the number of rows that were computed.
    """
    table = read_table(path)
    rows: dict[str, Mapping[Any, Any]] = {}
    if table is not None and "fingerprint" in table:
        rows = {row["fingerprint"]: row for row in table.to_dict("records")}
    missing = [seed for seed, key in fingerprints.items() if key not in rows]
    if missing:
        for seed, row in zip(missing, compute(missing), strict=True):
            rows[fingerprints[seed]] = {**row, "fingerprint": fingerprints[seed]}
    table = pd.DataFrame([rows[key] for key in fingerprints.values()])
    if missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(path, table, fingerprint="")  # each row has its own
    return table, len(missing)


def read_fingerprint(path: Path) -> str | None:
    """Return the fingerprint of a file, or None if there is no readable file."""
    if path.suffix == ".safetensors":
        return read_metadata(path).get("fingerprint")
    table = read_table(path)
    return None if table is None else table.attrs.get("fingerprint")


def read_table(path: Path) -> pd.DataFrame | None:
    """Return a table, or None if the file does not exist.

    Raises:
        BadInputError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        message = f"{path} must be a table that the analysis wrote, got a damaged one ({error}); delete it."
        raise BadInputError(message) from error


def require_table(path: Path) -> pd.DataFrame:
    """Return a table that an earlier step stored.

    Raises:
        BadInputError: the file is missing or damaged.
    """
    table = read_table(path)
    if table is None:
        raise BadInputError(f"{path} must be a table, got no such file: run the analysis again.")
    return table


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a copy of a parquet file's table as CSV, unless the copy exists."""
    content = table.to_csv(index=False).encode()
    target = path.with_suffix(".csv")
    if not has_content(target, content):
        write_atomically(target, content)


def write_table(path: Path, table: pd.DataFrame, fingerprint: str) -> None:
    """Write a parquet file that carries a fingerprint."""
    table = table.copy()
    table.attrs["fingerprint"] = fingerprint
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    write_atomically(path, buffer.getvalue())
