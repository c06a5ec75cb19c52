"""Snapshots of `launch.train`: weights along training, and networks that are trained again for them."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
import torch

import degen
from degen.errors import BadInputError
from degen.files import read_tensors, write_tensors
from degen.storage import RunFolder
from launch.settings import TrainSettings
from launch.slurm import worker
from launch.train import train_condition
from tests.conftest import TINY, TINY_OFTEN, assert_same_networks, build, run_folder
from tests.in_process import rejection
from tests.launch.hooks import Signal

CPU = torch.device("cpu")
SNAPSHOTS = "snapshots=[0,1,2,10,end]"
FILES = [f"0000{seed}-0000{epoch}.safetensors" for seed in range(3) for epoch in (1, 2)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "snapshots").iterdir())


def assert_same_snapshots(folder: Path, expected: Path) -> None:
    for epoch in range(3):
        run, other = (degen.load(path).with_weights_at(epoch) for path in (folder, expected))
        assert run.seeds == other.seeds == [0, 1, 2]
        assert all(torch.equal(run.weights[name], weights) for name, weights in other.weights.items())


@pytest.fixture
def finished(tmp_path: Path, tiny_run: Path) -> RunFolder:
    """A copy of the networks without snapshots."""
    target = tmp_path / "runs" / "flip_flop" / tiny_run.name
    return RunFolder.open(shutil.copytree(tiny_run, target))


def test_a_snapshot_is_a_network_trained_that_long(finished, tmp_path):
    train_condition(finished, [0, 1, 2], CPU, 30, snapshots=[1, 2])
    for epoch in (1, 2):
        shorter = RunFolder.of(tmp_path / "short", build(*TINY, f"training.max_epochs={epoch}"))
        shorter.create(0)
        train_condition(shorter, [0, 1, 2], CPU, 30)
        run, ended = degen.load(finished.path).with_weights_at(epoch), degen.load(shorter.path)
        assert all(torch.equal(run.weights[name], weights) for name, weights in ended.weights.items())


def test_initial_and_last_weights_have_no_files(tmp_path, launch, tiny_run):
    launch(*TINY, "seeds=3", SNAPSHOTS)
    folder = run_folder(tmp_path)
    assert names(folder) == FILES
    assert_same_networks(folder, tiny_run)
    run = degen.load(folder)
    assert torch.equal(run.with_weights_at(0).weights["recurrent"], run.initial["recurrent"])
    assert torch.equal(run.with_weights_at(4).weights["recurrent"], run.weights["recurrent"])
    assert run.with_weights_at(5).seeds == []
    with pytest.raises(
        BadInputError, match=r"snapshots must be epochs that were stored, \[1, 2\] for seed 0"
    ):
        run.with_weights_at(3)


def test_settling_epochs_have_no_snapshots(tmp_path):
    condition = build(*TINY, "training.threshold=10", "training.patience=2", "training.settle_epochs=2")
    folder = RunFolder.of(tmp_path, condition)
    folder.create(0)
    train_condition(folder, [0], CPU, 30, snapshots=[1, 2, 3])
    assert names(folder.path) == ["00000-00001.safetensors"]  # it converges in epoch 2
    run = degen.load(folder.path)
    assert torch.equal(run.with_weights_at(2).weights["recurrent"], run.weights["recurrent"])
    assert run.with_weights_at(3).seeds == []


def test_finished_networks_are_trained_again_once(finished, tmp_path, launch, tiny_run):
    before = {path: path.stat().st_mtime_ns for path in finished.paths.networks.iterdir()}
    printed = launch(*TINY, "seeds=3", SNAPSHOTS).stdout
    assert "training 3 networks again, for their snapshots\n" in printed
    assert names(finished.path) == FILES
    assert {path: path.stat().st_mtime_ns for path in finished.paths.networks.iterdir()} == before
    assert [session.get("trained_again") for session in finished.manifest.read()] == [False, True]
    assert not (finished.path / "retraining").exists()
    assert "all 3 networks are finished" in launch(*TINY, "seeds=3", SNAPSHOTS).stdout
    launch(*TINY, "seeds=3")
    assert names(finished.path) == FILES  # a run without snapshots deletes none
    assert_same_networks(finished.path, tiny_run)


@pytest.mark.parametrize("part", ["history/loss", "weights/recurrent"])
def test_other_bits_are_an_error_that_keeps_the_network(finished, part):
    file = finished.paths.network(1)
    tensors, metadata = read_tensors(file)
    del metadata["sha256"]
    tensors[part].view(-1)[0] += 1e-3  # a network of another device
    write_tensors(file, tensors, metadata)
    before = file.read_bytes()
    with pytest.raises(
        BadInputError, match=r"for seed 1 of .*: stored by degen .* on .*, trained again by degen"
    ):
        train_condition(finished, [0, 1, 2], CPU, 30, snapshots=[1, 2])
    assert file.read_bytes() == before
    assert finished.paths.snapshot_epochs(1) == []
    assert not (finished.path / "retraining").exists()


@pytest.mark.parametrize("is_finished", [False, True])
@pytest.mark.parametrize("moment", ["before the renaming", "after the renaming"])
def test_interrupted_training_gives_the_same_snapshots(
    tmp_path, request, start, launch, tiny_run, moment, is_finished
):
    if is_finished:
        request.getfixturevalue("finished")
    dies = Signal("00001-00002.safetensors", moment)
    assert start(*TINY_OFTEN, SNAPSHOTS, before=dies).wait() == -signal.SIGKILL
    launch(*TINY_OFTEN, SNAPSHOTS)
    folder = run_folder(tmp_path)
    assert names(folder) == FILES
    assert_same_networks(folder, tiny_run)
    whole = RunFolder.of(tmp_path / "whole", build(*TINY))
    whole.create(0)
    train_condition(whole, [0, 1, 2], CPU, 30, snapshots=[1, 2])
    assert_same_snapshots(folder, whole.path)


def test_epochs_that_a_resumed_training_has_passed_follow(tmp_path, start, launch):
    dies = Signal("checkpoint.safetensors", "after the renaming", 2)
    assert start(*TINY_OFTEN, before=dies).wait() == -signal.SIGKILL
    printed = launch(*TINY_OFTEN, SNAPSHOTS).stdout
    assert "training 3 networks\n" in printed
    assert "training 3 networks again, for their snapshots\n" in printed
    assert names(run_folder(tmp_path)) == FILES


def test_jobs_store_snapshots_of_their_shard(finished, tmp_path):
    settings = TrainSettings.from_config(
        {
            "runs": str(tmp_path / "runs"),
            "device": "cpu",
            "tf32": False,
            "checkpoint_seconds": 0,
            "snapshots": [1],
        }
    )
    condition = finished.condition
    shard = {"signature": condition.signature, "seeds": [0, 2], "condition": condition.config}
    worker._train(shard, settings)
    assert names(finished.path) == ["00000-00001.safetensors", "00002-00001.safetensors"]
    assert finished.complete_seeds([1]) == [0, 2]
    assert finished.complete_seeds([0]) == [0, 1, 2]


def test_a_snapshot_of_another_training_is_rejected(finished):
    train_condition(finished, [0, 1], CPU, 30, snapshots=[1])
    shutil.copy(finished.paths.snapshot(1, 1), finished.paths.snapshot(0, 1))
    with pytest.raises(BadInputError, match="of seed 0 and epoch 1"):
        finished.validate()


@pytest.mark.parametrize("value", ["[1,1]", "[-1]", "[1.5]", "5", "[first]"])
def test_bad_snapshots_are_rejected_before_any_work(tmp_path, value):
    sentence = rejection(tmp_path, "launch.train", *TINY, f"snapshots={value}")
    assert sentence.startswith("snapshots must be a list of different epochs of at least 0")
    assert list(tmp_path.iterdir()) == []
