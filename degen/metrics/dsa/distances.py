"""DSA distances between operators, and their split-half baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from degen.errors import require, require_choice
from degen.metrics.arrays import Array, to_networks, to_numpy, to_square_matrices
from degen.metrics.dsa.alignment import align
from degen.metrics.dsa.dmd import Hyperparameters, controlled_operators, operators
from degen.metrics.pairs import map_pairs, pairwise, sort_pairs

SCORES = ("angular", "frobenius", "normalized", "wasserstein")


def distance_matrix(
    operators: Array | Sequence[Array],
    *,
    score: str = "angular",
    seed: int = 0,
    input_maps: Array | Sequence[Array] | None = None,
) -> NDArray[np.float64]:
    r"""Compute the DSA distance of every pair of operators (Ostrow et al. 2023, NeurIPS; App. D.1).

    Let C be the orthogonal matrix that maximizes :math:`\langle A, C B C^\top \rangle`. It may be a
    reflection. The scores are:

    - ``angular``: :math:`\arccos \langle A, C B C^\top \rangle / (\|A\|_F \|B\|_F)`, radians in [0, pi].
    - ``frobenius``: :math:`\|A - C B C^\top\|_F`, the formula of the paper.
    - ``normalized``: the Frobenius distance after A and B are divided by their norms, in [0, 2].
    - ``wasserstein``: the 2-Wasserstein distance between the eigenvalues in the complex plane,
      :math:`(\min_\pi \tfrac{1}{n} \sum_i |\lambda_i - \mu_{\pi(i)}|^2)^{1/2}`, without alignment
      (Redman et al. 2024).

    The first three scores share C. All scores are zero for an operator and its rotated copy. The alignment is
    approximate: see `align`.

    Args:
        operators: (networks, r, r), for example from `operators`.
        score: an entry of `SCORES`.
        seed: seed of the random initial alignments.
        input_maps: (networks, r, inputs), for example from `controlled_operators`. With input maps D and E,
            C aligns [A, D] with [C B C^T, C E], so that the drive by the inputs is not counted as dynamics.

    Returns:
        (networks, networks), bitwise symmetric. The value of a pair does not depend on the other networks.

    Raises:
        BadInputError: fewer than two operators; operators that are not finite, all zero, not square or of
            different sizes; input maps of another shape or with a score without alignment; or an unknown
            score.

    Examples:
        >>> a = np.diag([0.9, 0.5])
        >>> rotation = np.array([[0.6, -0.8], [0.8, 0.6]])
        >>> b = rotation @ np.diag([0.9, 0.1]) @ rotation.T
        >>> distance_matrix([a, b], score="frobenius", seed=0).round(3)
        array([[0. , 0.4],
               [0.4, 0. ]])
    """
    require_choice("score", score, SCORES)
    stacked = to_square_matrices("operators", operators)
    for index, norm in enumerate(torch.linalg.matrix_norm(stacked)):
        require(bool(norm > 0), f"operator of network {index}", 0, "nonzero")
    _require_alignment(score, input_maps is not None)
    if input_maps is not None:
        maps = torch.stack(to_networks("input_maps", input_maps, 2)).to(stacked.device)
        fits = maps.shape[:2] == stacked.shape[:2]
        allowed = f"({len(stacked)}, {stacked.shape[-1]}, inputs), as the operators require"
        require(fits, "input_maps shape", tuple(maps.shape), allowed)
        stacked = torch.cat([stacked, maps], dim=-1)
    return pairwise(stacked, lambda a, b: _distance(a, b, score, seed))


def null_distances(
    activations: Array | Sequence[Array],
    hyperparameters: Hyperparameters,
    *,
    score: str = "angular",
    seed: int = 0,
    inputs: Array | None = None,
) -> NDArray[np.float64]:
    """Compute the split-half baseline: the distance of each network from itself on disjoint trials.

    The operator of the trials with even index is compared with the operator of the trials with odd index. The
    baseline measures the estimation error from a finite number of trials. A distance between two networks is
    evidence for a difference only if it exceeds the baseline.

    Args:
        activations: (networks, trials, time, units), or a list with one array (trials, time, units) per
            network.
        hyperparameters: hyperparameters of the distances to compare with.
        score: an entry of `SCORES`.
        seed: seed of the random initial alignments.
        inputs: (trials, time, inputs). If given, operators and input maps are aligned together, as in
            `distance_matrix` with `input_maps`.

    Returns:
        (networks,), in units of the score.

    Raises:
        BadInputError: an argument that `controlled_operators` or `distance_matrix` rejects, or fewer than two
            trials.

    Examples:
        >>> generator = torch.Generator().manual_seed(0)
        >>> states = torch.randn(2, 8, 20, 3, generator=generator, dtype=torch.float64).cumsum(dim=2)
        >>> hyperparameters = Hyperparameters(n_components=2, lag=1, rank=2)
        >>> null_distances(states, hyperparameters, score="wasserstein", seed=0).shape
        (2,)
    """
    require_choice("score", score, SCORES)
    _require_alignment(score, inputs is not None)
    networks = to_networks("activations", activations, 3)
    for index, states in enumerate(networks):
        require(len(states) >= 2, f"trials of network {index}", len(states), "at least 2")
    halves = []
    for half in (slice(None, None, 2), slice(1, None, 2)):
        half_trials = [states[half] for states in networks]
        if inputs is None:
            halves.append(operators(half_trials, hyperparameters))
        else:
            halves.append(torch.cat(controlled_operators(half_trials, inputs[half], hyperparameters), dim=-1))
    a, b, _ = sort_pairs(*halves)
    return map_pairs(a, b, lambda x, y: _distance(x, y, score, seed))


def _require_alignment(score: str, has_inputs: bool) -> None:
    """Raise `BadInputError` if inputs are given with a score that has no alignment."""
    supported = score != "wasserstein" or not has_inputs
    allowed = "angular, frobenius or normalized if inputs or input maps are given"
    require(supported, "score", score, allowed)


def _distance(a: Tensor, b: Tensor, score: str, seed: int) -> Tensor:
    """Compute the distances (pairs,) of stacked pairs (pairs, r, r + inputs)."""
    if score == "wasserstein":
        return _wasserstein(a, b)
    return _SCORE_FUNCTIONS[score](
        align(a, b, seed=seed).overlap, torch.linalg.matrix_norm(a), torch.linalg.matrix_norm(b)
    )


def _angular(overlap: Tensor, norm_a: Tensor, norm_b: Tensor) -> Tensor:
    return torch.arccos((overlap / (norm_a * norm_b)).clamp(-1, 1))


def _frobenius(overlap: Tensor, norm_a: Tensor, norm_b: Tensor) -> Tensor:
    return (norm_a.square() + norm_b.square() - 2 * overlap).clamp(min=0).sqrt()


def _normalized(overlap: Tensor, norm_a: Tensor, norm_b: Tensor) -> Tensor:
    return (2 - 2 * overlap / (norm_a * norm_b)).clamp(min=0).sqrt()


_SCORE_FUNCTIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "angular": _angular,
    "frobenius": _frobenius,
    "normalized": _normalized,
}


def _wasserstein(a: Tensor, b: Tensor) -> Tensor:
    """Compute the 2-Wasserstein distance of the eigenvalues (pairs,).

    Eigenvalues have equal weights, so that optimal transport is a linear assignment problem.
    """
    values_a, values_b = torch.linalg.eigvals(a), torch.linalg.eigvals(b)
    costs = to_numpy((values_a.unsqueeze(-1) - values_b.unsqueeze(-2)).abs().square())
    squares = [cost[linear_sum_assignment(cost)].mean() for cost in costs]
    return torch.tensor(squares, dtype=torch.float64).sqrt()
