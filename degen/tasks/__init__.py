"""Tasks: generators of trials (`docs/specification.md`, section 2)."""

from degen.tasks.base import Task, Trials
from degen.tasks.context_integration import ContextIntegration
from degen.tasks.delayed_discrimination import DelayedDiscrimination
from degen.tasks.delayed_match import DelayedMatch
from degen.tasks.flip_flop import FlipFlop
from degen.tasks.lorenz96 import Lorenz96
from degen.tasks.neurogym import Neurogym
from degen.tasks.path_integration import PathIntegration
from degen.tasks.ring_integration import RingIntegration
from degen.tasks.sine_wave import SineWave

__all__ = [
    "ContextIntegration",
    "DelayedDiscrimination",
    "DelayedMatch",
    "FlipFlop",
    "Lorenz96",
    "Neurogym",
    "PathIntegration",
    "RingIntegration",
    "SineWave",
    "Task",
    "Trials",
]
