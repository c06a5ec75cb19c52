"""A training step and an epoch of an ensemble's members, in place."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from degen.models import Model, Parameters
from degen.streams import Stream, key
from degen.tasks import Task, Trials
from degen.training.ensemble import Ensemble
from degen.training.gradients import Found, loss_and_gradients
from degen.training.recipe import Training, step_learning_rates
from degen.training.regularizers import Regularizer

# Trials, of all members, that are drawn at once on a CPU; the numbers do not depend on it. Generators in
# steps are faster with more, until they leave the cache.
TRIALS_PER_DRAW = 4096

Run = Callable[[Trials, Tensor], None]
"""What makes a step of its trials and the optimizer's coefficients: a `Step`, or one recorded."""

Gradients = Callable[[Model, Regularizer, Parameters, Trials], Found]
"""What finds them: `loss_and_gradients`, or several processes together."""


@dataclasses.dataclass(frozen=True)
class Step:
    """A training step of every member, in place, on arrays that stay where they are.

    Nothing here waits for the device, makes an array of Python's numbers or asks for one, so that a step can
    be captured as a CUDA graph.

    Attributes:
        loss_sum, penalty_sum: of the steps so far, (seeds,).
        gradients: what finds them.
    """

    ensemble: Ensemble
    model: Model
    training: Training
    regularizer: Regularizer
    loss_sum: Tensor
    penalty_sum: Tensor
    gradients: Gradients

    @classmethod
    def of(
        cls,
        ensemble: Ensemble,
        model: Model,
        training: Training,
        regularizer: Regularizer,
        gradients: Gradients = loss_and_gradients,
    ) -> Step:
        """A step of these members, none made yet."""
        zeros = ensemble.like.new_zeros(len(ensemble))
        return cls(ensemble, model, training, regularizer, zeros, zeros.clone(), gradients)

    def __call__(self, trials: Trials, coefficients: Tensor) -> None:
        """Compute gradients on these trials and update all weights.

        Args:
            coefficients: of the optimizer for this step, (k, seeds).
        """
        ensemble = self.ensemble
        losses, penalties, gradients = self.gradients(
            self.model, self.regularizer, ensemble.parameters, trials
        )
        self.loss_sum.add_(losses)
        self.penalty_sum.add_(penalties)
        moments = ensemble.first_moment, ensemble.second_moment
        self.training.optimizer.update(ensemble.parameters, gradients, *moments, coefficients)


def train_epoch(
    step: Step, task: Task, on_wait: Callable[[], None], run: Run | None = None, steps_per_draw: int = 0
) -> None:
    """One epoch of every member of `step`, each at its own; the device is waited for once, at the end.

    Args:
        on_wait: called before each Adam step; may raise to interrupt.
        run: makes the steps; by default `step` itself.
        steps_per_draw: steps whose trials are drawn at once; the numbers do not depend on it.
    """
    ensemble, training = step.ensemble, step.training
    epochs = [len(history) for history in ensemble.histories]
    initial = step.model.learning_rate(training.optimizer.learning_rate)
    rates = [step_learning_rates(history, training, initial) for history in ensemble.histories]
    steps_done = [epoch * training.steps_per_epoch for epoch in epochs]
    coefficients = training.optimizer.coefficients(rates, steps_done, ensemble.like)
    step.loss_sum.zero_()
    step.penalty_sum.zero_()
    drawn = epoch_trials(ensemble.seeds, epochs, task, training, ensemble.like, steps_per_draw)
    for trials, numbers in zip(drawn, coefficients, strict=True):
        on_wait()
        (run or step)(trials, numbers)
    sums = torch.stack((step.loss_sum, step.penalty_sum)) / training.steps_per_epoch
    for history, loss, penalty, rate in zip(ensemble.histories, *sums.tolist(), rates, strict=True):
        history.loss.append(loss)
        history.penalty.append(penalty)
        history.learning_rate.append(rate[0])


def epoch_trials(
    seeds: list[int],
    epochs: list[int],
    task: Task,
    training: Training,
    like: Tensor,
    steps_per_draw: int = 0,
) -> Iterator[Trials]:
    """Yield the trials of each step (seeds, trials, ...), on `like`'s device, drawn several at a time."""
    block = steps_per_draw or max(1, TRIALS_PER_DRAW // (training.batch_size * len(seeds)))
    used = epochs if training.fresh_trials else [0] * len(epochs)
    rows = [
        [key(seed, "training trials", epoch, step) for seed, epoch in zip(seeds, used, strict=True)]
        for step in range(training.steps_per_epoch)
    ]
    for keys in torch.tensor(rows, dtype=torch.int64, device=like.device).split(block):
        trials = task.generate(training.batch_size, Stream(keys, like.dtype))
        yield from (trials.map(operator.itemgetter(i)) for i in range(len(keys)))
