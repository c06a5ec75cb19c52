"""PIF distance matrices, their normalizations and bounds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degen.errors import require, require_choice
from degen.metrics.arrays import Array, to_networks, to_square_matrices
from degen.metrics.pairs import pairwise, sort_pairs
from degen.metrics.pif.solver import match_units

NORMALIZATIONS = ("frobenius", "parameters", "relative")
SOLVERS = ("faq", "procrustes")


def distance_matrix(
    weights: Array | Sequence[Array],
    *,
    seed: int = 0,
    normalization: str = "frobenius",
    input_weights: Array | Sequence[Array] | None = None,
    output_weights: Array | Sequence[Array] | None = None,
    solver: str = "faq",
) -> NDArray[np.float64]:
    r"""Compute the PIF distance of every pair of networks (section 2.3.3 of the paper).

    .. math:: d(W_1, W_2) = \min_{P \in \mathcal P(n)} \|W_1 - P^\top W_2 P\|_F

    Normalizations:

    - ``frobenius``: d itself, in units of the weights.
    - ``parameters``: d divided by the number of weights, :math:`n^2`. The paper uses it to compare network
      sizes.
    - ``relative``: d divided by :math:`\sqrt{\|W_1\|^2 + \|W_2\|^2}`. Unrelated networks then have distances
      near 1 at every size.

    The minimum is approximate: see `degen.metrics.pif.solver`. Input and output weights are optional. P
    aligns them together with the recurrent weights, and they count in the norm and in the number of weights.

    Args:
        weights: recurrent weights, (networks, n, n).
        seed: seed of the random initial permutations.
        normalization: an entry of `NORMALIZATIONS`.
        input_weights: (networks, n, inputs).
        output_weights: (networks, outputs, n).
        solver: ``faq``, or ``procrustes`` for comparison with the two-sided permutation methods of the
            package of that name (GPL-3, an optional extra).

    Returns:
        (networks, networks), bitwise symmetric. The value of a pair does not depend on the other networks.

    Raises:
        BadInputError: fewer than two networks; weights that are not finite, not square or of different sizes;
            or an unknown normalization or solver.

    Examples:
        >>> w = np.random.default_rng(0).standard_normal((3, 3))
        >>> order = [2, 0, 1]
        >>> distance_matrix([w, w[order][:, order], w + 1], seed=0).round(6)
        array([[0., 0., 3.],
               [0., 0., 3.],
               [3., 3., 0.]])
    """
    require_choice("solver", solver, SOLVERS)
    rows, n = _stack_weights(weights, input_weights, output_weights)
    return _normalized_distances(
        rows, normalization, lambda a, b: _distance(a, b, _match_pairs(a, b, n, seed, solver), n)
    )


def unaligned_distance_matrix(
    weights: Array | Sequence[Array],
    *,
    normalization: str = "frobenius",
    input_weights: Array | Sequence[Array] | None = None,
    output_weights: Array | Sequence[Array] | None = None,
) -> NDArray[np.float64]:
    r"""Compute the Frobenius distance :math:`\|W_1 - W_2\|_F` of every pair of networks, without alignment.

    It is an upper bound of the PIF distance. For arguments, result and errors see `distance_matrix`.

    Examples:
        >>> unaligned_distance_matrix(np.stack([np.zeros((2, 2)), np.ones((2, 2))]))
        array([[0., 2.],
               [2., 0.]])
    """
    rows, _ = _stack_weights(weights, input_weights, output_weights)
    return _normalized_distances(rows, normalization, lambda a, b: torch.linalg.matrix_norm(a - b))


def lower_bound_matrix(weights: Array | Sequence[Array]) -> NDArray[np.float64]:
    r"""Compute a lower bound of the PIF distance of every pair of recurrent matrices.

    .. math:: d^2 \ge \|W_1\|^2 + \|W_2\|^2 - 2 \langle \lambda(S_1), \lambda(S_2) \rangle
        - 2 \langle \sigma(K_1), \sigma(K_2) \rangle

    with sorted eigenvalues of the symmetric parts S and sorted singular values of the antisymmetric parts K
    (von Neumann's trace inequality). The bound holds for alignment by any rotation, not only by permutations.
    It is tight for permuted or rotated copies.

    Args:
        weights: recurrent weights, (networks, n, n).

    Returns:
        (networks, networks), symmetric, in units of the weights.

    Raises:
        BadInputError: for the reasons given in `distance_matrix`.

    Examples:
        >>> w = np.diag([1.0, 2.0])
        >>> lower_bound_matrix([w, np.diag([2.0, 1.0]), 2 * w]).round(4)
        array([[0.    , 0.    , 2.2361],
               [0.    , 0.    , 2.2361],
               [2.2361, 2.2361, 0.    ]])
    """

    def bound(a: Tensor, b: Tensor) -> Tensor:
        overlap = 0
        for sign, spectrum in ((1, torch.linalg.eigvalsh), (-1, torch.linalg.svdvals)):
            overlap = overlap + (spectrum((a + sign * a.mT) / 2) * spectrum((b + sign * b.mT) / 2)).sum(-1)
        squares = a.square().sum(dim=(1, 2)) + b.square().sum(dim=(1, 2))
        return (squares - 2 * overlap).clamp(min=0).sqrt()

    return pairwise(to_square_matrices("weights", weights), bound)


@dataclasses.dataclass(frozen=True)
class Matching:
    """Best permutation of each pair of networks.

    Attributes:
        permutation: p, (pairs, n), which minimizes the Frobenius norm of A - B[p][:, p]. Unit i of the first
            network corresponds to unit p[i] of the second.
        distance: (pairs,), that norm.
    """

    permutation: Tensor
    distance: Tensor


def align(first: Array, second: Array, *, seed: int = 0) -> Matching:
    """Compute the permutations that define the distances of `distance_matrix`.

    Args:
        first, second: stacked pairs of recurrent matrices, (pairs, n, n).
        seed: seed of the random initial permutations.

    Raises:
        BadInputError: matrices that are not finite, not square or not equal in size.

    Examples:
        >>> w = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(0))
        >>> order = [2, 0, 3, 1]
        >>> align(w[:, order][:, :, order], w, seed=0).permutation
        tensor([[2, 0, 3, 1]])
    """
    both = torch.stack([torch.as_tensor(first), torch.as_tensor(second)]).flatten(0, 1)
    a, b = to_square_matrices("weights", both).chunk(2)
    n = a.shape[-1]
    smaller, larger, swapped = sort_pairs(a, b)
    sorted_permutation = _match_pairs(smaller, larger, n, seed, "faq")
    permutation = torch.where(swapped.unsqueeze(-1), sorted_permutation.argsort(dim=-1), sorted_permutation)
    return Matching(permutation, _distance(a, b, permutation, n))


def _stack_weights(
    weights: Array | Sequence[Array],
    input_weights: Array | Sequence[Array] | None,
    output_weights: Array | Sequence[Array] | None,
) -> tuple[Tensor, int]:
    """Concatenate all weights of a network to one row per unit.

    Returns:
        (networks, n, n + inputs + outputs), and n.
    """
    recurrent = to_square_matrices("weights", weights)
    n = recurrent.shape[-1]
    blocks = [recurrent]
    for name, values, axis in (("input_weights", input_weights, 0), ("output_weights", output_weights, 1)):
        if values is not None:
            extra = to_networks(name, values, 2)
            shapes = [tuple(matrix.shape) for matrix in extra]
            fits = len(set(shapes)) == 1 and len(extra) == len(recurrent)
            allowed = f"equal for all {len(recurrent)} networks, with {n} entries along axis {axis}"
            require(fits and shapes[0][axis] == n, f"{name} shapes", shapes, allowed)
            block = torch.stack(extra).to(recurrent.device)
            blocks.append(block if axis == 0 else block.mT)
    return torch.cat(blocks, dim=-1), n


def _normalized_distances(
    rows: Tensor, normalization: str, distance: Callable[[Tensor, Tensor], Tensor]
) -> NDArray[np.float64]:
    require_choice("normalization", normalization, NORMALIZATIONS)
    distances = pairwise(rows, distance)
    if normalization == "parameters":
        return distances / rows[0].numel()
    if normalization == "relative":
        squares = rows.square().sum(dim=(1, 2)).cpu().numpy()
        require(bool((squares > 0).all()), "weights", 0, "nonzero for normalization='relative'")
        return distances / np.sqrt(np.add.outer(squares, squares))
    return distances


def _match_pairs(a: Tensor, b: Tensor, n: int, seed: int, solver: str) -> Tensor:
    """Compute permutations (pairs, n) from rows of weights (pairs, n, n + inputs + outputs)."""
    linear = a[..., n:] @ b[..., n:].mT
    if solver == "procrustes":
        require(a.shape[-1] == n, "solver", solver, "faq if input or output weights are given")
        return _match_with_procrustes(a, b)
    return match_units(a[..., :n], b[..., :n], linear, seed)


def _match_with_procrustes(a: Tensor, b: Tensor) -> Tensor:
    """Select the best result of the approximate two-sided methods of the package procrustes."""
    from procrustes import permutation_2sided  # GPL-3: imported only if this solver is requested

    permutations = []
    for x, y in zip(a.cpu().numpy(), b.cpu().numpy(), strict=True):
        results = [
            permutation_2sided(y, x, single=True, method=method)
            for method in ("approx-normal1", "approx-normal2", "approx-umeyama", "approx-umeyama-svd")
        ]
        best = min(results, key=lambda result: result.error)
        permutations.append(best.t.argmax(axis=0))
    return torch.as_tensor(np.stack(permutations), device=a.device)


def _distance(a: Tensor, b: Tensor, permutation: Tensor, n: int) -> Tensor:
    """Compute ||A - B[p][:, p]||_F; p reorders only the rows of the input and output weights."""
    pairs = torch.arange(len(a), device=a.device)[:, None, None]
    recurrent = b[..., :n][pairs, permutation[:, :, None], permutation[:, None, :]]
    others = b[pairs[..., 0], permutation][..., n:]
    return torch.linalg.matrix_norm(a - torch.cat([recurrent, others], dim=-1))
