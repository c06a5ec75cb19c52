"""DSA distances between operators."""

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
        operators: (networks, r, r), for example from `operators`. Smaller operators may be padded with
            zeros on the right and below.
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
    stacked = stack_operators(operators, score, input_maps)
    return pairwise(stacked, lambda a, b: _distance(a, b, score, seed))


def stack_operators(
    operators: Array | Sequence[Array], score: str, input_maps: Array | Sequence[Array] | None
) -> Tensor:
    """Check the arguments of `distance_matrix`, and join them to one tensor (networks, r, r + inputs)."""
    require_choice("score", score, SCORES)
    stacked = to_square_matrices("operators", operators)
    for index, norm in enumerate(torch.linalg.matrix_norm(stacked)):
        require(bool(norm > 0), f"operator of network {index}", 0, "nonzero")
    if input_maps is None:
        return stacked
    require(
        score != "wasserstein", "score", score, "angular, frobenius or normalized if input maps are given"
    )
    maps = torch.stack(to_networks("input_maps", input_maps, 2)).to(stacked.device)
    fits = maps.shape[:2] == stacked.shape[:2]
    allowed = f"({len(stacked)}, {stacked.shape[-1]}, inputs), as the operators require"
    require(fits, "input_maps shape", tuple(maps.shape), allowed)
    return torch.cat([stacked, maps], dim=-1)


def paired_distances(first: Tensor, second: Tensor, score: str, seed: int) -> NDArray[np.float64]:
    """Compute the distances (pairs,) of stacked pairs (pairs, r, r + inputs), whatever their order."""
    a, b, _ = sort_pairs(first, second)
    return map_pairs(a, b, lambda x, y: _distance(x, y, score, seed))


def _distance(a: Tensor, b: Tensor, score: str, seed: int) -> Tensor:
    """Compute the distances (pairs,) of stacked pairs (pairs, r, r + inputs).

    A pair is compared at the size of its larger operator, without the zeros that pad both. Its distance
    therefore does not depend on the other networks.
    """
    sizes = torch.maximum(_size(a), _size(b))
    distances = a.new_empty(len(a))
    for size in sizes.unique().tolist():
        index = sizes == size
        distances[index] = _distance_of_size(_crop(a[index], size), _crop(b[index], size), score, seed)
    return distances


def _size(operators: Tensor) -> Tensor:
    """Return the size (pairs,) of each operator (pairs, r, r + inputs) without the zeros that pad it."""
    r = operators.shape[1]
    nonzero = (operators != 0).any(dim=2) | (operators[..., :r] != 0).any(dim=1)
    return (nonzero * torch.arange(1, r + 1, device=operators.device)).amax(dim=1)


def _crop(operators: Tensor, size: int) -> Tensor:
    """Return the leading block of operators (pairs, r, r + inputs), (pairs, size, size + inputs)."""
    r = operators.shape[1]
    return torch.cat([operators[:, :size, :size], operators[:, :size, r:]], dim=2)


def _distance_of_size(a: Tensor, b: Tensor, score: str, seed: int) -> Tensor:
    """Compute the distances (pairs,) of stacked pairs of operators without padding."""
    if score == "wasserstein":
        return _wasserstein(a, b)
    return _SCORE_FUNCTIONS[score](
        _overlap(a, b, seed), torch.linalg.matrix_norm(a), torch.linalg.matrix_norm(b)
    )


def _overlap(a: Tensor, b: Tensor, seed: int) -> Tensor:
    """Compute the largest overlap (pairs,) of stacked pairs (pairs, r, r + inputs)."""
    if a.shape[1] == a.shape[2] and torch.equal(a, a.mT) and torch.equal(b, b.mT):
        # Eigenvectors in the order of the eigenvalues align symmetric operators exactly.
        return (torch.linalg.eigvalsh(a) * torch.linalg.eigvalsh(b)).sum(dim=1)
    return align(a, b, seed=seed).overlap


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
