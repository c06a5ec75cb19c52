"""Networks from files, and the command `degen compare`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from degen.comparison import compare_networks, read_folder
from degen.comparison.files import read_inputs
from degen.errors import BadInputError
from launch import compare

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "hidden": RANDOM.standard_normal((6, 10, 4)).cumsum(axis=1),
    "recurrent": RANDOM.standard_normal((4, 4)),
    "loss": np.float64(0.25),
}
INPUTS = torch.randn(6, 10, 2, generator=torch.Generator().manual_seed(0))


def write(path: Path, arrays: dict[str, np.ndarray] = ARRAYS) -> None:
    """Write a file of arrays in the format of its suffix."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".safetensors":
        safetensors.torch.save_file({name: torch.as_tensor(array) for name, array in arrays.items()}, path)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".h5", ".hdf5"])
def test_arrays_are_read_from_every_format(tmp_path, suffix):
    write(tmp_path / f"a{suffix}")
    write(tmp_path / f"b{suffix}", {"hidden": ARRAYS["hidden"][:3]})
    first, second = read_folder(tmp_path)
    np.testing.assert_array_equal(first.hidden, ARRAYS["hidden"])
    np.testing.assert_array_equal(first.recurrent, ARRAYS["recurrent"])
    assert first.loss == 0.25
    assert first.name == str(tmp_path / f"a{suffix}")
    assert second.hidden.shape == (3, 10, 4)
    assert second.recurrent is None
    assert second.loss is None
    assert second.group == tmp_path.name


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_state_dict_is_run_on_the_inputs(tmp_path, suffix):
    network = nn.GRU(2, 5, batch_first=True)
    if suffix == ".safetensors":
        safetensors.torch.save_file(network.state_dict(), tmp_path / f"a{suffix}")
    else:
        torch.save(network.state_dict(), tmp_path / f"a{suffix}")
    (read,) = read_folder(tmp_path, inputs=INPUTS.double())
    np.testing.assert_array_equal(read.hidden, network(INPUTS)[0].detach())
    with pytest.raises(
        BadInputError, match=r"inputs \(--inputs FILE\) must be given to run the state_dict .*, got none\.$"
    ):
        read_folder(tmp_path)


def test_inputs_belong_to_networks_with_as_many_trials(tmp_path):
    write(tmp_path / "a.npz")
    write(tmp_path / "b.npz", {"hidden": ARRAYS["hidden"][:3]})
    first, second = read_folder(tmp_path, inputs=INPUTS.numpy())
    np.testing.assert_array_equal(first.inputs, INPUTS)
    assert second.inputs is None


class Unpickled:
    """An object that must not be created."""

    def __reduce__(self):
        return (Path.touch, (Path("unpickled"),))


@pytest.mark.parametrize("name", ["a.pt", "a.npz"])
def test_nothing_is_unpickled(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "networks"
    folder.mkdir()
    if name == "a.pt":
        torch.save({"weight_hh_l0": Unpickled()}, folder / name)
    else:
        np.savez(folder / name, hidden=np.array([Unpickled()], dtype=object))
    with pytest.raises(BadInputError, match=r"a\.(pt|npz) must (be a complete|contain a state_dict)"):
        read_folder(folder, inputs=INPUTS)
    assert not Path("unpickled").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.mat", "must be one of .npz, .safetensors, .h5, .hdf5, .pt, .pth, got '.mat'"),
        ("a.npz", "must be a complete .npz file of numbers, got"),
        ("a.h5", "must be a complete .h5 file of numbers, got OSError"),
        ("a.safetensors", "must be a complete .safetensors file of numbers, got SafetensorError"),
        (
            "a.pt",
            "must contain a state_dict, as of torch.save(network.state_dict(), path), got other",
        ),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"not a file of this format")
    with pytest.raises(BadInputError, match=re.escape(message)) as error:
        read_folder(tmp_path)
    assert str(tmp_path / name) in str(error.value)


def test_a_missing_h5py_is_named(tmp_path, monkeypatch):
    write(tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)  # Python's way to make an import fail
    with pytest.raises(BadInputError, match=r"h5py must be installed .*a\.h5: pip install"):
        read_folder(tmp_path)


def test_other_entries_are_rejected(tmp_path):
    write(tmp_path / "a.npz", {"hiden": ARRAYS["hidden"]})
    with pytest.raises(BadInputError, match=r"a\.npz must be among hidden, recurrent, loss, got \['hiden'\]"):
        read_folder(tmp_path)
    write(tmp_path / "a.npz", {"loss": ARRAYS["loss"]})
    with pytest.raises(BadInputError, match=r"a\.npz must be hidden, and optionally"):
        read_folder(tmp_path)


def test_a_whole_module_or_checkpoint_is_rejected(tmp_path):
    torch.save({"model": nn.GRU(2, 3).state_dict(), "epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(BadInputError, match=r"a\.pt must contain a state_dict, .* got model, epoch\.$"):
        read_folder(tmp_path, inputs=INPUTS)


def test_errors_of_a_state_dict_name_its_file(tmp_path):
    torch.save(nn.GRU(7, 3).state_dict(), tmp_path / "a.pt")
    with pytest.raises(BadInputError, match=re.escape(f"{tmp_path / 'a.pt'}: inputs shape must be")):
        read_folder(tmp_path, inputs=INPUTS)


def test_missing_and_empty_folders_are_rejected(tmp_path):
    with pytest.raises(BadInputError, match="must be an existing folder"):
        read_folder(tmp_path / "missing")
    with pytest.raises(BadInputError, match=r"files in .* must be at least 1: one per network, got 0\.$"):
        read_folder(tmp_path)
    write(tmp_path / "a.npz")
    with pytest.raises(BadInputError, match=r"entries of .* must be inputs"):
        read_inputs(tmp_path / "a.npz")


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two groups of three networks in the working folder, with one network of another size."""
    monkeypatch.chdir(tmp_path)
    for group, scale in (("a", 1.0), ("b", 2.0)):
        Path(group).mkdir()
        for index in range(3):
            states = np.random.default_rng(index).standard_normal((6, 10, 4 + index)).cumsum(axis=1)
            write(Path(group, f"{index}.npz"), {"hidden": scale * states, "loss": np.float64(index)})
    write(Path("other.npz"), {"inputs": np.zeros((5, 10, 1))})
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["degen compare", *arguments])
    compare.main()


def test_the_command_prints_tables_and_writes_a_report(folders, monkeypatch, capsys):
    run(monkeypatch, "a", "b/", "--metrics", "svcca, losses", "--out", "report.html")
    output = capsys.readouterr().out
    networks = [*read_folder("a"), *read_folder("b")]
    assert str(compare_networks(networks, metrics=["svcca", "losses"])) in output
    assert "a: 3 networks\nb: 3 networks\n" in output
    assert output.endswith("report: report.html\n")
    assert "<table" in Path("report.html").read_text()


def test_folders_of_one_name_are_told_apart(folders, monkeypatch, capsys):
    Path("c").mkdir()
    Path("b").rename("c/a")
    run(monkeypatch, "a", "c/a", "--metrics", "losses")
    assert "c/a: 3 networks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "missing"], "folder of networks must be an existing folder, got 'missing'"),
        (["a", "a/"], "folders must be different folders"),
        (
            ["a", "b", "--metrics", "psi"],
            "metrics must be one of dsa, input_dsa, svcca, pif, losses, got 'psi'",
        ),
        (
            ["a", "b", "--metrics", "pif"],
            "metric pif: recurrent weights must be given for at least 2 networks",
        ),
        (["a", "b", "--out", "missing/report.html"], "--out must be a file in an existing folder"),
        (["a", "b", "--inputs", "a/0.npz"], "entries of a/0.npz must be inputs"),
        (["a", "b", "--out", "."], "--out must be a file in an existing folder, got '.'"),
        (
            ["a", "b", "--inputs", "other.npz"],
            "trials and time steps of other.npz must be (6, 10), as of a/0.npz",
        ),
        (["a", "b", "--seed", "-1"], "seed must be an integer of at least 0, got -1"),
    ],
)
def test_bad_arguments_end_in_one_sentence(folders, monkeypatch, capsys, arguments, message):
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, *arguments)
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
