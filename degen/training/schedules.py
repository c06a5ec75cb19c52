"""Learning-rate schedules: pure functions of the validation losses of a network, without state."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

from degen.errors import require_integer, require_number


class Schedule(ABC):
    """A learning rate for each epoch, constant within the epoch."""

    @abstractmethod
    def learning_rate(self, initial: float, losses: Sequence[float]) -> float:
        """Return the learning rate of the next epoch.

        Args:
            initial: learning rate of the first epoch.
            losses: validation losses of all epochs so far.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """The initial learning rate in every epoch.

    Examples:
        >>> Constant().learning_rate(0.1, [0.5, 0.4])
        0.1
    """

    def learning_rate(self, initial: float, losses: Sequence[float]) -> float:
        return initial


@dataclasses.dataclass(frozen=True, kw_only=True)
class CosineAnnealingWarmRestarts(Schedule):
    """Cosine decay from the initial learning rate to `eta_min`, restarted every `T_0` epochs.

    Equal to `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts` with T_mult = 1, stepped once per epoch.

    Args:
        T_0: number of epochs between restarts.
        eta_min: lowest learning rate.

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        >>> schedule = CosineAnnealingWarmRestarts(T_0=4, eta_min=0.0)
        >>> [round(schedule.learning_rate(1.0, [0.5] * epoch), 3) for epoch in range(5)]
        [1.0, 0.854, 0.5, 0.146, 1.0]
    """

    T_0: int
    eta_min: float

    def __post_init__(self) -> None:
        require_integer("training.schedule.T_0", self.T_0, 1)
        require_number("training.schedule.eta_min", self.eta_min, minimum=0.0)

    def learning_rate(self, initial: float, losses: Sequence[float]) -> float:
        phase = (len(losses) % self.T_0) / self.T_0
        return self.eta_min + (initial - self.eta_min) * (1 + math.cos(math.pi * phase)) / 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReduceLROnPlateau(Schedule):
    """A learning rate that is multiplied by `factor` after more than `patience` epochs without improvement.

    Equal to `torch.optim.lr_scheduler.ReduceLROnPlateau` with its other defaults and eps = 0.

    Args:
        factor: factor of each reduction, above 0 and at most 1.
        patience: number of epochs without improvement that are tolerated.
        threshold: smallest relative improvement that counts.

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        >>> schedule = ReduceLROnPlateau(factor=0.5, patience=1, threshold=0.0)
        >>> [schedule.learning_rate(1.0, [0.3, 0.3, 0.3][:epoch]) for epoch in range(4)]
        [1.0, 1.0, 1.0, 0.5]
    """

    factor: float
    patience: int
    threshold: float

    def __post_init__(self) -> None:
        require_number("training.schedule.factor", self.factor, above=0.0, maximum=1.0)
        require_integer("training.schedule.patience", self.patience, 0)
        require_number("training.schedule.threshold", self.threshold, minimum=0.0, maximum=1.0)

    def learning_rate(self, initial: float, losses: Sequence[float]) -> float:
        rate, best, bad_epochs = initial, math.inf, 0
        for loss in losses:
            if loss < best * (1 - self.threshold):
                best, bad_epochs = loss, 0
            else:
                bad_epochs += 1
            if bad_epochs > self.patience:
                rate, bad_epochs = rate * self.factor, 0
        return rate
