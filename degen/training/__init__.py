"""Training of ensembles: all seeds of a condition at once (`docs/specification.md`, section 4)."""

from degen.training.ensemble import Ensemble, History
from degen.training.loop import train
from degen.training.optimizers import SGD, Adam, Optimizer
from degen.training.recipe import Training, status
from degen.training.regularizers import L1, NoPenalty, NuclearNorm, Regularizer
from degen.training.schedules import Constant, CosineAnnealingWarmRestarts, ReduceLROnPlateau, Schedule

__all__ = [
    "L1",
    "SGD",
    "Adam",
    "Constant",
    "CosineAnnealingWarmRestarts",
    "Ensemble",
    "History",
    "NoPenalty",
    "NuclearNorm",
    "Optimizer",
    "ReduceLROnPlateau",
    "Regularizer",
    "Schedule",
    "Training",
    "status",
    "train",
]
