"""Recurrent networks: a step and an unroll, for all members of an ensemble at once (SPEC, section 3)."""

from degen.models.base import Model, Parameters
from degen.models.mup import MuP
from degen.models.standard import Standard

__all__ = ["Model", "MuP", "Parameters", "Standard"]
