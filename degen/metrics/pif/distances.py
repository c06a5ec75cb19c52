"""The permutation-invariant Frobenius distance and its normalizations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degen.errors import require, require_choice
from degen.metrics.arrays import Array, to_networks, to_square
from degen.metrics.pairs import canonical, pairwise
from degen.metrics.pif.solver import match

NORMALIZATIONS = ("frobenius", "parameters", "relative")
SOLVERS = ("faq", "procrustes")


def distance_matrix(
    weights: Array | Sequence[Array],
    *,
    seed: int,
    normalization: str = "frobenius",
    input_weights: Array | Sequence[Array] | None = None,
    output_weights: Array | Sequence[Array] | None = None,
    solver: str = "faq",
) -> NDArray[np.float64]:
    r"""PIF distance of every pair of networks (section 2.3.3 of the paper).

    .. math:: d(W_1, W_2) = \min_{P \in \mathcal P(n)} \|W_1 - P^\top W_2 P\|_F

    Normalizations: ``frobenius`` is d itself; ``parameters`` divides by the number of weights compared
    (:math:`n^2`; the paper, to compare sizes); ``relative`` divides by
    :math:`\sqrt{\|W_1\|^2 + \|W_2\|^2}`, so that unrelated networks come out near 1 at every size.

    Args:
        weights: recurrent matrices (networks, n, n).
        seed: of the random starts.
        normalization: one of `NORMALIZATIONS`.
        input_weights: (networks, n, inputs), aligned together with the recurrent ones by the same P.
        output_weights: (networks, outputs, n), likewise.
        solver: ``faq`` (the default, see `align`), or ``procrustes``, the best of the two-sided permutation
            methods of the package of that name (GPL-3, an optional extra), for comparison.

    Returns:
        (networks, networks), symmetric to the last bit. A pair's value does not depend on the other networks.

    Raises:
        BadInputError: fewer than two networks, not finite, not square, of different sizes, or an unknown
            normalization or solver.
    """
    require_choice("solver", solver, SOLVERS)
    stacked, n = _stacked(weights, input_weights, output_weights)
    return _normalized(
        stacked, normalization, lambda a, b: _distance(a, b, _permutations(a, b, n, seed, solver), n)
    )


def unaligned_distance_matrix(
    weights: Array | Sequence[Array],
    *,
    normalization: str = "frobenius",
    input_weights: Array | Sequence[Array] | None = None,
    output_weights: Array | Sequence[Array] | None = None,
) -> NDArray[np.float64]:
    r"""The same with P the identity, :math:`\|W_1 - W_2\|_F`: what alignment starts from."""
    stacked, _ = _stacked(weights, input_weights, output_weights)
    return _normalized(stacked, normalization, lambda a, b: torch.linalg.matrix_norm(a - b))


def lower_bound_matrix(weights: Array | Sequence[Array]) -> NDArray[np.float64]:
    r"""No alignment of the recurrent matrices, by permutation or rotation, comes below this.

    .. math:: d^2 \ge \|W_1\|^2 + \|W_2\|^2 - 2 \langle \lambda(S_1), \lambda(S_2) \rangle
        - 2 \langle \sigma(K_1), \sigma(K_2) \rangle

    with eigenvalues of the symmetric parts S and singular values of the antisymmetric parts K, both in order
    (von Neumann's trace inequality). Equality where the matrices are copies of each other.

    Raises:
        BadInputError: as `distance_matrix`.
    """

    def bound(a: Tensor, b: Tensor) -> Tensor:
        overlap = 0
        for sign, spectrum in ((1, torch.linalg.eigvalsh), (-1, torch.linalg.svdvals)):
            overlap = overlap + (spectrum((a + sign * a.mT) / 2) * spectrum((b + sign * b.mT) / 2)).sum(-1)
        squares = a.square().sum(dim=(1, 2)) + b.square().sum(dim=(1, 2))
        return (squares - 2 * overlap).clamp(min=0).sqrt()

    return pairwise(to_square("weights", weights), bound)


@dataclasses.dataclass(frozen=True)
class Matching:
    """The best permutation of each pair.

    Attributes:
        permutation: (pairs, n), p such that B[p][:, p] is closest to A: unit i of the first network is
            unit p[i] of the second.
        distance: (pairs,), the Frobenius distance that it leaves.
    """

    permutation: Tensor
    distance: Tensor


def align(first: Array, second: Array, *, seed: int) -> Matching:
    """The permutations behind `distance_matrix`, for stacked pairs of recurrent matrices (pairs, n, n)."""
    a, b = to_square(
        "weights", torch.stack([torch.as_tensor(first), torch.as_tensor(second)]).flatten(0, 1)
    ).chunk(2)
    n = a.shape[-1]
    small, large, swapped = canonical(a, b)
    found = _permutations(small, large, n, seed, "faq")
    permutation = torch.where(swapped.unsqueeze(-1), found.argsort(dim=-1), found)
    return Matching(permutation, _distance(a, b, permutation, n))


def _stacked(
    weights: Array | Sequence[Array],
    input_weights: Array | Sequence[Array] | None,
    output_weights: Array | Sequence[Array] | None,
) -> tuple[Tensor, int]:
    """All weights of a network side by side (networks, n, n + inputs + outputs), one row for each unit."""
    recurrent = to_square("weights", weights)
    blocks = [recurrent]
    for name, values, axis in (("input_weights", input_weights, 0), ("output_weights", output_weights, 1)):
        if values is not None:
            extra = to_networks(name, values, 2)
            shapes = [tuple(matrix.shape) for matrix in extra]
            fits = len(set(shapes)) == 1 and len(extra) == len(recurrent)
            require(
                fits and shapes[0][axis] == recurrent.shape[-1], name, shapes, "one for each unit and network"
            )
            side = torch.stack(extra).to(recurrent.device)
            blocks.append(side if axis == 0 else side.mT)
    return torch.cat(blocks, dim=-1), recurrent.shape[-1]


def _normalized(
    stacked: Tensor, normalization: str, distance: Callable[[Tensor, Tensor], Tensor]
) -> NDArray[np.float64]:
    require_choice("normalization", normalization, NORMALIZATIONS)
    distances = pairwise(stacked, distance)
    if normalization == "parameters":
        return distances / stacked[0].numel()
    if normalization == "relative":
        squares = stacked.square().sum(dim=(1, 2)).cpu().numpy()
        require(bool((squares > 0).all()), "weights", 0, "other than zero for the relative distance")
        return distances / np.sqrt(np.add.outer(squares, squares))
    return distances


def _permutations(a: Tensor, b: Tensor, n: int, seed: int, solver: str) -> Tensor:
    linear = a[..., n:] @ b[..., n:].mT
    if solver == "procrustes":
        require(a.shape[-1] == n, "solver", solver, "faq where input or output weights are aligned too")
        return _procrustes(a, b)
    return match(a[..., :n], b[..., :n], linear, seed)


def _procrustes(a: Tensor, b: Tensor) -> Tensor:
    """The best of the package's single-transformation methods, but for its brute-force one."""
    from procrustes import permutation_2sided  # GPL-3: imported by those who ask for it, only

    found = []
    for x, y in zip(a.cpu().numpy(), b.cpu().numpy(), strict=True):
        results = [
            permutation_2sided(y, x, single=True, method=method)
            for method in ("approx-normal1", "approx-normal2", "approx-umeyama", "approx-umeyama-svd")
        ]
        best = min(results, key=lambda result: result.error)
        found.append(best.t.argmax(axis=0))
    return torch.as_tensor(np.stack(found), device=a.device)


def _distance(a: Tensor, b: Tensor, permutation: Tensor, n: int) -> Tensor:
    """||A - B[p][:, p]||_F, with rows of input and output weights permuted along."""
    pairs = torch.arange(len(a), device=a.device)[:, None, None]
    rows = b[..., :n][pairs, permutation[:, :, None], permutation[:, None, :]]
    rest = b[pairs[..., 0], permutation][..., n:]
    return torch.linalg.matrix_norm(a - torch.cat([rows, rest], dim=-1))
