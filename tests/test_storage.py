"""Run folders: what is written is read again, what is altered is refused (DESIGN, contracts 1, 3 and 4)."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

import degen
from degen.condition import Condition
from degen.errors import BadInputError
from degen.files import read_tensors, write_tensors
from degen.storage import FORMAT, ClaimedError, RunFolder
from degen.streams import Stream
from degen.training import Ensemble, train
from degen.versions import VERSION
from launch.submissions import locked
from tests.conftest import TINY, build

SEEDS = [2, 0, 5]


def stored(folder: RunFolder, seeds: list[int], epochs: int = 4) -> Ensemble:
    """Train these seeds for some epochs, store those that are done and checkpoint the others."""
    condition = folder.condition
    running = Ensemble.new(seeds, condition.task, condition.model, dtype=condition.dtype)
    parts = (condition.task, condition.model, condition.training, condition.regularizer)

    class EnoughError(Exception):
        pass

    latest = running

    def on_epoch(running: Ensemble, done: Ensemble) -> None:
        nonlocal latest
        latest = running.select(range(len(running)))
        for member in range(len(done)):
            folder.write_network(done, member)
        if len(running) and len(running.histories[0]) == epochs:
            raise EnoughError

    with folder.claim():
        try:
            train(running, *parts, on_epoch=on_epoch)
        except EnoughError:
            folder.write_checkpoint(latest)
    return latest


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    new = RunFolder.of(tmp_path / "runs", build(*TINY))
    new.create(bytes_needed=0)
    return new


@pytest.fixture
def copied(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run, to be altered."""
    return shutil.copytree(tiny_run, tmp_path / tiny_run.name)


def sentence(path: Path) -> str:
    """Why that folder is refused."""
    with pytest.raises(BadInputError) as caught:
        degen.load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Round trips ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides", [(), ("task=path_integration", "parameterization=mup", "dtype=float64")]
)
def test_a_network_is_read_as_it_was_written(tmp_path, overrides):
    condition = build(*TINY, *overrides)
    folder = RunFolder.of(tmp_path, condition)
    folder.create(0)
    ensemble = Ensemble.new(SEEDS, condition.task, condition.model, dtype=condition.dtype)
    ensemble.histories[1].loss.extend([0.1, 1 / 3, 0.7, 0.4])
    ensemble.histories[1].penalty.extend([0.0] * 4)
    ensemble.histories[1].learning_rate.extend([0.001] * 4)
    ensemble.histories[1].validation_loss.extend([0.1, 0.3, 2 / 3, 0.5])
    ensemble.histories[1].confirmation_loss.extend([5.0] * 4)
    ensemble.histories[1].confirmation_error.extend([0.1] * 4)
    ensemble.parameters["recurrent"] += 1
    folder.write_network(ensemble, 1)
    assert folder.finished() == [0]
    network = folder.read_network(0)
    assert (network.seed, network.status) == (0, "unconverged")
    assert network.history == ensemble.histories[1]
    for read, written in ((network.initial, ensemble.initial), (network.weights, ensemble.parameters)):
        assert set(read) == set(written)
        for name, weights in read.items():
            assert weights.dtype == condition.dtype
            assert torch.equal(weights[0], written[name][1])
    assert not torch.equal(network.weights["recurrent"], network.initial["recurrent"])


def test_a_checkpoint_is_read_as_it_was_written(folder):
    saved = stored(folder, SEEDS, epochs=2)
    read = folder.read_checkpoint()
    assert read.seeds == SEEDS
    assert repr(read.histories) == repr(saved.histories)  # NaN is not equal to itself
    for kind, parameters in saved.tensors.items():
        for name, weights in parameters.items():
            assert torch.equal(read.tensors[kind][name], weights)
    assert saved.second_moment["recurrent"].abs().max() > 0


def test_finished_networks_leave_the_checkpoint_and_an_empty_checkpoint_is_no_file(folder):
    saved = stored(folder, SEEDS, epochs=2)
    folder.write_network(saved, 1)
    assert folder.read_checkpoint().seeds == [2, 5]
    folder.write_checkpoint(saved.select([]))
    assert not (folder.path / "checkpoint.safetensors").exists()
    assert folder.read_checkpoint() is None


def test_loading_gives_task_model_networks_weights_and_history(tiny_run):
    run = degen.load(tiny_run)
    condition = build(*TINY)
    assert run.condition == condition
    assert (run.task, run.model, run.seeds) == (condition.task, condition.model, [0, 1, 2])
    assert run.weights["recurrent"].shape == run.initial["recurrent"].shape == (3, 8, 8)
    drawn = run.model.initialize(run.task, Stream.named([0, 1, 2], "initial weights"))
    assert all(torch.equal(run.initial[name], weights) for name, weights in drawn.items())
    outputs = run.model(run.weights, run.task.generate(2, Stream.named(run.seeds, "probe")))
    assert outputs.shape == (3, 2, 20, 3)
    fields = ["loss", "penalty", "learning_rate", "validation_loss", "confirmation_loss"]
    fields += ["confirmation_error"]
    assert list(run.history.columns) == ["seed", "epoch", *fields]
    assert run.history["seed"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert run.history["epoch"].tolist() == [1, 2, 3, 4] * 3
    assert run.history["loss"].tolist() == [loss for network in run.networks for loss in network.history.loss]
    assert [network.status for network in run.networks] == ["unconverged"] * 3
    assert run.converged.seeds == []
    assert run.converged.history.empty


def test_a_folder_is_loaded_from_wherever_one_stands(tiny_run, monkeypatch):
    monkeypatch.chdir(tiny_run)
    assert degen.load(".").seeds == degen.load(str(tiny_run)).seeds == [0, 1, 2]


def test_the_manifest_tells_versions_commit_device_and_costs(tiny_run):
    (session,) = degen.load(tiny_run).sessions
    assert session["seeds"] == [0, 1, 2]
    assert session["seconds"] > 0
    assert set(session["versions"]) == {"degen", "numerics", "python", "torch", "numpy"}
    assert session["versions"]["torch"] == torch.__version__
    assert {"git_commit", "cpu", "host", "started"} <= set(session)
    assert session["device"] == "cpu"


def test_the_folder_is_named_by_task_label_and_signature_and_holds_nothing_else(tiny_run):
    condition = build(*TINY)
    assert (tiny_run.parent.name, tiny_run.name) == (condition.task_name, condition.name)
    names = sorted(str(path.relative_to(tiny_run)) for path in tiny_run.rglob("*") if path.is_file())
    networks = [f"networks/0000{seed}.safetensors" for seed in range(3)]
    assert names == ["claim", "condition.yaml", "manifest.json", *networks]


def test_files_and_folders_have_the_permissions_of_the_umask(tiny_run):
    mask = os.umask(0)
    os.umask(mask)
    for path in (tiny_run, *tiny_run.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~mask


# What is refused --------------------------------------------------------------------------------------------


def test_a_folder_without_a_condition_is_refused(tmp_path):
    assert sentence(tmp_path).startswith("run folder must be a folder with a condition.yaml, got ")
    assert sentence(tmp_path / "nowhere").startswith("run folder must be a folder with a condition.yaml")


def test_a_renamed_folder_is_refused(copied):
    renamed = copied.rename(copied.with_name(copied.name[:-1] + "x"))
    assert sentence(renamed).startswith("run folder must be named with the signature ")


@pytest.mark.parametrize(
    "path", ["task.n_steps", "training.batch_size", "parameterization.width", "dtype", "signature"]
)
def test_an_altered_condition_is_refused(copied, path):
    config = yaml.safe_load((copied / "condition.yaml").read_text())
    *parents, last = path.split(".")
    node = config
    for key in parents:
        node = node[key]
    node[last] = {"dtype": "float64", "signature": "0" * 12}.get(path) or node[last] + 1
    (copied / "condition.yaml").write_text(yaml.safe_dump(config))
    assert sentence(copied).startswith(f"{copied / 'condition.yaml'} must be of signature ")


def test_a_folder_of_another_format_is_rejected_with_the_version_that_wrote_it(copied):
    file = copied / "condition.yaml"
    stored = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(stored | {"format": 3, "written_by": "degen 9.1"}))
    allowed = f"of format 2, the only one that degen {VERSION} reads (read this folder with degen 9.1)"
    assert sentence(copied) == f"{file} must be {allowed}, got 'format 3 of degen 9.1'."
    older = {key: value for key, value in stored.items() if key not in ("format", "written_by")}
    file.write_text(yaml.safe_dump(older))
    assert sentence(copied).endswith(", got 'format 1 of degen 0.1.0'.")


def test_a_field_of_a_later_version_is_rejected_with_the_version_that_wrote_it(copied):
    file = copied / "condition.yaml"
    stored = yaml.safe_load(file.read_text())
    stored["task"]["distractors"] = 2
    file.write_text(yaml.safe_dump(stored | {"written_by": "degen 0.9"}))
    expected = f"{file}, written by degen 0.9, cannot be read by degen {VERSION}: task.distractors must be "
    assert sentence(copied).startswith(expected)


def test_a_folder_is_found_by_its_signature_whatever_its_label(copied):
    condition = build(*TINY)
    home = copied.parent / "runs" / condition.task_name
    home.mkdir(parents=True)
    renamed = copied.rename(home / f"an-older-label-{condition.signature}")
    assert RunFolder.of(copied.parent / "runs", condition).path == renamed


@pytest.mark.parametrize("content", ["", "a: [", "just text", "- a list", "task: {}", "\x00", "signature: 1"])
def test_a_damaged_condition_is_refused(copied, content):
    (copied / "condition.yaml").write_text(content)
    assert "must be" in sentence(copied)


def test_a_condition_cut_anywhere_is_refused(copied):
    content = (copied / "condition.yaml").read_text()
    assert Condition.from_config(yaml.safe_load(content)) == build(*TINY)
    for size in range(0, len(content) - 1, 7):
        (copied / "condition.yaml").write_text(content[:size])
        sentence(copied)


def test_a_consistent_condition_with_the_networks_of_another_is_refused(copied):
    other = build(*TINY, "training.threshold=0.5")
    about = {"signature": other.signature, "format": FORMAT}
    (copied / "condition.yaml").write_text(yaml.safe_dump({**about, **other.config}))
    renamed = copied.rename(copied.with_name(other.name))
    network = renamed / "networks" / "00000.safetensors"
    assert sentence(renamed).startswith(f"{network} must be of signature {other.signature}, got ")


def test_the_network_of_another_seed_is_refused(copied):
    networks = copied / "networks"
    shutil.copy(networks / "00001.safetensors", networks / "00000.safetensors")
    assert sentence(copied) == f"{networks / '00000.safetensors'} must be the network of seed 0, got 1."


@pytest.mark.parametrize("part", ["networks/00001.safetensors", "manifest.json", "checkpoint.safetensors"])
def test_a_file_cut_in_the_middle_is_refused_before_training_and_when_loaded(copied, part):
    folder = RunFolder.open(copied)
    folder.write_checkpoint(Ensemble.new([7], folder.condition.task, folder.condition.model))
    folder.check()
    content = (copied / part).read_bytes()
    (copied / part).write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInputError, match=rf"{part} must be "):
        folder.check()
    if not part.startswith("checkpoint"):
        assert sentence(copied).startswith(f"{copied / part} must be ")


def test_a_checkpoint_is_no_network_and_a_network_no_checkpoint(copied):
    folder = RunFolder.open(copied)
    folder.write_checkpoint(Ensemble.new([7], folder.condition.task, folder.condition.model))
    network, checkpoint = copied / "networks" / "00000.safetensors", copied / "checkpoint.safetensors"
    before = checkpoint.read_bytes()
    shutil.copy(network, checkpoint)
    with pytest.raises(BadInputError, match="must be a checkpoint"):
        folder.read_checkpoint()
    network.write_bytes(before)
    with pytest.raises(BadInputError, match="must be the network of seed 0"):
        folder.read_network(0)


def test_a_checkpoint_of_another_condition_is_refused(copied):
    folder = RunFolder.open(copied)
    other = RunFolder(copied, build(*TINY, "training.threshold=0.5"))
    other.write_checkpoint(Ensemble.new([7], folder.condition.task, folder.condition.model))
    with pytest.raises(BadInputError, match=f"must be of signature {folder.condition.signature}, got "):
        folder.read_checkpoint()


def test_weights_with_a_checksum_of_their_own_but_another_signature_are_refused(copied):
    path = copied / "networks" / "00000.safetensors"
    tensors, metadata = read_tensors(path)
    write_tensors(path, tensors, metadata | {"signature": "0" * 12})
    assert sentence(copied).startswith(f"{path} must be of signature ")


def test_what_is_no_network_file_is_no_network(copied):
    for name in ("1.safetensors", "notes.safetensors", "00007.txt", ".00008.safetensors.abc.part"):
        (copied / "networks" / name).write_text("")
    assert degen.load(copied).seeds == [0, 1, 2]


def test_nothing_is_made_where_there_is_no_space(tmp_path, monkeypatch):
    folder = RunFolder.of(tmp_path / "runs", build(*TINY))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=999))
    with pytest.raises(BadInputError, match="runs must be on a disk with 1,000 bytes free"):
        folder.create(bytes_needed=1000)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "runs", Path("/proc/runs")):
        with pytest.raises(BadInputError, match="runs must be a folder that can be written to, got "):
            RunFolder.of(place, build(*TINY)).create(0)


# Claims -----------------------------------------------------------------------------------------------------


def test_a_folder_is_claimed_once_and_free_again_after(folder):
    with folder.claim():
        with pytest.raises(ClaimedError, match=f"trained by process {os.getpid()} on "), folder.claim():
            pass
        assert (folder.path / "condition.yaml").exists()
    with folder.claim():
        pass


def test_where_there_are_no_locks_a_warning_says_so_and_work_goes_on(folder, monkeypatch):
    def refuse(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.warns(UserWarning, match=r"cannot be locked \(No locks available\): nothing keeps"),
        folder.claim(),
    ):
        assert (folder.path / "condition.yaml").exists()
    with pytest.warns(UserWarning, match="cannot be locked"), locked(folder.path):
        pass


def test_a_claim_that_cannot_be_opened_is_one_sentence(folder):
    (folder.path / "claim").mkdir()
    with (
        pytest.raises(BadInputError, match="runs must be folders whose claims can be written to"),
        folder.claim(),
    ):
        pass


def test_a_claim_removes_what_interrupted_writes_left_and_nothing_else(folder):
    stored(folder, SEEDS, epochs=1)
    before = sorted(path for path in folder.path.rglob("*"))
    for place in (folder.path, folder.path / "networks"):
        (place / ".checkpoint.safetensors.0123.part").write_text("half")
    with folder.claim():
        pass
    assert sorted(path for path in folder.path.rglob("*")) == before


def test_whoever_has_not_claimed_the_folder_writes_no_file(folder):
    before = sorted(folder.path.rglob("*"))
    for _ in range(2):
        folder.create(0)
    folder.check()
    assert sorted(folder.path.rglob("*")) == before == [folder.path / "networks"]


def test_manifests_are_json_that_tells_the_condition(tiny_run):
    manifest = json.loads((tiny_run / "manifest.json").read_text())
    assert tiny_run.name.endswith(manifest["signature"])


# Weights at convergence and after settling ------------------------------------------------------------------


def test_weights_at_convergence_and_after_settling_are_both_stored(tmp_path):
    quick = ("training.threshold=10", "training.patience=2", "training.settle_epochs=2")
    folder = RunFolder.of(tmp_path, build(*TINY, *quick))
    folder.create(0)
    stored(folder, [0, 1])
    run, settled = degen.load(folder.path), degen.load(folder.path).with_weights_at("settled")
    plain = RunFolder.of(tmp_path, build(*TINY, *quick[:2], "training.settle_epochs=0"))
    plain.create(0)
    stored(plain, [0, 1])
    assert [network.status for network in run.networks] == ["converged"] * 2
    assert [len(network.history) for network in run.networks] == [4, 4]
    unsettled = degen.load(plain.path)
    for name, weights in unsettled.weights.items():
        assert torch.equal(run.weights[name], weights)
        assert torch.equal(unsettled.with_weights_at("settled").weights[name], weights)
        assert not torch.equal(settled.weights[name], weights)
    with pytest.raises(BadInputError, match="weights_at must be one of converged, settled, got 'last'"):
        run.with_weights_at("last")
