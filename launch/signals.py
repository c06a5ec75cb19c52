"""Signals that ask a training process to end: it stores what it has first."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Interrupted(SystemExit):
    """A signal asked for the end; the exit code is the shell's for that signal."""


@contextmanager
def interruptible(checkpoint: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Turn the first SIGINT, SIGTERM or SIGUSR2 into `Interrupted`, raised where training waits.

    In a job of SLURM, SIGTERM only stores: SLURM sends it some time before it kills, and requeues a preempted
    job only if that has not ended by itself.
    """
    received: list[int] = []

    def check_interrupt() -> None:
        if signal.SIGTERM in received and "SLURM_JOB_ID" in os.environ:
            received.remove(signal.SIGTERM)
            checkpoint()
        if received:
            raise Interrupted(128 + received[0])

    def handle(number: int, frame: object) -> None:
        received.append(number)
        signal.signal(number, previous[signal.Signals(number)])  # a second one acts at once

    previous = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
    }
    for number in previous:
        signal.signal(number, handle)
    try:
        yield check_interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
