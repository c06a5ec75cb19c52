"""Work over processes: results in order, errors and ends that reach the caller, and nothing left behind."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import time

import pytest
import torch

from degen.training.cpu.process_pool import parallel_map

pytestmark = [
    pytest.mark.skipif(
        not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
        reason="needs Linux and 2 cores",
    ),
    pytest.mark.usefixtures("all_cores"),
]


def test_results_are_in_the_order_of_the_items():
    result = parallel_map(lambda item, check: (torch.tensor([item]), os.getpid()), range(5), lambda: None)
    assert [tensor.item() for tensor, _ in result] == [0, 1, 2, 3, 4]
    assert os.getpid() not in {process for _, process in result}
    assert len({process for _, process in result}) == min(5, len(os.sched_getaffinity(0)))


def test_one_item_runs_in_this_process():
    assert parallel_map(lambda item, check: os.getpid(), [0], lambda: None) == [os.getpid()]


def test_with_a_cuda_device_all_work_runs_in_this_process(monkeypatch):
    # Autograd would have threads for the device, and fail in a process forked after its first use.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert parallel_map(lambda item, check: os.getpid(), [1, 2], lambda: None) == [os.getpid()] * 2


def test_a_job_uses_at_most_its_requested_cores(monkeypatch):
    # Not every cluster binds it to them.
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert parallel_map(lambda item, check: os.getpid(), [1, 2], lambda: None) == [os.getpid()] * 2


def test_worker_errors_are_raised_in_this_process():
    def work(item, check_interrupt):
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item"):
        parallel_map(work, [1, 2], lambda: None)


def test_worker_errors_keep_their_traceback():
    class HomeboundError(Exception):
        def __init__(self, first, second):
            super().__init__(f"{first} and {second}")

    for kind, arguments, raised in (
        (ValueError, ("item",), ValueError),
        (HomeboundError, ("this", "that"), RuntimeError),
    ):

        def work(item, check_interrupt, kind=kind, arguments=arguments):
            raise kind(*arguments)

        with pytest.raises(raised) as caught:
            parallel_map(work, [1, 2], lambda: None)
        assert " and ".join(arguments) in str(caught.value)
        (note,) = caught.value.__notes__
        assert "raise kind(*arguments)" in note
        assert "test_process_pool.py" in note


def spread_in_a_child(work) -> int:
    """The process that spreads the work over two of its own."""
    parent = os.fork()
    if parent == 0:
        try:
            parallel_map(work, [1, 2], lambda: None)
        finally:
            os._exit(1)
    return parent


def test_a_worker_with_a_dead_parent_exits():
    """Its answer is more than a pipe holds: it would wait for a reader, itself one of them, for ever."""
    reading, writing = os.pipe()

    def work(item, check_interrupt):
        os.write(writing, f"{os.getpid()}\n".encode())
        time.sleep(1)
        return b"0" * 2**22

    parent = spread_in_a_child(work)
    with open(reading) as lines:
        os.close(writing)
        assert int(next(lines)) != int(next(lines))
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        # The end of the file is when nobody has it open any more.
        assert select.select([lines], [], [], 20)[0]
        assert lines.read() == ""


def test_a_killed_process_is_reported():
    def work(item, check_interrupt):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(RuntimeError, match="killed"):
        parallel_map(work, [1, 2], lambda: None)
    assert multiprocessing.active_children() == []


def test_an_interrupt_stops_the_work_at_once():
    def check_interrupt():
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        parallel_map(lambda item, check: time.sleep(60), [1, 2], check_interrupt)
    assert time.monotonic() - started < 10
    assert multiprocessing.active_children() == []


def test_workers_exit_when_their_parent_is_killed():
    """The work would go on for a minute."""
    reading, writing = os.pipe()

    def work(item, check_interrupt):
        os.write(writing, f"{os.getpid()}\n".encode())
        for _ in range(600):
            check_interrupt()
            time.sleep(0.1)

    parent = spread_in_a_child(work)
    os.close(writing)
    with os.fdopen(reading) as lines:
        assert int(lines.readline()) != int(lines.readline())
        started = time.monotonic()
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        assert lines.read() == ""  # the end of the pipe: both have left
    assert time.monotonic() - started < 30
