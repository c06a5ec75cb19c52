"""Submission records, plans, status, snapshots and warnings, without a SLURM."""

from __future__ import annotations

import fcntl
import importlib
import os
import shutil
import time
from pathlib import Path

import pytest

from degen.errors import BadInputError
from degen.locks import exclusive_lock
from degen.storage import RunFolder
from degen.versions import NUMERICS
from launch.condition_status import status
from launch.experiment import compose_sweep
from launch.slurm import client as slurm
from launch.slurm.plan import plan_submission
from launch.slurm.snapshot import snapshot_code
from launch.slurm.submissions import Shard, Submission, read_submissions
from launch.status import as_text
from launch.submit import device_of_job
from tests.conftest import TINY, build, refusal, run_folder


def submission(runs: Path, experiment: str) -> Submission:
    result = Submission.new(
        runs, experiment, [[[Shard("0123456789ab", [0, 1])]]], {"0123456789ab": "task/name"}
    )
    result.write()
    return result


# Records ----------------------------------------------------------------------------------------------------


def test_array_names_are_unique_and_valid_in_slurm(tmp_path):
    long = ",".join(["auxiliary_loss", "memory_demand"] * 6)
    names = [
        submission(tmp_path / folder_name, experiment).array_name(0)
        for folder_name in ("one", "other")
        for experiment in ("demo", "demo", long)
    ]
    assert len(set(names)) == 6
    assert all(
        len(name) < 100 and name.replace("-", "").isidentifier() for name in names
    )  # no comma, no space


def test_submissions_are_read_after_a_move_but_not_in_a_copy(tmp_path):
    runs = tmp_path / "runs"
    made = submission(runs, "demo")
    assert read_submissions(runs) == [made]
    shutil.copytree(runs, tmp_path / "copy")
    assert read_submissions(tmp_path / "copy") == []
    runs.rename(tmp_path / "moved")
    (moved,) = read_submissions(tmp_path / "moved")
    assert moved.identity == made.identity


# Folders that cannot be read --------------------------------------------------------------------------------


@pytest.fixture
def spoiled(tiny_run, tmp_path) -> Path:
    """Return runs with a finished condition, a copy of its folder, and a folder of another version."""
    shutil.copytree(tiny_run, tmp_path / "runs" / "flip_flop" / tiny_run.name)
    shutil.copytree(tiny_run, tmp_path / "runs" / "flip_flop" / f"{tiny_run.name}.bak")
    other = tmp_path / "runs" / "flip_flop" / "older-0123456789ab"
    other.mkdir()
    text = (tiny_run / "condition.yaml").read_text()
    (other / "condition.yaml").write_text(text.replace("  n_steps:", "  steps:"))
    return tmp_path / "runs"


def test_the_plan_skips_unreadable_folders(spoiled):
    sweep = compose_sweep([*TINY, "seeds=5", f"runs={spoiled}"])
    plan = plan_submission(sweep, [], {"array_parallelism": 3}, 100)
    assert (plan.finished, [shard.seeds for shard in plan.shards]) == (3, [[3, 4]])
    assert plan.hours is not None


def test_status_lists_unreadable_folders(spoiled):
    rows = {row.condition: row for row in status([f"runs={spoiled}"])}
    assert sorted(row.state for row in rows.values()) == ["done", "unreadable", "unreadable"]
    text = as_text(list(rows.values()))
    assert "1 done" in text
    assert "2 unreadable" in text
    assert "older-0123456789ab/condition.yaml, written by degen " in text
    assert "cannot be read by degen " in text


def test_status_names_the_fields_in_which_equal_labels_differ(tmp_path):
    arguments = [text for text in TINY if not text.startswith("task.n_steps")]
    rows = status([*arguments, "task.n_steps=10,12", f"runs={tmp_path}"])
    assert len({row.condition.rpartition("-")[0] for row in rows}) == 1
    assert [row.fields for row in rows] == ["task.n_steps=10", "task.n_steps=12"]
    assert "task.n_steps=12" in as_text(rows)
    (alone,) = status([*arguments, "task.n_steps=10", f"runs={tmp_path}"])
    assert alone.fields == ""
    assert "fields" not in as_text([alone])


def test_a_damaged_manifest_of_another_condition_is_tolerated(spoiled):
    (manifest,) = [path for path in spoiled.glob("flip_flop/*/manifest.json") if path.parent.suffix != ".bak"]
    manifest.write_text("{")
    other = compose_sweep([*TINY, "gamma=2", "seeds=5", f"runs={spoiled}"])
    assert plan_submission(other, [], {"array_parallelism": 3}, 100).hours is None
    rows = status([f"runs={spoiled}"])
    assert [row.state for row in rows] == ["unreadable"] * 3


def test_an_incomplete_network_file_is_damaged(spoiled):
    (name,) = [path.name for path in spoiled.glob("flip_flop/*") if path.name[-4:] not in (".bak", "89ab")]
    arguments = (*TINY, "seeds=3", f"runs={spoiled}")
    (row,) = status(arguments)
    assert (row.state, row.converged + row.unconverged + row.diverged) == ("done", 3)
    for size, file in zip(
        (-100, 0), sorted((spoiled / "flip_flop" / name / "networks").iterdir()), strict=False
    ):
        file.write_bytes(file.read_bytes()[:size])
    (row,) = status(arguments)
    assert (row.state, row.converged + row.unconverged + row.diverged) == ("damaged", 1)
    assert row.error.count("is cut off or cannot be read") == 2
    assert not row.is_active


# Device of a job --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("launcher", "device"),
    [
        ({"gres": "gpu:1"}, "cuda"),
        ({"gpus_per_node": 2}, "cuda"),
        ({"gres": None, "additional_parameters": {"gpus": 1}}, "cuda"),
        ({"gres": None, "additional_parameters": {"gpus-per-task": "h100:1"}}, "cuda"),
        ({"gres": None, "gpus_per_node": None, "additional_parameters": {"requeue": True}}, "cpu"),
        ({"gres": "tmp:10G", "additional_parameters": None}, "cpu"),
    ],
)
def test_a_job_that_requests_a_gpu_trains_on_it(launcher, device):
    assert device_of_job("auto", launcher) == device
    assert device_of_job("cpu", launcher) == "cpu"


# SLURM without an answer ------------------------------------------------------------------------------------


def test_slurm_is_queried_again_until_the_timeout(tmp_path, monkeypatch):
    """Replace squeue by a script that fails once, as while the controller restarts."""
    answers = tmp_path / "answers"
    (tmp_path / "squeue").write_text(
        f"#!/bin/sh\nif [ -e {answers} ]; then echo 7_0 one RUNNING 2; exit 0; fi\n"
        f"touch {answers}\necho 'slurm_load_jobs error: Socket timed out' >&2\nexit 1\n"
    )
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(slurm, "_POLL_INTERVAL_S", 0.1)
    monkeypatch.setattr(slurm, "_query", lambda *command: "")
    with pytest.raises(BadInputError, match="SLURM must answer, got 'Socket timed out'"):
        slurm.jobs_named(["one"])
    answers.unlink()
    started = time.monotonic()
    assert slurm.jobs_named(["one"], timeout_s=60.0) == {"one": {0: slurm.Job("7_0", "RUNNING", 2)}}
    assert time.monotonic() - started < 30


# Code snapshot ----------------------------------------------------------------------------------------------


def test_a_snapshot_has_the_users_modules_but_no_installed_ones(tmp_path, monkeypatch):
    for packages, name in (("mine", "laboratory_of_mine"), ("lib/dist-packages", "installed_by_debian")):
        (tmp_path / packages).mkdir(parents=True)
        (tmp_path / packages / f"{name}.py").write_text("")
        monkeypatch.syspath_prepend(str(tmp_path / packages))
        importlib.import_module(name)
    snapshot_code(tmp_path / "code")
    assert (tmp_path / "code" / "laboratory_of_mine.py").exists()
    assert not (tmp_path / "code" / "installed_by_debian.py").exists()


# Changed code -----------------------------------------------------------------------------------------------


def test_training_warns_about_another_numerics_version(launch, tmp_path):
    first = launch(*TINY, "seeds=1")
    assert first.stderr == ""
    folder = RunFolder.open(run_folder(tmp_path))
    (session,) = folder.manifest.read()
    assert (session["code"], session["versions"]["numerics"]) == ({}, NUMERICS)
    assert launch(*TINY, "seeds=2").stderr == ""
    manifest = folder.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"numerics": {NUMERICS}', '"numerics": 0', 1))
    third = launch(*TINY, "seeds=3")
    assert third.stderr == (
        f"warning: runs/flip_flop/{build(*TINY).name}: degen's numerics (version 0 then, {NUMERICS} now) "
        "changed since networks here were trained; they may not be comparable\n"
    )
    assert folder.finished_seeds() == [0, 1, 2]


def _cannot_write() -> None:
    def create(folder, bytes_needed):
        raise BadInputError("runs must be a folder that can be written to.")

    RunFolder.create = create


def test_a_finished_folder_may_be_read_only(launch, start, tmp_path):
    launch(*TINY, "seeds=2")
    again = launch(*TINY, "seeds=2", before=_cannot_write)
    assert again.stdout == f"runs/flip_flop/{run_folder(tmp_path).name}: all 2 networks are finished\n"
    assert "can be written to" in refusal(start(*TINY, "seeds=3", before=_cannot_write))


def test_the_lock_file_is_opened_for_writing_as_nfs_requires(tmp_path, monkeypatch):
    modes = []

    def flock(descriptor: int, operation: int) -> None:
        if operation != fcntl.LOCK_UN:
            modes.append(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE)

    monkeypatch.setattr(fcntl, "flock", flock)
    for _ in range(2):
        with exclusive_lock(tmp_path):
            pass
    assert modes == [os.O_RDWR, os.O_RDWR]
