"""Members computed together, as a GPU wants them."""

from __future__ import annotations

import math
from collections.abc import Callable

from degen.models import Model
from degen.tasks import Task
from degen.training.ensemble import Ensemble
from degen.training.graphs import Recorded
from degen.training.memory import Plan, plan
from degen.training.recipe import Training
from degen.training.regularizers import Regularizer
from degen.training.step import Step, epoch_trials, train_epoch
from degen.training.validation import Validation

# New arrays are made, and the step recorded again, when more than this share of the places is idle.
_IDLE = 0.25


class Batches:
    """Epochs of an ensemble as one batch, or as several where memory asks for it.

    Arrays stay from epoch to epoch, with a fixed number of places: members are copied in, trained, and
    copied out. Places without a member hold a copy of one, which is dropped.

    Args:
        free_bytes: memory of the device that may be used.
    """

    def __init__(
        self, task: Task, model: Model, training: Training, regularizer: Regularizer, free_bytes: int
    ):
        self.task, self.model, self.training, self.regularizer = task, model, training, regularizer
        # Once for each number of members: a plan draws trials and weights to see their sizes.
        self.planned: dict[int, Plan] = {}
        self.free_bytes = free_bytes
        self.step: Step | None = None
        self.recorded: Recorded | None = None
        self.validation: Validation | None = None
        self.steps_per_draw = 1

    def epoch(self, ensemble: Ensemble, on_wait: Callable[[], None]) -> Ensemble:
        """The members after one more epoch, each at its own."""
        self._prepare(ensemble)
        assert self.step is not None
        if self.validation is None:
            self.validation = Validation(self.task, self.model, self.training, ensemble.like)
        places = len(self.step.ensemble)
        trained = []
        for first in range(0, len(ensemble), places):
            members = [*range(first, min(first + places, len(ensemble)))]
            idle = places - len(members)
            self.step.ensemble.load(ensemble.select(members + members[:1] * idle))
            train_epoch(self.step, self.task, on_wait, self.recorded, self.steps_per_draw)
            self.validation(self.step.ensemble, on_wait)
            trained.append(self.step.ensemble.select(range(len(members))))
        return trained[0].join(*trained[1:])

    def _prepare(self, ensemble: Ensemble) -> None:
        """See that there are places enough, and not too many."""
        dtype, members = ensemble.like.dtype, len(ensemble)
        if members not in self.planned:
            parts = self.task, self.model, self.training
            self.planned[members] = plan(members, *parts, dtype, self.free_bytes)
        planned = self.planned[members]
        # Parts of one size: with room for 40 of 50 members, 25 twice.
        wanted = math.ceil(members / math.ceil(members / planned.members))
        places = 0 if self.step is None else len(self.step.ensemble)
        if (1 - _IDLE) * places <= wanted <= places:
            return
        # The last step's arrays go before new ones come; so does its graph before one is recorded, on a
        # stream of its own: with a graph some versions of torch free the workspaces of all on its stream.
        self.step = self.recorded = None
        self.steps_per_draw = planned.steps_per_draw
        copies = ensemble.select([0] * wanted)
        self.step = Step.of(copies, self.model, self.training, self.regularizer)
        first = next(epoch_trials(copies.seeds, [0] * wanted, self.task, self.training, copies.like, 1))
        numbers = self.training.optimizer.coefficients([[1.0]] * wanted, [0] * wanted, copies.like)[0]
        self.recorded = Recorded(self.step, first, numbers)
