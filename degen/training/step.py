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
from degen.training.recipe import Training
from degen.training.regularizers import Regularizer

# Trials, of all members, that are drawn at once on a CPU; the numbers do not depend on it. Generators in
# steps are faster with more, until they leave the cache.
TRIALS_PER_DRAW = 4096

Run = Callable[[Trials, Tensor, Tensor], None]
"""What makes a step of its trials, step sizes and corrections: a `Step`, or one recorded."""

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

    def __call__(self, trials: Trials, size: Tensor, correction: Tensor) -> None:
        """Gradients on these trials, then Adam (Kingma & Ba 2015, algorithm 1).

        Args:
            size: learning rate over the first moment's bias, (seeds,).
            correction: the second moment's bias, (seeds,).
        """
        parameters = self.ensemble.parameters
        losses, penalties, gradients = self.gradients(self.model, self.regularizer, parameters, trials)
        self.loss_sum.add_(losses)
        self.penalty_sum.add_(penalties)
        self._adam(gradients, size, correction)

    def _adam(self, gradients: Parameters, size: Tensor, correction: Tensor) -> None:
        beta1, beta2 = self.training.first_moment_decay, self.training.second_moment_decay
        for name, gradient in gradients.items():
            members = (-1,) + (1,) * (gradient.ndim - 1)
            first, second = self.ensemble.first_moment[name], self.ensemble.second_moment[name]
            # One rounding an operation: a fused one may round twice for the last numbers of an array, which
            # are other members' in other company.
            first.mul_(beta1).add_(gradient * (1 - beta1))
            second.mul_(beta2).add_((gradient * gradient).mul_(1 - beta2))
            scale = (second / correction.view(members)).sqrt_().add_(self.model.adam_epsilon)
            self.ensemble.parameters[name].sub_(size.view(members) * first / scale)


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
    epochs = [len(history.loss) for history in ensemble.histories]
    factors = [training.schedule.factor(history.loss) for history in ensemble.histories]
    rates = [factor * step.model.learning_rate(training.learning_rate) for factor in factors]
    sizes, corrections = _adam_schedule(rates, epochs, training, ensemble.like)
    step.loss_sum.zero_()
    step.penalty_sum.zero_()
    drawn = epoch_trials(ensemble.seeds, epochs, task, training, ensemble.like, steps_per_draw)
    for trials, size, correction in zip(drawn, sizes, corrections, strict=True):
        on_wait()
        (run or step)(trials, size, correction)
    sums = torch.stack((step.loss_sum, step.penalty_sum)) / training.steps_per_epoch
    for history, loss, penalty, rate in zip(ensemble.histories, *sums.tolist(), rates, strict=True):
        history.loss.append(loss)
        history.penalty.append(penalty)
        history.learning_rate.append(rate)


def _adam_schedule(
    rates: list[float], epochs: list[int], training: Training, like: Tensor
) -> tuple[Tensor, Tensor]:
    """Step sizes and corrections of an epoch's steps, (steps, seeds) each, from members' learning rates."""
    done = [epoch * training.steps_per_epoch for epoch in epochs]

    def bias(decay: float) -> Tensor:
        rows = [[1 - decay ** (n + i + 1) for n in done] for i in range(training.steps_per_epoch)]
        return torch.tensor(rows, dtype=torch.float64).to(like)

    rate = torch.tensor(rates, dtype=like.dtype, device=like.device)
    return rate / bias(training.first_moment_decay), bias(training.second_moment_decay)


def epoch_trials(
    seeds: list[int],
    epochs: list[int],
    task: Task,
    training: Training,
    like: Tensor,
    steps_per_draw: int = 0,
) -> Iterator[Trials]:
    """Yield the trials of each step (seeds, trials, ...), on `like`'s device, drawn several at a time."""
    block = steps_per_draw or max(1, TRIALS_PER_DRAW // (training.batch * len(seeds)))
    used = epochs if training.fresh_trials else [0] * len(epochs)
    rows = [
        [key(seed, "training trials", epoch, step) for seed, epoch in zip(seeds, used, strict=True)]
        for step in range(training.steps_per_epoch)
    ]
    for keys in torch.tensor(rows, dtype=torch.int64, device=like.device).split(block):
        trials = task.generate(training.batch, Stream(keys, like.dtype))
        yield from (trials.map(operator.itemgetter(i)) for i in range(len(keys)))
