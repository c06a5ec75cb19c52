"""Evaluation of a function on all pairs of networks, in batches on all CPU cores.

Every distance matrix of the library is computed by `pairwise`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

T = TypeVar("T")
R = TypeVar("R")

# Entries of the first items of a batch of pairs, and of the second.
_MAX_BATCH_ENTRIES = 1 << 22  # 32 MiB each
_MIN_BATCH_ENTRIES = 1 << 10  # with fewer, calling an operation takes longer than the operation


def comes_after(first: Tensor, second: Tensor) -> Tensor:
    """Return whether the first item of each pair comes after the second in lexicographic order.

    A function that sorts its pairs by this order returns bitwise equal values for (a, b) and (b, a).

    Args:
        first, second: (pairs, ...).

    Returns:
        (pairs,), boolean. False for equal items.
    """
    difference = (first - second).flatten(1)
    entry = (difference != 0).to(torch.uint8).argmax(dim=1, keepdim=True)
    return difference.gather(1, entry).squeeze(1) > 0


def sort_pairs(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sort the two items of each pair in lexicographic order (`comes_after`).

    A distance of sorted items is bitwise equal for (a, b) and (b, a).

    Args:
        first, second: (pairs, ...). They are not modified.

    Returns:
        The smaller items (pairs, ...), the larger items (pairs, ...), and whether the items of a pair were
        swapped (pairs,).

    Examples:
        >>> first, second = torch.tensor([[1, 5], [1, 2]]), torch.tensor([[1, 3], [1, 9]])
        >>> smaller, larger, swapped = sort_pairs(first, second)
        >>> smaller.tolist(), larger.tolist(), swapped.tolist()
        ([[1, 3], [1, 2]], [[1, 5], [1, 9]], [True, False])
    """
    swapped = comes_after(first, second)
    mask = swapped.view(-1, *[1] * (first.ndim - 1))
    return torch.where(mask, second, first), torch.where(mask, first, second), swapped


BatchObserver = Callable[[int, int], None]
"""Takes the number of finished batches and the number of all batches of a computation."""

_observer: ContextVar[BatchObserver | None] = ContextVar("observer", default=None)


@contextmanager
def observe_batches(observer: BatchObserver) -> Iterator[None]:
    """Call `observer` at the start and after each batch of every `thread_map` of this thread.

    Examples:
        >>> with observe_batches(lambda n_done, n_batches: print(n_done, "of", n_batches)):
        ...     thread_map(abs, [-1, -2], torch.device("cpu"))
        0 of 2
        1 of 2
        2 of 2
        [1, 2]
    """
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def thread_map(function: Callable[[T], R], batches: Sequence[T], device: torch.device) -> list[R]:
    """Apply `function` to every batch, with one single-threaded worker per CPU core.

    Small matrices gain little from multithreaded linear algebra, so batches run in parallel instead. The
    number of workers is `torch.get_num_threads()`. On a GPU, batches run one after another.
    """
    n_threads = torch.get_num_threads()
    if device.type != "cpu" or n_threads == 1 or len(batches) == 1:
        return _collect(map(function, batches), len(batches))
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return _collect(pool.map(function, batches), len(batches))
    finally:
        torch.set_num_threads(n_threads)


def _collect(results: Iterable[R], n_batches: int) -> list[R]:
    """Return the results as a list, and report their number as they arrive."""
    report = _observer.get() or (lambda n_done, n_batches: None)
    report(0, n_batches)
    collected = []
    for result in results:
        collected.append(result)
        report(len(collected), n_batches)
    return collected


def map_pairs(
    first: Tensor, second: Tensor, measure: Callable[[Tensor, Tensor], Tensor]
) -> NDArray[np.float64]:
    """Apply `measure` to stacked pairs, in parallel batches.

    Args:
        first, second: (pairs, ...).
        measure: function from two stacks (pairs, ...) to values (pairs,).

    Returns:
        (pairs,).
    """
    batch_size = _batch_size(len(first), first.shape[1:].numel(), first.device)
    batches = list(zip(first.split(batch_size), second.split(batch_size), strict=True))
    return torch.cat(thread_map(lambda pairs: measure(*pairs).cpu(), batches, first.device)).numpy()


def pairwise(items: Tensor, measure: Callable[[Tensor, Tensor], Tensor]) -> NDArray[np.float64]:
    """Compute the symmetric matrix of a measure over all pairs of items.

    Args:
        items: (n, ...), one item per network.
        measure: function from two stacks (pairs, ...) to values (pairs,). Each pair is passed in one order
            only. That order depends on the values of the two items, not on their positions in `items`.

    Returns:
        (n, n), symmetric, with a zero diagonal.

    Examples:
        >>> pairwise(torch.tensor([[0.0], [1.0], [3.0]]), lambda a, b: (a - b).abs().squeeze(1))
        array([[0., 1., 3.],
               [1., 0., 2.],
               [3., 2., 0.]])
    """
    n = len(items)
    # Sort by value, so that the result for a pair does not depend on the other items or their positions.
    order = sorted(range(n), key=lambda i: items[i].cpu().numpy().astype(">f8").tobytes())
    i, j = torch.tensor(order)[torch.triu_indices(n, n, offset=1)]
    n_entries = items[0].numel()
    batch_size = max(1, min(_MAX_BATCH_ENTRIES // n_entries, _batch_size(len(i), n_entries, items.device)))
    batches = list(zip(i.split(batch_size), j.split(batch_size), strict=True))

    def measure_batch(pairs: tuple[Tensor, Tensor]) -> Tensor:
        return measure(*(items[index.to(items.device)] for index in pairs)).cpu()

    values = thread_map(measure_batch, batches, items.device)
    matrix = np.zeros((n, n))
    # Index with NumPy arrays: NumPy treats a torch index of length 1 as a scalar.
    rows, columns = i.numpy(), j.numpy()
    matrix[rows, columns] = matrix[columns, rows] = torch.cat(values).numpy()
    return matrix


def _batch_size(n_pairs: int, n_entries: int, device: torch.device) -> int:
    """Return a batch size that gives several batches of items per CPU core, or one batch on a GPU."""
    if device.type != "cpu":
        return n_pairs
    return max(-(-n_pairs // (4 * torch.get_num_threads())), _MIN_BATCH_ENTRIES // n_entries)
