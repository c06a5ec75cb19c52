"""Permutation-invariant Frobenius (PIF) distance: weight differences after reordering the units."""

from degen.metrics.pif.alignment import Matching, align
from degen.metrics.pif.distances import (
    NORMALIZATIONS,
    SOLVERS,
    distance_matrix,
    lower_bound_matrix,
    unaligned_distance_matrix,
)
from degen.metrics.pif.scales import balance

__all__ = [
    "NORMALIZATIONS",
    "SOLVERS",
    "Matching",
    "align",
    "balance",
    "distance_matrix",
    "lower_bound_matrix",
    "unaligned_distance_matrix",
]
