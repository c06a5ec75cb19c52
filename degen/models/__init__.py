"""Recurrent networks, computed for all seeds of an ensemble at once (`docs/specification.md`, section 3)."""

from degen.models.base import Model, Parameters
from degen.models.mup import MuP
from degen.models.standard import Standard

__all__ = ["Model", "MuP", "Parameters", "Standard"]
