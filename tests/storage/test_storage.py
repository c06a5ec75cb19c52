"""Run folders: written files are read back."""

from __future__ import annotations

import os
import stat

import pytest
import torch

import degen
from degen.errors import BadInputError
from degen.storage import RunFolder
from degen.streams import Stream
from degen.training import Ensemble, train
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
            folder.networks.write(done, member)
        if len(running) and len(running.histories[0]) == epochs:
            raise EnoughError

    with folder.lock():
        try:
            train(running, *parts, on_epoch=on_epoch)
        except EnoughError:
            folder.checkpoints.write(latest)
    return latest


@pytest.mark.parametrize(
    "overrides", [(), ("task=path_integration", "parameterization=mup", "dtype=float64")]
)
def test_a_network_read_equals_the_network_written(tmp_path, overrides):
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
    folder.networks.write(ensemble, 1)
    assert folder.finished_seeds() == [0]
    network = folder.networks.read(0)
    assert (network.seed, network.status) == (0, "unconverged")
    assert network.history == ensemble.histories[1]
    for read, written in ((network.initial, ensemble.initial), (network.weights, ensemble.parameters)):
        assert set(read) == set(written)
        for name, weights in read.items():
            assert weights.dtype == condition.dtype
            assert torch.equal(weights[0], written[name][1])
    assert not torch.equal(network.weights["recurrent"], network.initial["recurrent"])


def test_a_checkpoint_read_equals_the_checkpoint_written(folder):
    saved = stored(folder, SEEDS, epochs=2)
    read = folder.checkpoints.read()
    assert read.seeds == SEEDS
    assert repr(read.histories) == repr(saved.histories)  # NaN is not equal to itself
    for kind, parameters in saved.tensors.items():
        for name, weights in parameters.items():
            assert torch.equal(read.tensors[kind][name], weights)
    assert saved.second_moment["recurrent"].abs().max() > 0


def test_finished_networks_leave_the_checkpoint(folder):
    saved = stored(folder, SEEDS, epochs=2)
    folder.networks.write(saved, 1)
    assert folder.checkpoints.read().seeds == [2, 5]
    folder.checkpoints.write(saved.select([]))
    assert not (folder.path / "checkpoint.safetensors").exists()
    assert folder.checkpoints.read() is None


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


def test_a_folder_is_loaded_by_relative_and_absolute_paths(tiny_run, monkeypatch):
    monkeypatch.chdir(tiny_run)
    assert degen.load(".").seeds == degen.load(str(tiny_run)).seeds == [0, 1, 2]


def test_the_manifest_has_versions_commit_device_and_seconds(tiny_run):
    (session,) = degen.load(tiny_run).sessions
    assert session["seeds"] == [0, 1, 2]
    assert session["seconds"] > 0
    assert session["cpu_seconds"] > 0
    assert set(session["versions"]) == {"degen", "numerics", "python", "torch", "numpy"}
    assert session["versions"]["torch"] == torch.__version__
    assert {"git_commit", "cpu", "host", "started"} <= set(session)
    assert session["device"] == "cpu"


def test_the_folder_has_its_name_and_no_other_files(tiny_run):
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


def test_converged_and_settled_weights_are_stored(tmp_path):
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
