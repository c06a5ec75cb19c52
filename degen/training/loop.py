"""The training loop: epochs until every network has finished.

Networks may be at different epochs, because some are resumed and some are new. Finished networks leave the
ensemble.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from degen.models import Model
from degen.tasks import Task
from degen.training.cpu.batched_gradients import BatchedGradients, merge_equality, split_into_groups
from degen.training.cpu.data_parallel import Worker, assign_workers
from degen.training.cpu.process_pool import parallel_map
from degen.training.cuda.ensemble_batches import EnsembleBatches
from degen.training.ensemble import Ensemble
from degen.training.memory import free_memory
from degen.training.recipe import Training, status
from degen.training.regularizers import Regularizer
from degen.training.step import TrainingStep, train_epoch
from degen.training.validation import Validation


def train(
    ensemble: Ensemble,
    task: Task,
    model: Model,
    training: Training,
    regularizer: Regularizer,
    *,
    check_interrupt: Callable[[], None] = lambda: None,
    on_epoch: Callable[[Ensemble, Ensemble], None] = lambda running, done: None,
) -> None:
    """Train every network until it converges, diverges or reaches the maximum number of epochs.

    On a CPU, networks are distributed over the cores, several in one pass if this is faster. If there are
    more cores than networks, several cores share the trials of a network. The bits of a network do not depend
    on the ensemble size or on the number of cores. On a GPU, networks are trained as one batch, or as several
    if memory requires it. They agree to rounding with networks trained separately.

    Args:
        ensemble: new or resumed networks. Their arrays may change.
        task: source of the trials.
        model: the recurrent network.
        training: optimizer, schedule and stop rule.
        regularizer: penalty on the recurrent matrix.
        check_interrupt: called at least every tenth of a second or before each step. It may raise.
        on_epoch: called after each epoch with the networks still in training and those that finished in it.

    Examples:
        >>> from degen.models import Standard
        >>> from degen.tasks import FlipFlop
        >>> from degen.training import Adam, Constant, NoPenalty, Training
        >>> task = FlipFlop(channels=1, n_steps=5, pulse_probability=0.3)
        >>> model = Standard(width=4, gamma=1.0)
        >>> training = Training(
        ...     optimizer=Adam(learning_rate=0.01, betas=(0.9, 0.999), eps=1e-8), schedule=Constant(),
        ...     max_epochs=2, steps_per_epoch=3, batch_size=4, threshold=0.001, patience=3,
        ...     validation_trials=8, confirmation_trials=8, settle_epochs=0, fresh_trials=True,
        ... )
        >>> finished = []
        >>> ensemble = Ensemble.new([0], task, model)
        >>> train(
        ...     ensemble, task, model, training, NoPenalty(),
        ...     on_epoch=lambda running, done: finished.append(done),
        ... )
        >>> finished[-1].seeds, len(finished[-1].histories[0])
        ([0], 2)
        >>> status(finished[-1].histories[0], training)
        'unconverged'
    """
    epoch: Callable[[Ensemble, Callable[[], None]], Ensemble]
    if ensemble.like.device.type == "cpu":
        epoch = _CpuEpoch(task, model, training, regularizer, ensemble)
    else:
        free_bytes = free_memory(ensemble.like.device)
        epoch = EnsembleBatches(task, model, training, regularizer, free_bytes).epoch
    while len(ensemble):
        ensemble = epoch(ensemble, check_interrupt)
        running = [status(history, training) == "running" for history in ensemble.histories]
        done = ensemble.select([i for i, is_running in enumerate(running) if not is_running])
        ensemble = ensemble.select([i for i, is_running in enumerate(running) if is_running])
        on_epoch(ensemble, done)


class _CpuEpoch:
    """An epoch of training and validation of all networks, in one process per core."""

    def __init__(
        self,
        task: Task,
        model: Model,
        training: Training,
        regularizer: Regularizer,
        ensemble: Ensemble,
    ):
        self.task, self.model, self.training, self.regularizer = task, model, training, regularizer
        self.validation = Validation(task, model, training, ensemble.like)
        # Whether batched gradients equal separate gradients bitwise, by group size. None: not checked yet.
        self.is_bitwise_equal: dict[int, bool | None] = {}

    def __call__(self, ensemble: Ensemble, check_interrupt: Callable[[], None]) -> Ensemble:
        groups = split_into_groups(ensemble, self.task, self.model, self.training)
        assignments = assign_workers(groups, self.training.batch_size)
        results = parallel_map(self._work, assignments, check_interrupt)
        trained, equality = zip(*filter(None, results), strict=True)
        for size, is_equal in zip(map(len, trained), equality, strict=True):
            self.is_bitwise_equal[size] = merge_equality(self.is_bitwise_equal.get(size), is_equal)
        return trained[0].join(*trained[1:])

    def _work(
        self, assignment: tuple[Ensemble, Worker], check_interrupt: Callable[[], None]
    ) -> tuple[Ensemble, bool | None] | None:
        """Train a group for an epoch.

        Returns:
            The group and the result of the bitwise check for the first worker of the group, None for others.
        """
        group, worker = assignment
        compute = functools.partial(worker.loss_and_gradients, check_interrupt)
        batched = BatchedGradients(compute, self.is_bitwise_equal.get(len(group)))
        gradient_function = batched if len(group) > 1 else compute
        parts = self.model, self.training, self.regularizer, gradient_function
        train_epoch(TrainingStep.create(group, *parts), self.task, check_interrupt)
        if worker.rank > 0:
            return None
        self.validation(group, check_interrupt)
        return group, batched.is_bitwise_equal
