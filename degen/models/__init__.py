"""Recurrent networks, computed for all seeds of an ensemble at once (`docs/specification.md`, section 3)."""

from degen.models.base import Model, Parameters
from degen.models.constrained import Dale, LowRank
from degen.models.gated import GRU, LSTM
from degen.models.module_cell import ModuleCell
from degen.models.mup import MuP
from degen.models.noisy import Noisy
from degen.models.standard import ReLU, Softplus, Standard

__all__ = [
    "GRU",
    "LSTM",
    "Dale",
    "LowRank",
    "Model",
    "ModuleCell",
    "MuP",
    "Noisy",
    "Parameters",
    "ReLU",
    "Softplus",
    "Standard",
]
