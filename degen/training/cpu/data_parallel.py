"""Data parallelism: several processes share the trials of one network.

The batch is always split into blocks of 128 trials, and block gradients are summed in block order. The result
is therefore bitwise the same for any number of workers. Workers exchange gradients through memory that forked
processes share.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import mmap
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

import torch
from torch import Tensor

from degen.models import Model, Parameters
from degen.tasks import Trials
from degen.training.cpu.process_pool import POLL_INTERVAL_S, count_cores
from degen.training.ensemble import Ensemble
from degen.training.gradients import LossesAndGradients, loss_and_gradients
from degen.training.regularizers import NoPenalty, Regularizer

# Smaller blocks would let a network use more cores, but slow down every ensemble (docs/notes/training.md).
TRIALS_PER_BLOCK = 128


@dataclasses.dataclass(frozen=True)
class Worker:
    """A process that computes a part of one network's gradients.

    Attributes:
        rank: 0 for the worker that sums the blocks.
        world_size: number of workers of the network.
        connections: connections from rank 0 to every other worker, or from another worker to rank 0.
        shared_buffer: flattened results of each block and their sum, (blocks + 1, numbers). None for a single
            worker.
    """

    rank: int = 0
    world_size: int = 1
    connections: tuple[Connection, ...] = ()
    shared_buffer: Tensor | None = None

    def loss_and_gradients(
        self,
        check_interrupt: Callable[[], None],
        model: Model,
        regularizer: Regularizer,
        parameters: Parameters,
        trials: Trials,
    ) -> LossesAndGradients:
        """Compute `gradients.loss_and_gradients`. Every worker returns the full result.

        Args:
            check_interrupt: called while this worker waits for other workers. It may raise.
            model: the recurrent network.
            regularizer: penalty on the recurrent matrix.
            parameters: weights of one network by name, each (1, ...).
            trials: all trials of the batch, (1, trials, ...).
        """
        if trials.inputs.shape[1] <= TRIALS_PER_BLOCK:
            return loss_and_gradients(model, regularizer, parameters, trials)
        blocks = {}
        for i in range(self.rank, _count_blocks(trials.inputs.shape[1]), self.world_size):
            penalty = regularizer if i == 0 else NoPenalty()
            blocks[i] = _flatten(loss_and_gradients(model, penalty, parameters, _block(trials, i), trials))
        return _unflatten(self._all_reduce(blocks, check_interrupt), parameters)

    def _all_reduce(self, blocks: dict[int, Tensor], check_interrupt: Callable[[], None]) -> Tensor:
        """Return the sum over the blocks of all workers, in block order.

        Args:
            blocks: flattened losses and gradients of the blocks of this worker, by block number.
            check_interrupt: called while this worker waits for other workers. It may raise.
        """
        if self.shared_buffer is None:  # a single worker, which has all blocks
            return functools.reduce(torch.add, blocks.values())
        *shared, total = self.shared_buffer
        for i, block in blocks.items():
            shared[i].copy_(block)
        if self.rank == 0:
            self._wait(check_interrupt)
            total.copy_(functools.reduce(torch.add, shared))
            self._signal()
        else:
            # This signal tells rank 0 that the blocks are written. Rank 0 overwrites the sum only after the
            # next such signal, so it can be read without another signal.
            self._signal()
            self._wait(check_interrupt)
        return total.clone()

    def _signal(self) -> None:
        for connection in self.connections:
            connection.send_bytes(b"!")

    def _wait(self, check_interrupt: Callable[[], None]) -> None:
        for connection in self.connections:
            while not connection.poll(POLL_INTERVAL_S):
                check_interrupt()
            connection.recv_bytes()


def assign_workers(groups: list[Ensemble], n_trials: int) -> list[tuple[Ensemble, Worker]]:
    """Return one pair (group, worker) per process, so that a group with several workers is repeated.

    Several workers share a group if it has at least two blocks of trials and two cores. Such a group is a
    single network, because `split_into_groups` does not group networks with more than one block.

    Args:
        groups: groups of networks.
        n_trials: trials per batch.
    """
    n_blocks = _count_blocks(n_trials)
    size = max(1, min(count_cores() // len(groups), n_blocks))
    return [(group, worker) for group in groups for worker in _worker_group(group, size, n_blocks)]


def _worker_group(network: Ensemble, size: int, n_blocks: int) -> list[Worker]:
    if size == 1:
        return [Worker()]
    numbers = 2 + sum(weights.numel() for weights in network.parameters.values())
    memory = mmap.mmap(-1, (n_blocks + 1) * numbers * network.like.itemsize)
    buffer = torch.frombuffer(memory, dtype=network.like.dtype).view(n_blocks + 1, numbers)
    pairs = [multiprocessing.Pipe() for _ in range(size - 1)]
    first = Worker(0, size, tuple(mine for mine, _ in pairs), buffer)
    return [first, *(Worker(rank, size, (other,), buffer) for rank, (_, other) in enumerate(pairs, 1))]


def _count_blocks(n_trials: int) -> int:
    return math.ceil(n_trials / TRIALS_PER_BLOCK)


def _block(trials: Trials, index: int) -> Trials:
    first = index * TRIALS_PER_BLOCK
    return trials.map(lambda array: array[:, first : first + TRIALS_PER_BLOCK])


def _flatten(results: LossesAndGradients) -> Tensor:
    return torch.cat([array.flatten() for array in results.tensors])


def _unflatten(flat: Tensor, like: Parameters) -> LossesAndGradients:
    """Invert `_flatten` for one network."""
    loss, penalty, *pieces = flat.split([1, 1, *(weights.numel() for weights in like.values())])
    shaped = zip(like.items(), pieces, strict=True)
    return LossesAndGradients(loss, penalty, {name: piece.view(w.shape) for (name, w), piece in shaped})
