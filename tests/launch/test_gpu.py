"""`make gpu` on the CPU at a tiny size: a whole session, and steps that fail or run out of time."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pandas as pd
import pytest

from launch.gpu import Step, run_session, run_step
from tests.conftest import ROOT, Launched
from tests.in_process import rejection

TINY = (
    "width=8 seeds=2 task.n_steps=32 training.batch_size=8 training.steps_per_epoch=2 training.max_epochs=2 "
    "training.threshold=10 training.patience=1 training.settle_epochs=0 device=cpu"
)


def start_session(workspace: Path, *arguments: str, **environment: str) -> Launched:
    folders = [f"--{name}={workspace / name}" for name in ("export", "runs", "results")]
    variables = os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)} | environment
    return Launched((*arguments, *folders), ROOT, module="launch.gpu", environment=variables)


def test_a_session_trains_and_analyzes_although_its_tests_fail(tmp_path):
    arguments = ("--experiments", "demo", "--overrides", TINY, "--minutes", "60")
    process = start_session(tmp_path, *arguments, PYTEST_ADDOPTS="--no-such-option")
    assert process.wait() == 1, process.stdout
    export = tmp_path / "export"
    outcomes = [line.split() for line in (export / "summary.txt").read_text().splitlines()]
    names = ["tests", "benchmark-gpu", "benchmark-scaling", "train-demo", "analyze-demo"]
    assert outcomes == [["failed", "tests"], *(["done", name] for name in names[1:])]
    assert all((export / f"{name}.log").exists() for name in names)
    table = pd.read_csv(export / "results" / "demo" / "degeneracy.csv")
    assert table["networks"].tolist() == [2] * len(table)
    assert len(list((export / "results" / "demo" / "figures").glob("*.pdf"))) >= 3
    assert len(list((export / "runs").glob("*/*/manifest.json"))) == 3
    assert not list(export.rglob("activations"))
    assert json.loads((export / "gpu.json").read_text())["tasks"]
    assert (export / "scaling.png").exists()
    # The same command resumes; here, all networks are finished.
    again = start_session(tmp_path, *arguments, "--skip-checks")
    assert again.wait() == 0, again.stdout
    assert again.stdout.count("all 2 networks are finished") == 3
    assert (export / "summary.txt").read_text().split() == ["done", "train-demo", "done", "analyze-demo"]


def test_an_interrupted_session_ends_its_step_with_a_summary(tmp_path):
    process = start_session(tmp_path)
    process.wait_for("== tests")
    log = tmp_path / "export" / "tests.log"
    until = time.monotonic() + 10
    while not log.exists() and time.monotonic() < until:
        time.sleep(0.05)
    pid = process.process.pid
    running = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    process.kill(signal.SIGTERM)
    process.wait()
    assert running
    assert not [child for child in running if Path(f"/proc/{child}").exists()]
    summary = (tmp_path / "export" / "summary.txt").read_text()
    assert summary.startswith("interrupted  tests\nnot started  benchmark-gpu\n")


def test_a_step_out_of_time_may_save_its_work(tmp_path):
    saved = tmp_path / "saved"
    code = (
        "import pathlib, signal, sys, time\n"
        "def save(*_):\n"
        f"    pathlib.Path({str(saved)!r}).write_text('all')\n"
        "    sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "print('started', flush=True)\n"
        "time.sleep(60)\n"
    )
    assert run_step(Step("train", 1.0, ["-c", code]), 3, tmp_path) == "out of time"
    assert saved.read_text() == "all"
    assert (tmp_path / "train.log").read_text() == "started\n"


def test_processes_of_a_step_end_with_it(tmp_path):
    # A process that stays alive would keep the step's output open, and the session would wait for it.
    child = "import time; print('started', flush=True); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    started = time.monotonic()
    assert run_step(Step("benchmark", 1.0, ["-c", code]), 3, tmp_path) == "out of time"
    assert time.monotonic() - started < 30
    assert (tmp_path / "benchmark.log").read_text() == "started\n"


def test_a_failed_step_is_reported_and_the_next_one_starts(tmp_path):
    failing = Step("one", 0.5, ["-c", "raise SystemExit('error: no')"])
    steps = [failing, Step("two", 1.0, ["-c", "print('well')"])]
    assert not run_session(steps, 1.0, tmp_path / "runs", tmp_path / "results", tmp_path / "export")
    assert (tmp_path / "export" / "summary.txt").read_text() == "failed       one\ndone         two\n"
    assert (tmp_path / "export" / "one.log").read_text() == "error: no\n"


def test_no_step_starts_when_the_time_is_over(tmp_path):
    step = Step("one", 1.0, ["-c", f"open({str(tmp_path / 'made')!r}, 'w')"])
    assert not run_session([step], 1e-3, tmp_path / "runs", tmp_path / "results", tmp_path / "export")
    assert not (tmp_path / "made").exists()
    assert (tmp_path / "export" / "summary.txt").read_text() == "out of time  one\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--experiments", "demo,dmeo"), "experiment must be one of "),
        (("--minutes", "0"), "--minutes must be a number above 0, got 0.0."),
        (("--minutes", "nan"), "--minutes must be a number above 0, got nan."),
        (("--overrides", "seeds=none"), "seeds must be a number of at least 1"),
    ],
)
def test_bad_arguments_are_rejected_before_any_work(arguments, sentence, tmp_path):
    assert rejection(tmp_path, "launch.gpu", *arguments).startswith(sentence)
    assert list(tmp_path.iterdir()) == []
