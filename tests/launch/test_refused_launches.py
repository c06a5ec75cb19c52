"""Bad input of `launch.train`: exit code 2, one sentence with field, value and allowed values, no folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from degen.files import read_tensors, write_tensors
from degen.storage import RunFolder
from tests.conftest import TINY, build, refusal
from tests.in_process import rejection, run_in_process

UNTRAINED = "losses and gradients of untrained networks"
TOO_LARGE = "values of task, parameterization, regularizer or noise are too large or too small"
DISCRIMINATION = "task=delayed_discrimination"


@pytest.mark.parametrize(
    ("arguments", "field", "value", "allowed"),
    [
        (["optimizer=adam"], "optimizer", "adam", "one of seeds, runs, device"),
        (["+learning_rate=0.1"], "learning_rate", "'0.1'", "one of seeds, runs, device"),
        (["-m", "++optimizer.name=adam,sgd"], "optimizer", "'adam'", "one of seeds, runs, device"),
        (["task=flop"], "task", "'flop'", "one of context_integration, delayed_discrimination"),
        (["regularizer=l3"], "regularizer", "'l3'", "one of l1, none, nuclear_norm"),
        (["width=wide"], "width", "'wide'", "any number"),
        (["experiment=dmeo"], "experiment", "'dmeo'", "demo"),
        (["task.bits=2"], "task.bits", "2", "one of channels, n_steps, pulse_probability"),
        (["regularizer=l1", "regularizer.power=2"], "regularizer.power", "2", "one of strength"),
        (["+task.bits=2"], "task.bits", "2", "one of channels, n_steps, pulse_probability"),
        (
            ["task=path_integration", "training.schedule._target_=degen.training.Constant"],
            "training.schedule.factor",
            "0.5",
            "absent (~training.schedule.factor): Constant has no fields",
        ),
        (["task._target_=.tasks.Own"], "task._target_", "'.tasks.Own'", "the dotted name of an importable"),
        (["task.channels=0"], "task.channels", "0", "an integer of at least 1"),
        (["task.channels=1.5"], "task.channels", "1.5", "an integer of at least 1"),
        (["width=0"], "width", "0", "an integer of at least 1"),
        (["width=-3"], "width", "-3", "an integer of at least 1"),
        (["gamma=0"], "gamma", "0", "a finite number above 0"),
        (["gamma=-2"], "gamma", "-2", "a finite number above 0"),
        (["regularizer=l1", "regularizer.strength=-1e-4"], "regularizer.strength", "-0.0001", "at least 0"),
        (
            ["regularizer=nuclear_norm", "regularizer.strength=-1"],
            "regularizer.strength",
            "-1",
            "a finite number of at least 0",
        ),
        (["seeds=0"], "seeds", "0", "a number of at least 1 or a list of different numbers"),
        (["seeds=[]"], "seeds", "[]", "a number of at least 1 or a list of different numbers"),
        (["seeds=[3,1,3]"], "seeds", "[3, 1, 3]", "a number of at least 1 or a list of different numbers"),
        (["seeds=[-1]"], "seeds", "[-1]", "a number of at least 1 or a list of different numbers"),
        (["seeds=many"], "seeds", "'many'", "a number of at least 1 or a list of different numbers"),
        (["seeds=null"], "seeds", "None", "a number of at least 1 or a list of different numbers"),
        ([DISCRIMINATION, "task.max_delay=50"], "task.max_delay", "50", "at most 3"),
        ([DISCRIMINATION, "task.n_steps=40"], "task.max_delay", "20", "at most "),
        (["device=gpu"], "device", "'gpu'", "auto, cpu, cuda"),
        (["dtype=int8"], "dtype", "'int8'", "one of float32, float64"),
        (["tf32=1"], "tf32", "1", "true or false"),
        (["checkpoint_seconds=-1"], "checkpoint_seconds", "-1", "a finite number of at least 0"),
        (["runs=null"], "runs", "None", "the path of a folder"),
        (["task.n_steps=9223372036854775808"], "task.n_steps", "9223372036854775808", "below 2^63"),
        (["gamma=1e-30"], UNTRAINED, "inf", TOO_LARGE),
        (["regularizer=l1", "regularizer.strength=1e300"], UNTRAINED, "0.", TOO_LARGE),
        (["parameterization=relu", "parameterization.initial_gain=1e39"], UNTRAINED, "nan", TOO_LARGE),
        (["training.input_noise=1e300"], UNTRAINED, "nan", TOO_LARGE),
        (["-m", "gamma=1,0"], "gamma", "0", "a finite number above 0"),
        (["-m", "experiment=demo", "task.n_steps=10,0"], "task.n_steps", "0", "an integer of at least 1"),
        (["experiment=demo", "width=0"], "width", "0", "an integer of at least 1"),
        (["experiment=demo", "task.channels=2"], "experiment.grids", "2bit", "conditions that differ"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_values_are_rejected_before_any_work(tmp_path, arguments, field, value, allowed):
    sentence = rejection(tmp_path, "launch.train", *arguments)
    assert sentence.startswith(f"{field} must be ")
    assert allowed in sentence
    assert value in sentence.rpartition(", got ")[2]
    assert list(tmp_path.iterdir()) == []


def test_a_lack_of_memory_is_one_sentence(tmp_path):
    ended = run_in_process(tmp_path, "launch.train", "task.n_steps=1000000000000000")
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr.startswith("error: there is not enough memory: reduce width, task.n_steps, ")
    assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_absent_cuda_is_rejected(tmp_path, device):
    allowed = "auto or cpu here: there is no CUDA device"
    sentence = rejection(tmp_path, "launch.train", *TINY, f"device={device}")
    assert sentence == f"device must be {allowed}, got '{device}'."
    assert list(tmp_path.iterdir()) == []


def test_the_process_ends_with_code_2_and_one_sentence(tmp_path, start):
    sentence = refusal(start("task.channels=0"))
    assert sentence == rejection(tmp_path, "launch.train", "task.channels=0")
    assert list(tmp_path.iterdir()) == []


# Run folders ------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tiny_run: Path, tmp_path: Path) -> Path:
    """Return a run folder at the path that the next launch uses."""
    return shutil.copytree(tiny_run, tmp_path / "runs" / "flip_flop" / tiny_run.name)


def truncate(folder: Path) -> None:
    network = folder / "networks" / "00001.safetensors"
    network.write_bytes(network.read_bytes()[:-1])


def tamper(folder: Path) -> None:
    network = folder / "networks" / "00001.safetensors"
    content = bytearray(network.read_bytes())
    content[-1] ^= 1
    network.write_bytes(content)


def sign_otherwise(folder: Path) -> None:
    network = folder / "networks" / "00001.safetensors"
    tensors, metadata = read_tensors(network)
    write_tensors(network, tensors, metadata | {"signature": "0" * 12})


def change_the_condition(folder: Path) -> None:
    condition = folder / "condition.yaml"
    condition.write_text(condition.read_text().replace("batch_size: 8", "batch_size: 9"))


@pytest.mark.parametrize(
    ("damage", "file", "allowed"),
    [
        (truncate, "networks/00001.safetensors", "a complete file written by degen"),
        (tamper, "networks/00001.safetensors", "as degen wrote it"),
        (sign_otherwise, "networks/00001.safetensors", "of signature "),
        (change_the_condition, "condition.yaml", "of signature "),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
@pytest.mark.parametrize("arguments", [[], ["experiment=demo"]], ids=["alone", "in an experiment"])
def test_damaged_run_folders_are_rejected_before_any_work(tmp_path, folder, damage, file, allowed, arguments):
    damage(folder)
    before = sorted(tmp_path.rglob("*"))
    sentence = rejection(tmp_path, "launch.train", *arguments, *TINY, "seeds=5")
    assert sentence.startswith(f"{folder.relative_to(tmp_path) / file} must be {allowed}")
    assert sorted(tmp_path.rglob("*")) == before


# Permissions and disk space ---------------------------------------------------------------------------------


def be_nobody_when_writing() -> None:
    """Give up root, who may write anywhere. Only for writing: conf/ may be readable by root alone."""
    create = RunFolder.create

    def create_as_nobody(*arguments, **named) -> None:
        if os.geteuid() == 0:
            os.setuid(65534)
        create(*arguments, **named)

    RunFolder.create = create_as_nobody


@pytest.mark.parametrize("runs", ["forbidden", "forbidden/runs"])
def test_a_folder_without_permission_is_rejected(tmp_path, start, runs):
    tmp_path.chmod(0o755)
    (tmp_path / "forbidden").mkdir(mode=0o555)
    sentence = refusal(start(*TINY, f"runs={runs}", before=be_nobody_when_writing))
    workspace = f"{runs}/flip_flop/{build(*TINY).name}"
    assert sentence == f"runs must be a folder that can be written to, got {workspace} (Permission denied)."
    assert list((tmp_path / "forbidden").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of 512 KiB."""
    workspace = tmp_path / "disk"
    workspace.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(workspace)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    yield workspace
    subprocess.run(["umount", str(workspace)], check=True)


def test_a_disk_without_space_is_rejected(small_disk, tmp_path):
    sentence = rejection(tmp_path, "launch.train", *TINY, f"runs={small_disk}")
    assert sentence.startswith("runs must be on a disk with ")
    assert "bytes free (it has 524,288), got " in sentence
    assert list(small_disk.iterdir()) == []
