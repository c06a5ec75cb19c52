"""Dynamical similarity analysis (DSA): are two networks' dynamics the same up to a rotation of state space?

Ostrow, Eisen, Kozachkov & Fiete 2023, "Beyond geometry", NeurIPS. The way of the data: activations
(trials, time, units) to principal components to delay windows to a DMD operator (`operators`), one for each
network; operators to distances (`distance_matrix`). Components, lag and rank are chosen once (`choose`).
"""

from degen.metrics.dsa.alignment import Alignment, align
from degen.metrics.dsa.choice import Choice, choose
from degen.metrics.dsa.distances import SCORES, distance_matrix, null_distances
from degen.metrics.dsa.dmd import Settings, controlled_operators, operators
from degen.metrics.dsa.embedding import n_components

__all__ = [
    "SCORES",
    "Alignment",
    "Choice",
    "Settings",
    "align",
    "choose",
    "controlled_operators",
    "distance_matrix",
    "n_components",
    "null_distances",
    "operators",
]
