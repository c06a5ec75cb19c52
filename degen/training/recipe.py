"""Training settings, and the criterion of convergence (`docs/specification.md`, section 4)."""

from __future__ import annotations

import dataclasses
import math

from degen.errors import require, require_integer, require_number
from degen.fields import neutral
from degen.training.ensemble import History
from degen.training.optimizers import Optimizer
from degen.training.schedules import Schedule

MARGIN = 2.0
"""Number of standard errors by which a confirmed loss must be below the threshold [chosen].

Without a margin, a network whose loss slowly approaches the threshold would be confirmed by chance.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """Training settings: optimizer, schedule, stop rule and trials.

    After each epoch, the task loss is computed on validation trials, which are the same in every epoch. When
    it has been below `threshold` for `patience` consecutive epochs, the loss is computed on separate
    confirmation trials. If that loss is below the threshold by `MARGIN` standard errors, the network has
    converged. Otherwise training continues, and `patience` further epochs must pass before the next
    confirmation.

    A converged network is then trained for `settle_epochs` epochs, in which the learning rate falls linearly
    to zero.

    Args:
        optimizer: update rule.
        schedule: learning rate of each epoch.
        max_epochs: maximum number of epochs until convergence. Settling epochs are added to it.
        steps_per_epoch: number of optimizer steps per epoch.
        batch_size: number of trials per step.
        threshold: task loss below which the task counts as solved.
        patience: number of consecutive epochs below the threshold before a confirmation.
        validation_trials: number of validation trials, which all networks share.
        confirmation_trials: number of confirmation trials, which all networks share.
        settle_epochs: number of epochs after convergence.
        fresh_trials: draw new trials in every epoch. If false, every epoch has the trials of the first.
        input_noise: standard deviation of the Gaussian noise that is added to the inputs of training trials.
            It is new in every epoch. Validation and confirmation trials have none.

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        See `train`.
    """

    optimizer: Optimizer
    schedule: Schedule
    max_epochs: int
    steps_per_epoch: int
    batch_size: int
    threshold: float
    patience: int
    validation_trials: int
    confirmation_trials: int
    settle_epochs: int
    fresh_trials: bool
    input_noise: float = neutral(0.0)

    def __post_init__(self) -> None:
        for name in ("max_epochs", "steps_per_epoch", "batch_size", "patience"):
            require_integer(f"training.{name}", getattr(self, name), 1)
        require_integer("training.validation_trials", self.validation_trials, 1)
        require_integer("training.confirmation_trials", self.confirmation_trials, 2)
        require_integer("training.settle_epochs", self.settle_epochs, 0)
        require_number("training.threshold", self.threshold, minimum=0.0)
        require_number("training.input_noise", self.input_noise, minimum=0.0)
        is_bool = isinstance(self.fresh_trials, bool)
        require(is_bool, "training.fresh_trials", self.fresh_trials, "true or false")


def epochs_to_threshold(history: History, training: Training) -> int | None:
    """Return the first epoch, counted from 1, whose validation loss is below the threshold, or None."""
    losses = enumerate(history.validation_loss, start=1)
    return next((epoch for epoch, loss in losses if loss < training.threshold), None)


def epochs_to_convergence(history: History, training: Training) -> int | None:
    """Return the epoch of convergence, counted from 1, or None for a network that has not converged."""
    pairs = zip(history.confirmation_loss, history.confirmation_error, strict=True)
    bounds = enumerate((loss + MARGIN * error for loss, error in pairs), start=1)
    return next((epoch for epoch, bound in bounds if bound < training.threshold), None)


def last_epoch(history: History, training: Training) -> int:
    """Return the epoch whose weights are the result of training, 0 before training.

    It is the epoch of convergence, or the last epoch of a network that has not converged.
    """
    converged = epochs_to_convergence(history, training)
    return len(history) if converged is None else converged


def needs_confirmation(history: History, training: Training) -> bool:
    """Return whether the last epoch requires a confirmation (`Training`).

    It does if the network has not converged, and the validation loss was below the threshold in the last
    `patience` epochs, all of them after the previous confirmation. The last epoch must have a validation
    loss, but no confirmation loss.
    """
    if epochs_to_convergence(history, training) is not None:
        return False
    confirmed = [i for i, loss in enumerate(history.confirmation_loss, start=1) if not math.isnan(loss)]
    since = history.validation_loss[max(confirmed, default=0) :][-training.patience :]
    return len(since) == training.patience and all(loss < training.threshold for loss in since)


def status(history: History, training: Training) -> str:
    """Return the status of a network: `running`, `converged`, `unconverged` or `diverged`.

    A network in its settling epochs is `running`. A network with a NaN or infinite loss is `diverged`.
    """
    epochs, converged = len(history), epochs_to_convergence(history, training)
    if converged is not None:
        return "converged" if epochs >= converged + training.settle_epochs else "running"
    if epochs and not (math.isfinite(history.loss[-1]) and math.isfinite(history.validation_loss[-1])):
        return "diverged"
    return "unconverged" if epochs >= training.max_epochs else "running"


def step_learning_rates(history: History, training: Training, initial: float) -> list[float]:
    """Return the learning rate of each step of the next epoch of a network.

    Args:
        history: the epochs so far.
        training: schedule and settling epochs.
        initial: learning rate at which the schedule starts.
    """
    steps, converged = training.steps_per_epoch, epochs_to_convergence(history, training)
    if converged is None:
        return [training.schedule.learning_rate(initial, history.validation_loss)] * steps
    last, total = history.learning_rate[converged - 1], training.settle_epochs * steps
    done = (len(history) - converged) * steps
    return [last * (1 - step / total) for step in range(done, done + steps)]
