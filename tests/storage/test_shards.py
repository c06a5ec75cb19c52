"""Shards of a run folder: several processes train different seeds."""

from __future__ import annotations

import contextlib
import logging
import resource
import signal
import threading

import pytest
import torch

from degen.errors import BadInputError, UnwritableError
from degen.locks import LockedError, hold_lock
from degen.storage import RunFolder
from launch.settings import TrainSettings
from launch.slurm import worker
from launch.train import train_condition
from tests.conftest import TINY, assert_same_networks, build
from tests.storage.test_storage import stored

CPU = torch.device("cpu")


def made(folder: RunFolder) -> RunFolder:
    folder.create(bytes_needed=0)
    return folder


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return made(RunFolder.of(tmp_path / "runs", build(*TINY)))


def test_shards_are_locked_together_but_not_with_the_whole(folder):
    first, second = made(folder.shard([0, 1])), made(folder.shard([2]))
    with first.lock(), second.lock():
        for claimed in (folder, first, second):
            with pytest.raises(LockedError, match="is being trained by process"), claimed.lock():
                pass
        assert folder.is_locked()
    with folder.lock(), pytest.raises(LockedError, match="is being trained by process"), first.lock():
        pass
    assert not folder.is_locked()


def test_the_whole_folder_resumes_from_shards(folder, tiny_run):
    stored(made(folder.shard([0, 1])), [0, 1], epochs=2)
    stored(made(folder.shard([2])), [2], epochs=3)
    assert [len(history.loss) for history in folder.checkpoints.read().histories] == [2, 2, 3]
    train_condition(folder, [0, 1, 2], CPU, checkpoint_seconds=0)
    assert sum(session["epochs"] for session in folder.manifest.read()) == 2
    assert not list(folder.path.rglob("checkpoint*"))
    assert_same_networks(folder.path, tiny_run)


def test_shards_resume_from_the_whole_folder_or_other_shards(folder, tiny_run):
    stored(folder, [0, 1, 2], epochs=1)
    stored(made(folder.shard([1, 2])), [1, 2], epochs=3)
    for seeds, epochs in (([0, 1], [1, 3]), ([2], [3])):
        shard = made(folder.shard(seeds))
        saved = shard.checkpoints.read()
        behind = dict(zip(saved.seeds, (len(history.loss) for history in saved.histories), strict=True))
        assert [behind[seed] for seed in seeds] == epochs
        train_condition(shard, seeds, CPU, checkpoint_seconds=0)
    assert not list(folder.path.rglob("checkpoint*"))
    assert_same_networks(folder.path, tiny_run)


def test_a_shard_keeps_temporary_files_of_others(folder):
    networks = folder.path / "networks"
    (networks / ".00000.safetensors.x.part").touch()
    (networks / ".00005.safetensors.x.part").touch()
    with made(folder.shard([0, 1])).lock():
        assert [path.name for path in networks.iterdir()] == [".00005.safetensors.x.part"]


def test_a_filesystem_without_atomic_renames_is_rejected(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"root / ext4 rw 0 0\nbucket {tmp_path} fuse.s3fs rw 0 0\n")
    monkeypatch.setattr("degen.files.MOUNTS", mounts)
    with pytest.raises(
        BadInputError, match=r"renames are atomic, got .* on fuse.s3fs: a process that is killed"
    ):
        made(RunFolder.of(tmp_path / "runs", build(*TINY)))
    assert [path.name for path in tmp_path.iterdir()] == ["mounts"]


def test_a_job_waits_for_a_lock_and_then_fails(folder, tiny_run, monkeypatch, caplog):
    """A requeued job may find the lock of its former process, which a file server has not missed yet."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # which the job hides, and is restored
    monkeypatch.setattr(worker, "_POLL_INTERVAL_S", 0.05)
    caplog.set_level(logging.INFO)
    condition, seeds = folder.condition, [0, 1, 2]
    shard = {"condition": condition.config, "signature": condition.signature, "seeds": seeds}
    runs = folder.path.parent.parent
    settings = TrainSettings(runs=runs, device="cpu", tf32=False, checkpoint_seconds=0)
    with contextlib.ExitStack() as other:
        other.enter_context(made(folder.shard(seeds)).lock())
        monkeypatch.setattr(worker, "_LOCK_TIMEOUT_S", 0.1)
        with pytest.raises(LockedError, match="is being trained by process"):
            worker._train(shard, settings)
        assert folder.finished_seeds() == []
        monkeypatch.setattr(worker, "_LOCK_TIMEOUT_S", 60.0)
        threading.Timer(0.2, other.close).start()
        worker._train(shard, settings)
    assert "waiting for its lock" in caplog.text
    assert_same_networks(folder.path, tiny_run)


def test_a_lock_on_a_full_disk_raises_unwritable_error(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(UnwritableError), hold_lock(tmp_path / "claim", shared=False):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
