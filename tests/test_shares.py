"""Shares of a run folder: processes beside each other, each with seeds of its own."""

from __future__ import annotations

import contextlib
import resource
import signal
import threading

import pytest
import torch

from degen.errors import BadInputError, UnwritableError
from degen.locks import ClaimedError, claimed
from degen.storage import RunFolder
from launch.slurm import worker
from launch.train import train_condition
from tests.conftest import TINY, assert_same_networks, build
from tests.test_storage import stored

CPU = torch.device("cpu")


def made(folder: RunFolder) -> RunFolder:
    folder.create(bytes_needed=0)
    return folder


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return made(RunFolder.of(tmp_path / "runs", build(*TINY)))


def test_shares_are_claimed_beside_each_other_and_neither_twice_nor_beside_the_whole(folder):
    first, second = made(folder.shard([0, 1])), made(folder.shard([2]))
    with first.lock(), second.lock():
        for claimed in (folder, first, second):
            with pytest.raises(ClaimedError, match="is being trained by process"), claimed.lock():
                pass
        assert folder.is_locked()
    with folder.lock(), pytest.raises(ClaimedError, match="is being trained by process"), first.lock():
        pass
    assert not folder.is_locked()


def test_a_process_alone_goes_on_where_shares_stopped(folder, tiny_run):
    stored(made(folder.shard([0, 1])), [0, 1], epochs=2)
    stored(made(folder.shard([2])), [2], epochs=3)
    assert [len(history.loss) for history in folder.checkpoints.read().histories] == [2, 2, 3]
    train_condition(folder, [0, 1, 2], CPU, checkpoint_seconds=0)
    assert sum(session["epochs"] for session in folder.manifest.read()) == 2
    assert not list(folder.path.rglob("checkpoint*"))
    assert_same_networks(folder.path, tiny_run)


def test_shares_go_on_where_a_process_alone_or_shares_cut_otherwise_stopped(folder, tiny_run):
    stored(folder, [0, 1, 2], epochs=1)
    stored(made(folder.shard([1, 2])), [1, 2], epochs=3)
    for seeds, epochs in (([0, 1], [1, 3]), ([2], [3])):
        share = made(folder.shard(seeds))
        saved = share.checkpoints.read()
        behind = dict(zip(saved.seeds, (len(history.loss) for history in saved.histories), strict=True))
        assert [behind[seed] for seed in seeds] == epochs
        train_condition(share, seeds, CPU, checkpoint_seconds=0)
    assert not list(folder.path.rglob("checkpoint*"))
    assert_same_networks(folder.path, tiny_run)


def test_a_share_leaves_what_others_write(folder):
    networks = folder.path / "networks"
    (networks / ".00000.safetensors.x.part").touch()
    (networks / ".00005.safetensors.x.part").touch()
    with made(folder.shard([0, 1])).lock():
        assert [path.name for path in networks.iterdir()] == [".00005.safetensors.x.part"]


def test_a_filesystem_without_atomic_renames_is_refused(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"root / ext4 rw 0 0\nbucket {tmp_path} fuse.s3fs rw 0 0\n")
    monkeypatch.setattr("degen.files.MOUNTS", mounts)
    with pytest.raises(
        BadInputError, match=r"renames are atomic, got .* on fuse.s3fs: a process that is killed"
    ):
        made(RunFolder.of(tmp_path / "runs", build(*TINY)))
    assert [path.name for path in tmp_path.iterdir()] == ["mounts"]


def test_a_job_waits_for_a_claim_and_fails_where_it_stays(folder, tiny_run, monkeypatch, capsys):
    """A requeued job may find the lock of its former process, which a file server has not missed yet."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # which the job hides, and is restored
    monkeypatch.setattr(worker, "_SECONDS_BETWEEN_TRIES", 0.05)
    condition, seeds = folder.condition, [0, 1, 2]
    piece = {"condition": condition.config, "signature": condition.signature, "seeds": seeds}
    task = {"runs": str(folder.path.parent.parent), "device": "cpu", "tf32": False, "checkpoint_seconds": 0}
    with contextlib.ExitStack() as other:
        other.enter_context(made(folder.shard(seeds)).lock())
        monkeypatch.setattr(worker, "_SECONDS_TO_BE_FREE", 0.1)
        with pytest.raises(ClaimedError, match="is being trained by process"):
            worker._train(piece, task)
        assert folder.finished_seeds() == []
        monkeypatch.setattr(worker, "_SECONDS_TO_BE_FREE", 60.0)
        threading.Timer(0.2, other.close).start()
        worker._train(piece, task)
    assert "waiting for it" in capsys.readouterr().out
    assert_same_networks(folder.path, tiny_run)


def test_a_claim_on_a_full_disk_is_refused_as_one(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(UnwritableError), claimed(tmp_path / "claim", shared=False):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
