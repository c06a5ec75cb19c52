"""A parallel map over the cores of a CPU, with one forked process per core (Linux).

Threads would be slower. A training step consists of hundreds of operations that take a few microseconds each,
and Python's global lock serializes the threads between operations.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Item, Callable[[], None]], Result]

POLL_INTERVAL_S = 0.1


def count_cores() -> int:
    """Return the number of processes to fork; 1 if forking is not safe.

    Forking is not safe if a CUDA device is visible. The first gradient, even on the CPU, starts autograd's
    threads for the device, and threads do not survive a fork. `launch.train device=cpu` hides the devices.
    """
    is_safe = sys.platform == "linux" and torch.cuda.device_count() == 0
    return available_cores() if is_safe else 1


def available_cores() -> int:
    """Return the number of cores that this process may use, at most the number its SLURM job requested."""
    bound = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    # Not every cluster restricts a job to the cores that it requested.
    requested = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(bound, int(requested)) if requested.isdigit() else bound


def parallel_map(
    work: Work[Item, Result], items: Sequence[Item], check_interrupt: Callable[[], None]
) -> list[Result]:
    """Return `work` of every item, in order.

    Side effects of `work` in a forked process are lost. With one item or one core, or if forking is not safe,
    all work runs in this process.

    Args:
        work: function of an item and of an interrupt check, which it calls regularly. Its result must be
            picklable.
        items: the items.
        check_interrupt: called at least every tenth of a second. An exception that it raises stops the work.

    Raises:
        RuntimeError: a process was killed, most likely because memory ran out.
    """
    n_processes = min(len(items), count_cores())
    if n_processes < 2:
        return [work(item, check_interrupt) for item in items]
    chunks = [range(first, len(items), n_processes) for first in range(n_processes)]
    context = multiprocessing.get_context("fork")
    processes, receivers, results = [], {}, dict[int, Result]()
    try:
        for chunk in chunks:
            receiver, sender = context.Pipe(duplex=False)
            receivers[receiver] = chunk
            arguments = (work, [items[i] for i in chunk], sender, list(receivers), os.getpid())
            processes.append(context.Process(target=_work_in_child, args=arguments, daemon=True))
            processes[-1].start()
            sender.close()
        waiting = set(receivers)
        while waiting:
            for ready in wait(list(waiting), timeout=POLL_INTERVAL_S):
                assert isinstance(ready, Connection)
                results |= zip(receivers[ready], _receive(ready), strict=True)
                waiting.remove(ready)
            check_interrupt()
    finally:
        for process in processes:
            process.kill()
            process.join()
    return [results[i] for i in range(len(items))]


def _work_in_child(
    work: Work[Item, Result],
    items: Sequence[Item],
    sender: Connection,
    receivers: Sequence[Connection],
    parent: int,
) -> None:
    # An open copy of a receiver would make a sender wait for a parent that has died.
    for receiver in receivers:
        receiver.close()
    # A signal to the process group is the parent's to handle. The inherited handlers belong to it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    # A pool of threads does not survive the fork.
    torch.set_num_threads(1)

    def exit_with_parent() -> None:
        if os.getppid() != parent:
            os._exit(1)

    try:
        answer: list[Result] | Exception = [work(item, exit_with_parent) for item in items]
    except Exception as error:
        answer = _picklable(error)
    # Not `send`: it passes tensors through shared memory, of which containers have little.
    with contextlib.suppress(BrokenPipeError):  # the parent has died
        sender.send_bytes(pickle.dumps(answer))


def _picklable(error: Exception) -> Exception:
    """Return the error with its traceback as a note, or a RuntimeError with the same text."""
    error.add_note("In a worker process:\n" + traceback.format_exc().rstrip())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        substitute = RuntimeError(f"{type(error).__name__}: {error}")
        substitute.add_note(error.__notes__[-1])
        return substitute
    return error


def _receive(receiver: Connection) -> list[Any]:
    """Return the results of a worker process, or raise its exception."""
    try:
        answer = pickle.loads(receiver.recv_bytes())
    except EOFError:
        raise RuntimeError("a worker process was killed, perhaps because memory ran out") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
