"""Run folders that are damaged or altered, or belong to another condition or version."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import degen
from degen.condition import Condition
from degen.errors import BadInputError
from degen.files import read_tensors, write_tensors
from degen.storage import FORMAT, RunFolder
from degen.training import Ensemble
from degen.versions import VERSION
from tests.conftest import TINY, build


@pytest.fixture
def copied(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run, to be altered."""
    return shutil.copytree(tiny_run, tmp_path / tiny_run.name)


def sentence(path: Path) -> str:
    """Return the error message of a rejected folder."""
    with pytest.raises(BadInputError) as caught:
        degen.load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_without_a_condition_is_rejected(tmp_path):
    assert sentence(tmp_path).startswith("run folder must be a folder with a condition.yaml, got ")
    assert sentence(tmp_path / "nowhere").startswith("run folder must be a folder with a condition.yaml")


def test_a_folder_with_another_signature_is_rejected(copied):
    renamed = copied.rename(copied.with_name(copied.name[:-1] + "x"))
    assert sentence(renamed).startswith("run folder must be named with the signature ")


@pytest.mark.parametrize(
    "path", ["task.n_steps", "training.batch_size", "parameterization.width", "dtype", "signature"]
)
def test_an_altered_condition_is_rejected(copied, path):
    config = yaml.safe_load((copied / "condition.yaml").read_text())
    *parents, last = path.split(".")
    node = config
    for key in parents:
        node = node[key]
    node[last] = {"dtype": "float64", "signature": "0" * 12}.get(path) or node[last] + 1
    (copied / "condition.yaml").write_text(yaml.safe_dump(config))
    assert sentence(copied).startswith(f"{copied / 'condition.yaml'} must be of signature ")


def test_another_format_is_rejected_naming_its_version(copied):
    file = copied / "condition.yaml"
    stored = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(stored | {"format": 3, "written_by": "degen 9.1"}))
    allowed = f"of format 2, the only one that degen {VERSION} reads (read this folder with degen 9.1)"
    assert sentence(copied) == f"{file} must be {allowed}, got 'format 3 of degen 9.1'."
    older = {key: value for key, value in stored.items() if key not in ("format", "written_by")}
    file.write_text(yaml.safe_dump(older))
    assert sentence(copied).endswith(", got 'format 1 of degen 0.1.0'.")


def test_an_unknown_field_is_rejected_naming_its_version(copied):
    file = copied / "condition.yaml"
    stored = yaml.safe_load(file.read_text())
    stored["task"]["distractors"] = 2
    file.write_text(yaml.safe_dump(stored | {"written_by": "degen 0.9"}))
    expected = f"{file}, written by degen 0.9, cannot be read by degen {VERSION}: task.distractors must be "
    assert sentence(copied).startswith(expected)


def test_a_folder_is_found_by_its_signature_not_its_label(copied):
    condition = build(*TINY)
    home = copied.parent / "runs" / condition.task_name
    home.mkdir(parents=True)
    renamed = copied.rename(home / f"an-older-label-{condition.signature}")
    assert RunFolder.of(copied.parent / "runs", condition).path == renamed


@pytest.mark.parametrize("content", ["", "a: [", "just text", "- a list", "task: {}", "\x00", "signature: 1"])
def test_a_damaged_condition_is_rejected(copied, content):
    (copied / "condition.yaml").write_text(content)
    assert "must be" in sentence(copied)


def test_a_condition_truncated_anywhere_is_rejected(copied):
    content = (copied / "condition.yaml").read_text()
    assert Condition.from_config(yaml.safe_load(content)) == build(*TINY)
    for size in range(0, len(content) - 1, 7):
        (copied / "condition.yaml").write_text(content[:size])
        sentence(copied)


def test_networks_of_another_condition_are_rejected(copied):
    other = build(*TINY, "training.threshold=0.5")
    about = {"signature": other.signature, "format": FORMAT}
    (copied / "condition.yaml").write_text(yaml.safe_dump({**about, **other.config}))
    renamed = copied.rename(copied.with_name(other.name))
    network = renamed / "networks" / "00000.safetensors"
    assert sentence(renamed).startswith(f"{network} must be of signature {other.signature}, got ")


def test_the_network_of_another_seed_is_rejected(copied):
    networks = copied / "networks"
    shutil.copy(networks / "00001.safetensors", networks / "00000.safetensors")
    assert sentence(copied) == f"{networks / '00000.safetensors'} must be the network of seed 0, got 1."


@pytest.mark.parametrize("part", ["networks/00001.safetensors", "manifest.json", "checkpoint.safetensors"])
def test_a_truncated_file_is_rejected_in_training_and_loading(copied, part):
    folder = RunFolder.open(copied)
    folder.checkpoints.write(Ensemble.new([7], folder.condition.task, folder.condition.model))
    folder.validate()
    content = (copied / part).read_bytes()
    (copied / part).write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInputError, match=rf"{part} must be "):
        folder.validate()
    if not part.startswith("checkpoint"):
        assert sentence(copied).startswith(f"{copied / part} must be ")


def test_checkpoints_and_networks_are_not_exchangeable(copied):
    folder = RunFolder.open(copied)
    folder.checkpoints.write(Ensemble.new([7], folder.condition.task, folder.condition.model))
    network, checkpoint = copied / "networks" / "00000.safetensors", copied / "checkpoint.safetensors"
    before = checkpoint.read_bytes()
    shutil.copy(network, checkpoint)
    with pytest.raises(BadInputError, match="must be a checkpoint"):
        folder.checkpoints.read()
    network.write_bytes(before)
    with pytest.raises(BadInputError, match="must be the network of seed 0"):
        folder.networks.read(0)


def test_a_checkpoint_of_another_condition_is_rejected(copied):
    folder = RunFolder.open(copied)
    other = RunFolder(copied, build(*TINY, "training.threshold=0.5"))
    other.checkpoints.write(Ensemble.new([7], folder.condition.task, folder.condition.model))
    with pytest.raises(BadInputError, match=f"must be of signature {folder.condition.signature}, got "):
        folder.checkpoints.read()


def test_weights_with_another_signature_are_rejected(copied):
    path = copied / "networks" / "00000.safetensors"
    tensors, metadata = read_tensors(path)
    write_tensors(path, tensors, metadata | {"signature": "0" * 12})
    assert sentence(copied).startswith(f"{path} must be of signature ")


def test_files_with_other_names_are_not_networks(copied):
    for name in ("1.safetensors", "notes.safetensors", "00007.txt", ".00008.safetensors.abc.part"):
        (copied / "networks" / name).write_text("")
    assert degen.load(copied).seeds == [0, 1, 2]


def test_without_space_no_folder_is_created(tmp_path, monkeypatch):
    folder = RunFolder.of(tmp_path / "runs", build(*TINY))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=999))
    with pytest.raises(BadInputError, match="runs must be on a disk with 1,000 bytes free"):
        folder.create(bytes_needed=1000)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_permission_is_rejected(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "runs", Path("/proc/runs")):
        with pytest.raises(BadInputError, match="runs must be a folder that can be written to, got "):
            RunFolder.of(path, build(*TINY)).create(0)


@pytest.mark.parametrize("part", ["manifest.json", "checkpoint.safetensors"])
def test_a_link_to_a_missing_file_is_not_a_missing_file(copied, part):
    (copied / part).unlink(missing_ok=True)
    (copied / part).symlink_to("../.git/annex/objects/gone")
    with pytest.raises(BadInputError, match=rf"{part} must be "):
        RunFolder.open(copied).validate()


@pytest.mark.parametrize("sessions", [[{"seconds": 1}], ["text"], 5])
def test_a_manifest_without_the_fields_of_sessions_is_rejected(copied, sessions):
    (copied / "manifest.json").write_text(json.dumps({"sessions": sessions}))
    assert sentence(copied).startswith(f"{copied / 'manifest.json'} must be as degen wrote it, got damaged ")


def test_files_with_other_names_are_not_snapshots(copied):
    (copied / "snapshots").mkdir()
    for name in ("00001-00002 (copy).safetensors", "00001-abc.safetensors", "00001-2.safetensors"):
        (copied / "snapshots" / name).write_text("")
    assert RunFolder.open(copied).paths.snapshot_epochs(1) == []
