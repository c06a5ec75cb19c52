"""Work spread over the cores: one process each, forked for the occasion (Linux).

Threads would not do. A training step is some hundred operations of a few microseconds, and between any two of
them Python's threads wait for one another: at 64 units and 64 trials, two threads were slower than one.
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
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Item, Callable[[], None]], Result]

_SECONDS_BETWEEN_CALLS = 0.1


def count_cores() -> int:
    """How many processes can work at once; one where forking is not safe.

    That is so beside a CUDA device: the first gradient that is found starts autograd's threads for it, even
    one on the CPU, and those do not survive a fork. `launch.train device=cpu` hides the devices.
    """
    is_safe = sys.platform == "linux" and torch.cuda.device_count() == 0
    return available_cores() if is_safe else 1


def available_cores() -> int:
    """Cores that this process may use: those it is bound to, no more than its job asked SLURM for."""
    bound = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    # Not every cluster binds a job to the cores it asked for.
    asked = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(bound, int(asked)) if asked.isdigit() else bound


def spread(work: Work[Item, Result], items: Sequence[Item], on_wait: Callable[[], None]) -> list[Result]:
    """`work` of every item, in order.

    Where it runs in processes of its own, what it changes is lost: only its results come back. With one item
    or one core, and on systems where forking is not safe, everything runs in this process.

    Args:
        work: takes an item and a function to call now and then; its results can be pickled.
        on_wait: called now and then while the work goes on; what it raises ends the work.

    Raises:
        RuntimeError: a process was killed, most likely for want of memory.
    """
    n_processes = min(len(items), count_cores())
    if n_processes < 2:
        return [work(item, on_wait) for item in items]
    shares = [range(first, len(items), n_processes) for first in range(n_processes)]
    context = multiprocessing.get_context("fork")
    processes, receivers, results = [], {}, dict[int, Result]()
    try:
        for share in shares:
            receiver, sender = context.Pipe(duplex=False)
            receivers[receiver] = share
            arguments = (work, [items[i] for i in share], sender, list(receivers), os.getpid())
            processes.append(context.Process(target=_work_in_child, args=arguments, daemon=True))
            processes[-1].start()
            sender.close()
        waiting = set(receivers)
        while waiting:
            for ready in wait(list(waiting), timeout=_SECONDS_BETWEEN_CALLS):
                assert isinstance(ready, Connection)
                results |= zip(receivers[ready], _received(ready), strict=True)
                waiting.remove(ready)
            on_wait()
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
    # Held open here, too, they would keep a sender waiting for a parent that is dead.
    for receiver in receivers:
        receiver.close()
    # The parent decides what a signal to the whole group means; the handlers inherited are its own.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    # A pool of threads does not survive the fork.
    torch.set_num_threads(1)

    def leave_with_parent() -> None:
        if os.getppid() != parent:
            os._exit(1)

    try:
        answer: list[Result] | Exception = [work(item, leave_with_parent) for item in items]
    except Exception as error:
        answer = _portable(error)
    # Not `send`: it would pass tensors by shared memory, which containers have little of.
    with contextlib.suppress(BrokenPipeError):  # the parent is dead
        sender.send_bytes(pickle.dumps(answer))


def _portable(error: Exception) -> Exception:
    """The error with its traceback, which would stay here; one that cannot be passed on in its words."""
    error.add_note("In a process of this ensemble:\n" + traceback.format_exc().rstrip())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        words = RuntimeError(f"{type(error).__name__}: {error}")
        words.add_note(error.__notes__[-1])
        return words
    return error


def _received(receiver: Connection) -> list:
    try:
        answer = pickle.loads(receiver.recv_bytes())
    except EOFError:
        raise RuntimeError("a process of this ensemble was killed, perhaps for want of memory") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
