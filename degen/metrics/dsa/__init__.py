"""Dynamical similarity analysis (DSA): differences in dynamics up to a rotation of state space.

Reference: Ostrow, Eisen, Kozachkov & Fiete 2023, "Beyond geometry", NeurIPS. The steps are:

1. Activations (trials, time, units) are projected on their principal components (`n_components`).
2. Delay windows of the components give one linear operator per network, by DMD (`operators`).
3. Pairs of operators are aligned by an orthogonal matrix (`align`) and compared (`distance_matrix`).

The number of components, the lag and the rank are selected for all networks of a task together
(`select_hyperparameters`). `weighted_operators` needs no selection, because it weights directions by their
variance. `half_distances` computes the split-half baseline of a distance.
"""

from degen.metrics.dsa.alignment import Alignment, align
from degen.metrics.dsa.distances import SCORES, distance_matrix
from degen.metrics.dsa.dmd import Hyperparameters, controlled_operators, operators
from degen.metrics.dsa.embedding import n_components
from degen.metrics.dsa.halves import HalfDistances, half_distances, matched_halves
from degen.metrics.dsa.model_selection import COMPONENTS, Selection, select_hyperparameters
from degen.metrics.dsa.weighted import FORMS, weighted_operators

__all__ = [
    "COMPONENTS",
    "FORMS",
    "SCORES",
    "Alignment",
    "HalfDistances",
    "Hyperparameters",
    "Selection",
    "align",
    "controlled_operators",
    "distance_matrix",
    "half_distances",
    "matched_halves",
    "n_components",
    "operators",
    "select_hyperparameters",
    "weighted_operators",
]
