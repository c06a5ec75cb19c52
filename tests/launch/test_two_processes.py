"""Processes on the same condition: one trains, the others exit with a message."""

from __future__ import annotations

import signal
import socket

import degen
from tests.conftest import LONG, assert_same_networks, build, run_folder


def test_a_second_process_names_the_first_and_exits(tmp_path, start, launch, long_run):
    first = start(*LONG)
    first.wait_for("training")
    second = launch(*LONG)
    condition = build(*LONG)
    assert second.stdout == (
        f"runs/flip_flop/{condition.name} is being trained by process {first.process.pid} "
        f"on {socket.gethostname()}: skipped\n"
    )
    assert second.stderr == ""
    assert first.wait() == 0
    assert_same_networks(run_folder(tmp_path), long_run)


def test_the_lock_of_a_dead_process_is_free(tmp_path, start, launch, long_run):
    first = start(*LONG)
    first.wait_for("epoch")
    first.kill(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert f"process {first.process.pid} on " in (run_folder(tmp_path) / "claim").read_text()
    second = launch(*LONG)
    assert "training 3 networks" in second.stdout
    assert f"process {second.process.pid} on " in (run_folder(tmp_path) / "claim").read_text()
    assert_same_networks(run_folder(tmp_path), long_run)


def test_one_of_several_processes_trains(tmp_path, start, long_run):
    launched = [start(*LONG) for _ in range(4)]
    assert [process.wait() for process in launched] == [0] * 4
    assert [process.stderr for process in launched] == [""] * 4
    assert sum("training 3 networks" in process.stdout for process in launched) == 1
    assert len(degen.load(run_folder(tmp_path)).sessions) == 1
    assert_same_networks(run_folder(tmp_path), long_run)


def test_an_experiment_skips_a_locked_condition(start, launch):
    first = start(*LONG, "task.channels=1")
    first.wait_for("training")
    lines = launch("experiment=demo", *LONG, "seeds=1").stdout.splitlines()
    assert lines[0].startswith("[1/3] ")
    assert lines[0].endswith(": skipped")
    trained = [line for line in lines if line.endswith(": training 1 networks")]
    assert [line[:5] for line in trained] == ["[2/3]", "[3/3]"]
