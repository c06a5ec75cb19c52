"""Networks from files: arrays in `.npz`, `.safetensors` and HDF5, and PyTorch `state_dict`s."""

from __future__ import annotations

import dataclasses
import importlib
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from degen.comparison.networks import Network
from degen.comparison.state_dict import RECURRENT_WEIGHTS, run_state_dict
from degen.errors import BadInputError, require
from degen.metrics.arrays import Array, to_tensor

Entries = Mapping[str, Array]

ENTRIES = ("hidden", "recurrent", "loss")
"""Entries of a file of arrays. Only `hidden` is required."""


def read_folder(
    folder: str | Path, *, inputs: Array | None = None, nonlinearity: str = "tanh", group: str | None = None
) -> list[Network]:
    """Read the networks of a group, one file per network. Nothing is unpickled.

    Args:
        folder: folder with files `.npz`, `.safetensors`, `.h5` or `.hdf5` with the entries `hidden` (trials,
            time, units), and optionally `recurrent` (units, units) and `loss`. A file of PyTorch, `.pt` or
            `.pth`, is a `state_dict`, which is run on the inputs. So is a `.safetensors` file of one.
        inputs: inputs of the trials that a `state_dict` is run on, (trials, time, inputs). They are taken for
            the inputs of every other network with as many trials and time steps.
        nonlinearity: nonlinearity of every `nn.RNN`, tanh or relu.
        group: name of the group, by default the name of the folder.

    Returns:
        The networks, sorted by file name.

    Raises:
        BadInputError: no folder or an empty one, a file that cannot be read or has another format or other
            entries, or a `state_dict` without inputs. The message names the file.
    """
    folder = Path(folder)
    require(folder.is_dir(), "folder of networks", str(folder), "an existing folder")
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    require(len(paths) > 0, f"files in {folder}", 0, "at least 1: one per network")
    group = folder.resolve().name if group is None else group
    drive = None if inputs is None else to_tensor("inputs", inputs, 3)
    return [_read_network(path, group, drive, nonlinearity) for path in paths]


def read_inputs(path: str | Path) -> Tensor:
    """Read the entry `inputs` (trials, time, inputs) of a file of arrays.

    Raises:
        BadInputError: the file cannot be read or has no such entry.
    """
    entries = _read_entries(Path(path))
    require("inputs" in entries, f"entries of {path}", sorted(entries), "inputs")
    return to_tensor(f"inputs in {path}", entries["inputs"], 3)


def _read_network(path: Path, group: str, inputs: Tensor | None, nonlinearity: str) -> Network:
    entries = _read_entries(path)
    if path.suffix in (".pt", ".pth") or any(name.endswith(RECURRENT_WEIGHTS) for name in entries):
        if inputs is None:
            raise BadInputError(
                f"inputs (--inputs FILE) must be given to run the state_dict {path} on them, got none."
            )
        weights = {name: torch.as_tensor(values) for name, values in entries.items()}
        try:
            run = run_state_dict(weights, inputs, nonlinearity=nonlinearity)
        except BadInputError as error:
            raise BadInputError(f"{path}: {error}") from error
        return Network.from_arrays(group, str(path), *run, inputs=inputs)
    unknown = sorted(entries.keys() - set(ENTRIES))
    require(not unknown, f"entries of {path}", sorted(entries), f"among {', '.join(ENTRIES)}")
    require(
        "hidden" in entries,
        f"entries of {path}",
        sorted(entries),
        "hidden, and optionally recurrent and loss",
    )
    recurrent, loss = entries.get("recurrent"), entries.get("loss")
    network = Network.from_arrays(group, str(path), entries["hidden"], recurrent, loss)
    is_on_inputs = inputs is not None and network.hidden.shape[:2] == inputs.shape[:2]
    return dataclasses.replace(network, inputs=inputs) if is_on_inputs else network


def _read_entries(path: Path) -> Entries:
    """Read the arrays of a file by name."""
    require(path.suffix in _READERS, f"format of {path}", path.suffix, f"one of {', '.join(_READERS)}")
    require(path.is_file(), str(path), "no file", "an existing file")
    try:
        return _READERS[path.suffix](path)
    except BadInputError:
        raise
    except _READ_ERRORS as error:
        allowed = f"a complete {path.suffix} file of numbers"
        raise BadInputError(f"{path} must be {allowed}, got {type(error).__name__}.") from error


_READ_ERRORS = (
    *(OSError, ValueError, KeyError, RuntimeError, EOFError),
    *(zipfile.BadZipFile, SafetensorError),
)


def _read_npz(path: Path) -> Entries:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _read_safetensors(path: Path) -> Entries:
    return safetensors.torch.load_file(path)


def _read_hdf5(path: Path) -> Entries:
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        raise BadInputError(f"h5py must be installed to read {path}: pip install h5py.") from None
    with h5py.File(path, "r") as file:
        return {name: item[()] for name, item in file.items() if isinstance(item, h5py.Dataset)}


def _read_state_dict(path: Path) -> Entries:
    allowed = "a state_dict, as of torch.save(network.state_dict(), path)"
    try:
        entries = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadInputError(f"{path} must contain {allowed}, got other objects.") from error
    is_dict = isinstance(entries, Mapping)
    if not is_dict or not all(isinstance(value, Tensor) for value in entries.values()):
        got = ", ".join(map(str, entries)) if is_dict else type(entries).__name__
        raise BadInputError(f"{path} must contain {allowed}, got {got}.")
    return entries


_READERS: dict[str, Callable[[Path], Entries]] = {
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
    ".pt": _read_state_dict,
    ".pth": _read_state_dict,
}
