"""`make gpu`, on the processor at a tiny size: the whole session, and what keeps it going."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from launch.gpu import install_wheels, missing_packages
from launch.stages import Stages
from tests.conftest import wait_until
from tests.in_process import rejection
from tests.login import PATIENCE, ROOT

TINY = (
    "width=8 seeds=2 task.n_steps=32 training.batch_size=8 training.steps_per_epoch=2 training.max_epochs=2 "
    "training.threshold=10 training.patience=1 training.settle_epochs=0 device=cpu"
)


def session(place: Path, *arguments: str, python: tuple[str, ...] = (), **environment: str):
    command = [sys.executable, *python, "-m", "launch.gpu", *arguments]
    folders = [f"--{name}={place / name}" for name in ("export", "runs", "results")]
    return subprocess.run(
        [*command, *folders],
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""} | environment,
        capture_output=True,
        text=True,
    )


def test_a_session_trains_and_analyses_though_its_tests_fail_and_goes_on_where_it_was(tmp_path):
    arguments = ("--experiments", "demo", "--overrides", TINY, "--minutes", "60")
    first = session(tmp_path, *arguments, PYTEST_ADDOPTS="--no-such-option")
    assert first.returncode == 1, first.stdout + first.stderr
    export = tmp_path / "export"
    states = {
        name: stage["state"] for name, stage in json.loads((export / "stages.json").read_text()).items()
    }
    names = ["tests", "benchmark gpu", "benchmark scaling", "train demo", "analyse demo"]
    assert states == dict.fromkeys(names, "done") | {"tests": "failed"}
    assert "failed  tests" in first.stdout
    assert "no CUDA device: everything runs on the CPU" in first.stdout
    table = pd.read_csv(export / "results" / "demo" / "degeneracy.csv")
    assert table["networks"].tolist() == [2] * len(table)
    assert len(list((export / "results" / "demo" / "figures").glob("*.pdf"))) >= 3
    assert len(list((export / "runs").glob("*/*/manifest.json"))) == 3
    assert not list(export.rglob("activations"))
    assert json.loads((export / "gpu.json").read_text())["tasks"]
    assert (export / "scaling.png").exists()
    # Carried to another machine, without run folders and results:
    for name in ("runs", "results"):
        (tmp_path / name).rename(tmp_path / f"old-{name}")
    second = session(tmp_path, *arguments)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "tests: -m pytest" in second.stdout
    for name in names[1:3] + names[4:]:
        assert f"== {name}: done before" in second.stdout
    assert "skipped" in (export / "summary.txt").read_text()
    assert "tests/gpu/test_cuda.py::test_" in (export / "tests.log").read_text()
    assert not (tmp_path / "runs").exists()


def test_a_session_that_is_ended_ends_its_stage_and_says_what_is_left(tmp_path):
    command = [sys.executable, "-m", "launch.gpu", "--export", str(tmp_path / "export")]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    assert any(line.startswith("== tests") for line in process.stdout)
    wait_until((tmp_path / "export" / "tests.log").exists, "the stage has a log")
    running = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert running
    assert not [child for child in running if Path(f"/proc/{child}").exists()]
    assert "left    tests" in (tmp_path / "export" / "summary.txt").read_text()


@pytest.fixture
def stages(tmp_path):
    return Stages(tmp_path, 1.0, dict(os.environ))


def test_a_stage_out_of_time_is_interrupted_may_store_and_is_left(stages, tmp_path):
    stored = tmp_path / "stored"
    code = (
        "import pathlib, signal, sys, time\n"
        "def store(*_):\n"
        f"    pathlib.Path({str(stored)!r}).write_text('all')\n"
        "    sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, store)\n"
        "print('started', flush=True)\n"
        "time.sleep(3600)\n"
    )
    started = time.monotonic()
    assert not stages.run("train a", "", 0.08, "-c", code)
    assert time.monotonic() - started < 3000
    assert stored.read_text() == "all"
    assert stages.states["train a"]["state"] == "left"
    assert stages.states["train a"]["detail"].endswith("out of time; started")
    assert (tmp_path / "train-a.log").read_text() == "started\n"
    assert not stages.complete


def test_what_a_stage_has_started_ends_with_it(stages):
    # It would hold the stage's output open, and the session would wait for it.
    child = "import time; print('started', flush=True); time.sleep(3600)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    started = time.monotonic()
    assert not stages.run("benchmark a", "", 0.08, "-c", code)
    assert time.monotonic() - started < 3000
    assert stages.states["benchmark a"]["detail"].endswith("out of time; started")


def test_a_stage_that_fails_says_so_and_the_next_one_starts(stages, capsys):
    assert not stages.run("one", "", 1.0, "-c", "raise SystemExit('error: no')")
    assert stages.run("two", "", 1.0, "-c", "print('well')")
    assert [state["state"] for state in stages.states.values()] == ["failed", "done"]
    summary = stages.summary()
    assert "failed  one" in summary
    assert "error: no" in summary
    assert "done    two" in summary


def test_no_stage_starts_when_the_time_is_over(tmp_path):
    over = Stages(tmp_path, 1e-3, dict(os.environ))
    time.sleep(0.1)
    assert not over.run("one", "", 1.0, "-c", f"open({str(tmp_path / 'made')!r}, 'w')")
    assert not (tmp_path / "made").exists()
    assert over.states["one"]["state"] == "left"


def test_an_experiment_is_done_again_when_it_asks_for_more():
    from launch.gpu import _key

    asked = [_key("demo", list(given)) for given in ((), (), ("seeds=60",), ("width=32",), ("tf32=false",))]
    assert asked[0] == asked[1]
    assert len(set(asked)) == 4


def test_the_record_is_whole_though_a_session_dies_in_its_writing(stages, tmp_path, monkeypatch):
    assert stages.run("tests", "one", 1.0, "-c", "")
    monkeypatch.setattr(Path, "write_text", lambda path, text: path.write_bytes(text[:9].encode()) and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        stages.note("benchmark", "one", "done", "")
    monkeypatch.undo()
    assert Stages(tmp_path, 1.0, dict(os.environ)).done_before("tests", "one")


def test_a_stage_is_done_again_for_other_code(stages, tmp_path):
    assert stages.run("tests", "one", 1.0, "-c", "")
    later = Stages(tmp_path, 1.0, dict(os.environ))
    assert later.done_before("tests", "one")
    assert not later.done_before("tests", "other")
    assert not later.done_before("benchmark", "one")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--experiments", "demo,dmeo"), "experiments must be among"),
        (("--minutes", "0"), "minutes must be a number above 0, got 0."),
        (("--minutes", "nan"), "minutes must be a number above 0, got nan."),
        (("--wheels", "nowhere"), "wheels must be a folder with wheels, got"),
        (("--overrides", "seeds=none"), "seeds must be a number of at least 1"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_made(arguments, said, tmp_path):
    folders = [f"--{name}={tmp_path / name}" for name in ("export", "runs", "results")]
    assert rejection(tmp_path, "launch.gpu", *arguments, *folders).startswith(said.rstrip("."))
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named(tmp_path):
    bare = session(tmp_path, python=("-S",))  # without site-packages
    assert bare.returncode == 2
    assert bare.stderr.startswith("error: these packages are missing in ")
    for package in ("torch>=2.11", "hydra-core>=1.3.2,<1.4", "omegaconf", "submitit", "pytest"):
        assert package in bare.stderr
    assert "make gpu WHEELS=folder" in bare.stderr
    assert missing_packages() == []


def test_carried_wheels_are_used_without_an_installation(tmp_path):
    info = "carried-1.0.dist-info"
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / "carried-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("carried.py", "value = 7\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: carried\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    install_wheels(tmp_path / "wheels", tmp_path / "site")
    code = "import carried; print(carried.value)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "7\n"
