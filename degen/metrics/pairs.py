"""The one pair loop: every distance matrix of the library is filled here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

T = TypeVar("T")
R = TypeVar("R")

_BATCH_ENTRIES = 1 << 22  # of a batch of first (and of second) items, at most: 32 MiB each


def ordered(first: Tensor, second: Tensor) -> Tensor:
    """True (pairs,) where the first of two stacked items (pairs, ...) comes after the second.

    The order is that of the first entry in which the two differ. A solver that swaps such pairs returns the
    same value for (a, b) and (b, a), to the last bit.
    """
    difference = (first - second).flatten(1)
    entry = (difference != 0).to(torch.uint8).argmax(dim=1, keepdim=True)
    return difference.gather(1, entry).squeeze(1) > 0


def canonical(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(smaller, larger, swapped) of each pair, in the order of `ordered`."""
    swapped = ordered(first, second)
    mask = swapped.view(-1, *[1] * (first.ndim - 1))
    return torch.where(mask, second, first), torch.where(mask, first, second), swapped


def spread(function: Callable[[T], R], batches: Sequence[T], device: torch.device) -> list[R]:
    """`function` of every batch, on as many cores as torch may use, each batch on one core.

    Small matrices in a batch gain nothing from several cores an operation, and lose much where others use
    the machine too. On a GPU, one batch after the other.
    """
    cores = torch.get_num_threads()
    if device.type != "cpu" or cores == 1 or len(batches) == 1:
        return [function(batch) for batch in batches]
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(function, batches))
    finally:
        torch.set_num_threads(cores)


def of_pairs(
    first: Tensor, second: Tensor, measure: Callable[[Tensor, Tensor], Tensor]
) -> NDArray[np.float64]:
    """`measure` (pairs,) of stacked pairs (pairs, ...), (pairs, ...), spread over the cores."""
    batch = _batch_for_cores(len(first), first.device)
    batches = list(zip(first.split(batch), second.split(batch), strict=True))
    return torch.cat(spread(lambda pairs: measure(*pairs).cpu(), batches, first.device)).numpy()


def pairwise(items: Tensor, measure: Callable[[Tensor, Tensor], Tensor]) -> NDArray[np.float64]:
    """The symmetric matrix (n, n) of `measure` over all pairs of n items, with a zero diagonal.

    Args:
        items: (n, ...), one entry for each network.
        measure: takes stacked pairs (pairs, ...), (pairs, ...) and returns (pairs,). It never sees a pair in
            both orders: the order depends on the two items alone, not on their places in `items`.
    """
    n = len(items)
    # An order of the items themselves: their bytes'.
    order = sorted(range(n), key=lambda i: items[i].cpu().numpy().astype(">f8").tobytes())
    i, j = torch.tensor(order)[torch.triu_indices(n, n, offset=1)]
    batch = max(1, min(_BATCH_ENTRIES // items[0].numel(), _batch_for_cores(len(i), items.device)))
    batches = list(zip(i.split(batch), j.split(batch), strict=True))

    def measured(pairs: tuple[Tensor, Tensor]) -> Tensor:
        return measure(*(items[index.to(items.device)] for index in pairs)).cpu()

    values = spread(measured, batches, items.device)
    matrix = np.zeros((n, n))
    # As NumPy arrays: a torch index of one entry would be taken for a scalar.
    rows, columns = i.numpy(), j.numpy()
    matrix[rows, columns] = matrix[columns, rows] = torch.cat(values).numpy()
    return matrix


def _batch_for_cores(pairs: int, device: torch.device) -> int:
    """Pairs in a batch such that there are several batches for each core."""
    return pairs if device.type != "cpu" else -(-pairs // (4 * torch.get_num_threads()))
