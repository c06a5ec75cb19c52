"""Distances between operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from degen.errors import require, require_choice
from degen.metrics.arrays import Array, to_networks, to_numpy, to_square
from degen.metrics.dsa.alignment import align
from degen.metrics.dsa.dmd import Settings, controlled_operators, operators
from degen.metrics.pairs import canonical, of_pairs, pairwise

SCORES = ("angular", "frobenius", "normalized", "wasserstein")


def distance_matrix(
    operators: Array | Sequence[Array],
    *,
    score: str = "angular",
    seed: int,
    input_maps: Array | Sequence[Array] | None = None,
) -> NDArray[np.float64]:
    r"""DSA distance of every pair of operators (Ostrow et al. 2023, NeurIPS; App. D.1 of the paper).

    With C the orthogonal matrix (reflections included) that maximizes :math:`\langle A, C B C^\top \rangle`,

    - ``angular``: :math:`\arccos \langle A, C B C^\top \rangle / (\|A\|_F \|B\|_F)`, radians in [0, pi];
    - ``frobenius``: :math:`\|A - C B C^\top\|_F`, the paper's formula;
    - ``normalized``: the same after dividing A and B by their Frobenius norms, in [0, 2];
    - ``wasserstein``: no alignment; the 2-Wasserstein distance of the eigenvalues as points of the plane,
      :math:`(\min_\pi \tfrac{1}{n} \sum_i |\lambda_i - \mu_{\pi(i)}|^2)^{1/2}` (Redman et al. 2024).

    The first three come from one and the same C. Each vanishes for an operator and its rotated copy.

    Args:
        operators: (networks, r, r), as from `operators`.
        score: one of the above.
        seed: of the random starts of the alignment.
        input_maps: (networks, r, inputs), as from `controlled_operators`. Then A and its input map D
            are aligned together, [A, D] with [C B C^T, C E], so that the drive is not taken for dynamics.

    Returns:
        (networks, networks), symmetric to the last bit. A pair's value does not depend on the other networks.

    Raises:
        BadInputError: fewer than two operators, not finite, all zero, not square, of different sizes, or an
            unknown score.
    """
    require_choice("score", score, SCORES)
    stacked = _checked(operators)
    _require_alignment(score, input_maps is not None)
    if input_maps is not None:
        maps = torch.stack(to_networks("input_maps", input_maps, 2)).to(stacked.device)
        fits = maps.shape[:2] == stacked.shape[:2]
        require(fits, "input_maps shape", tuple(maps.shape), f"(networks, {stacked.shape[-1]}, inputs)")
        stacked = torch.cat([stacked, maps], dim=-1)
    return pairwise(stacked, lambda a, b: _distance(a, b, score, seed))


def null_distances(
    activations: Array | Sequence[Array],
    settings: Settings,
    *,
    score: str = "angular",
    seed: int,
    inputs: Array | None = None,
) -> NDArray[np.float64]:
    """The distance of each network from itself, on disjoint trials: even ones against odd ones.

    What the distance of two networks has to exceed before it says that they differ.

    Args:
        activations: (networks, trials, time, units), or a list of (trials, time, units).
        settings: as for the distances that this is the null of.
        score, seed: as for `distance_matrix`.
        inputs: (trials, time, inputs); then operators and input maps are aligned, as `distance_matrix` does
            where it is given `input_maps`.

    Returns:
        (networks,).
    """
    require_choice("score", score, SCORES)
    _require_alignment(score, inputs is not None)
    networks = to_networks("activations", activations, 3)
    for index, states in enumerate(networks):
        require(len(states) >= 2, f"trials of network {index}", len(states), "at least 2")
    halves = []
    for half in (slice(None, None, 2), slice(1, None, 2)):
        activity = [states[half] for states in networks]
        if inputs is None:
            halves.append(operators(activity, settings))
        else:
            halves.append(torch.cat(controlled_operators(activity, inputs[half], settings), dim=-1))
    a, b, _ = canonical(*halves)
    return of_pairs(a, b, lambda x, y: _distance(x, y, score, seed))


def _require_alignment(score: str, driven: bool) -> None:
    holds = score != "wasserstein" or not driven
    require(holds, "score", score, "one with an alignment where inputs count")


def _checked(operators: Array | Sequence[Array]) -> Tensor:
    stacked = to_square("operators", operators)
    for index, norm in enumerate(torch.linalg.matrix_norm(stacked)):
        require(bool(norm > 0), f"operator of network {index}", 0, "other than zero")
    return stacked


def _distance(a: Tensor, b: Tensor, score: str, seed: int) -> Tensor:
    if score == "wasserstein":
        return _wasserstein(a, b)
    return _SCORE[score](
        align(a, b, seed=seed).overlap, torch.linalg.matrix_norm(a), torch.linalg.matrix_norm(b)
    )


def _angular(overlap: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.arccos((overlap / (a * b)).clamp(-1, 1))


def _frobenius(overlap: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return (a.square() + b.square() - 2 * overlap).clamp(min=0).sqrt()


def _normalized(overlap: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return (2 - 2 * overlap / (a * b)).clamp(min=0).sqrt()


_SCORE: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "angular": _angular,
    "frobenius": _frobenius,
    "normalized": _normalized,
}


def _wasserstein(a: Tensor, b: Tensor) -> Tensor:
    """2-Wasserstein distance of the eigenvalues (pairs,): equal weights make it an assignment."""
    values_a, values_b = torch.linalg.eigvals(a), torch.linalg.eigvals(b)
    cost = to_numpy((values_a.unsqueeze(-1) - values_b.unsqueeze(-2)).abs().square())
    best = [c[linear_sum_assignment(c)].mean() for c in cost]
    return torch.tensor(best, dtype=torch.float64).sqrt()
