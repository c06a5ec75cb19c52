"""One member's gradients from several processes, each with its share of the trials.

Trials are taken in blocks whoever computes them, and their parts are added in the order of the blocks: a
network is the same to the last bit alone on all cores and in company on one. What a process finds is passed
on in memory that forked processes share.
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
from degen.training.ensemble import Ensemble
from degen.training.gradients import Found, loss_and_gradients
from degen.training.processes import count_cores
from degen.training.regularizers import NoPenalty, Regularizer

# Fewer would occupy more cores, and cost every ensemble (docs/training.md).
TRIALS_PER_BLOCK = 128

_SECONDS_BETWEEN_CALLS = 0.1


@dataclasses.dataclass(frozen=True)
class Seat:
    """A process's place in the team of a member.

    Attributes:
        rank: 0 is the one that adds.
        size: of the team.
        links: from rank 0 to each of the others, or from another to rank 0.
        parts: memory that all share, (blocks + 1, numbers): what is found for each block, and the sum.
    """

    rank: int = 0
    size: int = 1
    links: tuple[Connection, ...] = ()
    parts: Tensor | None = None

    def loss_and_gradients(
        self,
        on_wait: Callable[[], None],
        model: Model,
        regularizer: Regularizer,
        parameters: Parameters,
        trials: Trials,
    ) -> Found:
        """`gradients.loss_and_gradients`, the same in every seat.

        Args:
            on_wait: called now and then while other seats are waited for; may raise.
        """
        if trials.inputs.shape[1] <= TRIALS_PER_BLOCK:
            return loss_and_gradients(model, regularizer, parameters, trials)
        parts = {}
        for i in range(self.rank, _count_blocks(trials.inputs.shape[1]), self.size):
            penalty = regularizer if i == 0 else NoPenalty()
            parts[i] = _flat(*loss_and_gradients(model, penalty, parameters, _block(trials, i), trials))
        return _apart(self._sum(parts, on_wait), parameters)

    def _sum(self, parts: dict[int, Tensor], on_wait: Callable[[], None]) -> Tensor:
        """The sum over the blocks of all seats, from those of this one."""
        if self.parts is None:
            return functools.reduce(torch.add, parts.values())
        *shared, total = self.parts
        for i, part in parts.items():
            shared[i].copy_(part)
        if self.rank == 0:
            self._hear(on_wait)
            total.copy_(functools.reduce(torch.add, shared))
            self._tell()
        else:
            # Once told, rank 0 may read; it does not write the sum again before the next word from here.
            self._tell()
            self._hear(on_wait)
        return total.clone()

    def _tell(self) -> None:
        for link in self.links:
            link.send_bytes(b"!")

    def _hear(self, on_wait: Callable[[], None]) -> None:
        for link in self.links:
            while not link.poll(_SECONDS_BETWEEN_CALLS):
                on_wait()
            link.recv_bytes()


def teams(groups: list[Ensemble], trials: int) -> list[tuple[Ensemble, Seat]]:
    """Seats for all groups of members, each with its group; several for a group of one where cores are left.

    There are then as many as cores and blocks of trials allow.
    """
    n_blocks = _count_blocks(trials)
    size = max(1, min(count_cores() // len(groups), n_blocks))
    return [(group, seat) for group in groups for seat in _team(group, size, n_blocks)]


def _team(member: Ensemble, size: int, n_blocks: int) -> list[Seat]:
    if size == 1:
        return [Seat()]
    numbers = 2 + sum(weights.numel() for weights in member.parameters.values())
    memory = mmap.mmap(-1, (n_blocks + 1) * numbers * member.like.itemsize)
    parts = torch.frombuffer(memory, dtype=member.like.dtype).view(n_blocks + 1, numbers)
    pairs = [multiprocessing.Pipe() for _ in range(size - 1)]
    first = Seat(0, size, tuple(ours for ours, _ in pairs), parts)
    return [first, *(Seat(rank, size, (theirs,), parts) for rank, (_, theirs) in enumerate(pairs, 1))]


def _count_blocks(trials: int) -> int:
    return math.ceil(trials / TRIALS_PER_BLOCK)


def _block(trials: Trials, index: int) -> Trials:
    first = index * TRIALS_PER_BLOCK
    return trials.map(lambda array: array[:, first : first + TRIALS_PER_BLOCK])


def _flat(loss: Tensor, penalty: Tensor, gradients: Parameters) -> Tensor:
    return torch.cat([loss, penalty, *(gradient.flatten() for gradient in gradients.values())])


def _apart(flat: Tensor, like: Parameters) -> Found:
    """The inverse of `_flat`, for one member."""
    loss, penalty, *pieces = flat.split([1, 1, *(weights.numel() for weights in like.values())])
    shaped = zip(like.items(), pieces, strict=True)
    return loss, penalty, {name: piece.view(weights.shape) for (name, weights), piece in shaped}
