"""Learning-rate schedules as pure functions of a network's own loss history: nothing to checkpoint."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

from degen.errors import require_integer, require_number


class Schedule(ABC):
    """A factor on the learning rate, constant within an epoch."""

    @abstractmethod
    def factor(self, losses: Sequence[float]) -> float:
        """The factor for the next epoch after epochs with these mean task losses."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """No schedule."""

    def factor(self, losses: Sequence[float]) -> float:
        return 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class CosineWarmRestarts(Schedule):
    """Cosine decay to `floor` within `period` epochs, then from 1 again (torch CosineAnnealingWarmRestarts).

    Args:
        period: epochs from one restart to the next (T_0, with T_mult = 1).
        floor: the lowest factor.
    """

    period: int
    floor: float

    def __post_init__(self) -> None:
        require_integer("training.schedule.period", self.period, 1)
        require_number("training.schedule.floor", self.floor, minimum=0.0, maximum=1.0)

    def factor(self, losses: Sequence[float]) -> float:
        phase = (len(losses) % self.period) / self.period
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * phase)) / 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReduceOnPlateau(Schedule):
    """Times `decay` after more than `patience` epochs without improvement (torch ReduceLROnPlateau).

    Args:
        decay: factor at each reduction, between 0 and 1.
        patience: epochs without improvement that are borne.
        tolerance: relative improvement that counts.
    """

    decay: float
    patience: int
    tolerance: float

    def __post_init__(self) -> None:
        require_number("training.schedule.decay", self.decay, above=0.0, maximum=1.0)
        require_integer("training.schedule.patience", self.patience, 0)
        require_number("training.schedule.tolerance", self.tolerance, minimum=0.0, maximum=1.0)

    def factor(self, losses: Sequence[float]) -> float:
        factor, best, waited = 1.0, math.inf, 0
        for loss in losses:
            if loss < best * (1 - self.tolerance):
                best, waited = loss, 0
            else:
                waited += 1
            if waited > self.patience:
                factor, waited = factor * self.decay, 0
        return factor
