"""Ensembles as batches on a GPU."""

from __future__ import annotations

import math
from collections.abc import Callable

from degen.models import Model
from degen.tasks import Task
from degen.training.cuda.graph_step import CudaGraphStep
from degen.training.ensemble import Ensemble
from degen.training.memory import MemoryPlan, plan_memory
from degen.training.recipe import Training
from degen.training.regularizers import Regularizer
from degen.training.step import TrainingStep, epoch_trials, train_epoch
from degen.training.validation import Validation

# The step is captured again, with fewer slots, when more than this fraction of the slots is idle.
_MAX_IDLE_FRACTION = 0.25


class EnsembleBatches:
    """Training of an ensemble, epoch by epoch, as one batch or as several if memory requires it.

    Arrays persist between epochs and have a fixed number of slots. Networks are copied into the slots,
    trained, and copied out. Idle slots contain copies of another network, which are discarded.

    Args:
        task: source of the trials.
        model: the recurrent network.
        training: optimizer, schedule and stop rule.
        regularizer: penalty on the recurrent matrix.
        free_bytes: memory of the device that may be used.
    """

    def __init__(
        self, task: Task, model: Model, training: Training, regularizer: Regularizer, free_bytes: int
    ):
        self.task, self.model, self.training, self.regularizer = task, model, training, regularizer
        # Plans by number of networks. Making a plan takes time, because it draws trials and weights.
        self.plans: dict[int, MemoryPlan] = {}
        self.free_bytes = free_bytes
        self.step: TrainingStep | None = None
        self.graph_step: CudaGraphStep | None = None
        self.validation: Validation | None = None
        self.steps_per_draw = 1

    def epoch(self, ensemble: Ensemble, check_interrupt: Callable[[], None]) -> Ensemble:
        """Train every network for its next epoch and return the networks."""
        self._prepare(ensemble)
        assert self.step is not None
        if self.validation is None:
            self.validation = Validation(self.task, self.model, self.training, ensemble.like)
        slots = len(self.step.ensemble)
        trained = []
        for first in range(0, len(ensemble), slots):
            networks = [*range(first, min(first + slots, len(ensemble)))]
            idle = slots - len(networks)
            self.step.ensemble.load(ensemble.select(networks + networks[:1] * idle))
            train_epoch(self.step, self.task, check_interrupt, self.graph_step, self.steps_per_draw)
            self.validation(self.step.ensemble, check_interrupt)
            trained.append(self.step.ensemble.select(range(len(networks))))
        return trained[0].join(*trained[1:])

    def _prepare(self, ensemble: Ensemble) -> None:
        """Capture a step for this number of networks, unless the current step has suitable slots."""
        networks = len(ensemble)
        if networks not in self.plans:
            parts = self.task, self.model, self.training
            self.plans[networks] = plan_memory(networks, *parts, ensemble.like.dtype, self.free_bytes)
        plan = self.plans[networks]
        # Use batches of equal size: with memory for 40 of 50 networks, two batches of 25.
        wanted = math.ceil(networks / math.ceil(networks / plan.networks))
        slots = 0 if self.step is None else len(self.step.ensemble)
        if (1 - _MAX_IDLE_FRACTION) * slots <= wanted <= slots:
            return
        # Free the old step before the new step is allocated. Free its graph before the new graph is captured:
        # with one graph, some versions of torch free the workspaces of all graphs on the stream.
        self.step = self.graph_step = None
        self.steps_per_draw = plan.steps_per_draw
        copies = ensemble.select([0] * wanted)
        self.step = TrainingStep.create(copies, self.model, self.training, self.regularizer)
        sources = self.task, self.model, self.training, copies.like
        trials = next(epoch_trials(copies.seeds, [0] * wanted, *sources, steps_per_draw=1))
        optimizer = self.training.optimizer
        coefficients = optimizer.coefficients([[1.0]] * wanted, [0] * wanted, copies.like)[0]
        self.graph_step = CudaGraphStep(self.step, trials, coefficients)
