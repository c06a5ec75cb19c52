"""The training loop: epochs until every member has ended, each on its own terms.

Members may stand at different epochs (some resumed, some new); those that are done leave.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from degen.models import Model
from degen.tasks import Task
from degen.training.batches import Batches
from degen.training.ensemble import Ensemble
from degen.training.groups import Together, both_agree, groups
from degen.training.memory import free_memory
from degen.training.processes import spread
from degen.training.recipe import Training, status
from degen.training.regularizers import Regularizer
from degen.training.step import Step, train_epoch
from degen.training.teams import Seat, teams
from degen.training.validation import Validation


def train(
    ensemble: Ensemble,
    task: Task,
    model: Model,
    training: Training,
    regularizer: Regularizer,
    *,
    on_wait: Callable[[], None] = lambda: None,
    on_epoch: Callable[[Ensemble, Ensemble], None] = lambda running, done: None,
) -> None:
    """Train every member to its end.

    On a CPU the members are spread over the cores, several in one pass where that is faster; where cores are
    more, they share a member's trials. A member's numbers are bit for bit those it has when trained alone. On
    a GPU all are one batch, or as many as fit its memory; members agree with those trained alone to rounding.

    Args:
        on_wait: called at least every tenth of a second or before each Adam step; may raise to interrupt.
        on_epoch: called after each epoch with the members still in training and those done in it.
    """
    on_cpu = ensemble.like.device.type == "cpu"
    free_bytes = 0 if on_cpu else free_memory(ensemble.like.device)
    batches = Batches(task, model, training, regularizer, free_bytes)

    validation = Validation(task, model, training, ensemble.like) if on_cpu else None

    # By the number of members of a group, whether one pass serves it.
    agrees: dict[int, bool | None] = {}

    def epoch(
        place: tuple[Ensemble, Seat], on_wait: Callable[[], None]
    ) -> tuple[Ensemble, bool | None] | None:
        group, seat = place
        together = Together(functools.partial(seat.loss_and_gradients, on_wait), agrees.get(len(group)))
        gradients = together if len(group) > 1 else together.gradients
        train_epoch(Step.of(group, model, training, regularizer, gradients), task, on_wait)
        if seat.rank > 0:
            return None
        assert validation is not None
        validation(group, on_wait)
        return group, together.agrees

    while len(ensemble):
        if on_cpu:
            places = teams(groups(ensemble, task, model, training), training.batch_size)
            trained, seen = zip(*filter(None, spread(epoch, places, on_wait)), strict=True)
            for size, one in zip(map(len, trained), seen, strict=True):
                agrees[size] = both_agree(agrees.get(size), one)
            ensemble = trained[0].join(*trained[1:])
        else:
            ensemble = batches.epoch(ensemble, on_wait)
        running = [status(history, training) == "running" for history in ensemble.histories]
        done = ensemble.select([i for i, still in enumerate(running) if not still])
        ensemble = ensemble.select([i for i, still in enumerate(running) if still])
        on_epoch(ensemble, done)
