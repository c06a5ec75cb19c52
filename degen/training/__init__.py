"""Training of ensembles: every seed of a condition at once, each on its own terms (SPEC, section 4)."""

from degen.training.ensemble import Ensemble, History
from degen.training.loop import train
from degen.training.recipe import Training, status
from degen.training.regularizers import L1, NuclearNorm, Regularizer, Unregularized
from degen.training.schedules import Constant, CosineWarmRestarts, ReduceOnPlateau, Schedule

__all__ = [
    "L1",
    "Constant",
    "CosineWarmRestarts",
    "Ensemble",
    "History",
    "NuclearNorm",
    "ReduceOnPlateau",
    "Regularizer",
    "Schedule",
    "Training",
    "Unregularized",
    "status",
    "train",
]
