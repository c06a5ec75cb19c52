"""Signals that ask a training process to end. The process saves its networks first."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Interrupted(SystemExit):
    """A request to end by a signal; the exit code is the shell's code for that signal."""


@contextmanager
def interruptible(checkpoint: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Turn the first SIGINT, SIGTERM or SIGUSR2 into `Interrupted`, raised between two training steps.

    A second signal of the same number goes to the previous handler at once. For example, a second Ctrl-C
    raises `KeyboardInterrupt`.

    In a SLURM job, SIGTERM only saves a checkpoint, and training continues. SLURM sends SIGTERM to a
    preempted job some time before it kills the job. A job that ends by itself in this time is not requeued.

    Args:
        checkpoint: saves the networks.

    Yields:
        A function to call between two steps; it raises `Interrupted` after a signal.
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
        signal.signal(number, previous[signal.Signals(number)])

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
