"""Processes on the same condition: one trains, the others exit with a message."""

from __future__ import annotations

import signal
import socket

import degen
from tests.conftest import TINY, TINY_OFTEN, assert_same_networks, build, run_folder, wait_until
from tests.launch.hooks import Pause

IN_EPOCH_2 = Pause("checkpoint.safetensors", "after the renaming", 2)
"""There a process waits for `go`, so that it meets the others."""


def test_a_second_process_names_the_first_and_exits(tmp_path, start, launch, tiny_run):
    first = start(*TINY_OFTEN, before=IN_EPOCH_2)
    first.wait_for("training")
    second = launch(*TINY_OFTEN)
    condition = build(*TINY_OFTEN)
    assert second.stdout == (
        f"runs/flip_flop/{condition.name} is being trained by process {first.process.pid} "
        f"on {socket.gethostname()}: skipped\n"
    )
    assert second.stderr == ""
    (tmp_path / "go").touch()
    assert first.wait() == 0
    assert_same_networks(run_folder(tmp_path), tiny_run)


def test_the_lock_of_a_dead_process_is_free(tmp_path, start, launch, tiny_run):
    first = start(*TINY_OFTEN, before=IN_EPOCH_2)
    first.wait_for("epoch")
    first.kill(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert f"process {first.process.pid} on " in (run_folder(tmp_path) / "claim").read_text()
    second = launch(*TINY_OFTEN)
    assert "training 3 networks" in second.stdout
    assert f"process {second.process.pid} on " in (run_folder(tmp_path) / "claim").read_text()
    assert_same_networks(run_folder(tmp_path), tiny_run)


def test_one_of_several_processes_trains(tmp_path, start, tiny_run):
    launched = [start(*TINY_OFTEN, before=IN_EPOCH_2) for _ in range(4)]
    wait_until(lambda: sum(process.process.is_alive() for process in launched) == 1, "three have left")
    (tmp_path / "go").touch()
    assert [process.wait() for process in launched] == [0] * 4
    assert [process.stderr for process in launched] == [""] * 4
    assert sum("training 3 networks" in process.stdout for process in launched) == 1
    assert len(degen.load(run_folder(tmp_path)).sessions) == 1
    assert_same_networks(run_folder(tmp_path), tiny_run)


def test_an_experiment_skips_a_locked_condition(start, launch):
    first = start(*TINY_OFTEN, "task.channels=1", before=IN_EPOCH_2)
    first.wait_for("training")
    lines = launch("experiment=demo", *TINY, "seeds=1").stdout.splitlines()
    assert lines[0].startswith("[1/3] ")
    assert lines[0].endswith(": skipped")
    trained = [line for line in lines if line.endswith(": training 1 networks")]
    assert [line[:5] for line in trained] == ["[2/3]", "[3/3]"]
