"""How a network is trained and when it is done (SPEC, section 4; App. B of the paper)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from degen.errors import require, require_integer, require_number
from degen.training.schedules import Schedule


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """Adam without weight decay, on fresh trials, until the task is solved.

    Args:
        learning_rate: Adam's, before the model's factor gamma.
        schedule: factor on it, epoch by epoch.
        max_epochs: a network is given up after so many.
        steps_per_epoch: Adam steps.
        batch: trials a step.
        threshold: mean squared error of an epoch below which the task counts as solved.
        extra_epochs: epochs trained after that one; then training ends as soon as the loss is below the
            threshold. (The paper ends it there in any case: now and then on a network whose loss has just
            leapt up again.)
        fresh_trials: new trials in every epoch, or those of the first again.
        first_moment_decay, second_moment_decay: Adam's betas.

    Raises:
        BadInputError: an argument is out of its range.
    """

    learning_rate: float
    schedule: Schedule
    max_epochs: int
    steps_per_epoch: int
    batch: int
    threshold: float
    extra_epochs: int
    fresh_trials: bool
    first_moment_decay: float
    second_moment_decay: float

    def __post_init__(self) -> None:
        require_number("training.learning_rate", self.learning_rate, above=0.0)
        require_integer("training.max_epochs", self.max_epochs, 1)
        require_integer("training.steps_per_epoch", self.steps_per_epoch, 1)
        require_integer("training.batch", self.batch, 1)
        require_number("training.threshold", self.threshold, minimum=0.0)
        require_integer("training.extra_epochs", self.extra_epochs, 0)
        require(
            isinstance(self.fresh_trials, bool), "training.fresh_trials", self.fresh_trials, "true or false"
        )
        require_number("training.first_moment_decay", self.first_moment_decay, minimum=0.0, maximum=0.999999)
        require_number(
            "training.second_moment_decay", self.second_moment_decay, minimum=0.0, maximum=0.999999
        )


def epochs_to_threshold(losses: Sequence[float], training: Training) -> int | None:
    """The number of epochs up to and including the first whose loss is below the threshold."""
    return next((i + 1 for i, loss in enumerate(losses) if loss < training.threshold), None)


def status(losses: Sequence[float], training: Training) -> str:
    """`running`, `converged`, `unconverged` or `diverged`, from a network's epoch-mean task losses."""
    if losses and not math.isfinite(losses[-1]):
        return "diverged"
    solved = epochs_to_threshold(losses, training)
    if solved is not None:
        end = min(solved + training.extra_epochs, training.max_epochs)
        if len(losses) >= end and losses[-1] < training.threshold:
            return "converged"
    return "unconverged" if len(losses) >= training.max_epochs else "running"
