"""PIF distance matrices, their normalizations and bounds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degen.errors import require, require_choice
from degen.metrics.arrays import Array, to_block_stacks, to_networks
from degen.metrics.pairs import pairwise
from degen.metrics.pif.alignment import distance_after, match_pairs, to_rows
from degen.metrics.pif.procrustes_solver import match_with_procrustes

NORMALIZATIONS = ("frobenius", "parameters", "relative")
SOLVERS = ("faq", "procrustes")


def distance_matrix(
    weights: Array | Sequence[Array],
    *,
    seed: int = 0,
    normalization: str = "frobenius",
    signs: bool = False,
    input_weights: Array | Sequence[Array] | None = None,
    biases: Array | Sequence[Array] | None = None,
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

    Gated cells have one recurrent matrix per gate, and one P for all of them:

    .. math:: d^2 = \min_{P \in \mathcal P(n)} \sum_g \|W_{1,g} - P^\top W_{2,g} P\|_F^2

    The number of weights is then that of all gates. Input weights of all gates are columns of
    `input_weights`.

    With `signs`, P is any permutation matrix whose entries may also be -1. If the nonlinearity is odd, as
    tanh is, all such P leave the function of a network unchanged, and the distance is never above that
    without signs.

    The minimum is approximate: see `degen.metrics.pif.solver` and `degen.metrics.pif.signed_solver`. Input
    weights, biases and output weights are optional. P aligns them together with the recurrent weights, and
    they count in the norm and in the number of weights.

    Args:
        weights: recurrent weights, (networks, n, n), or of each gate, (networks, blocks, n, n).
        seed: seed of the random initial permutations.
        normalization: an entry of `NORMALIZATIONS`.
        signs: minimize over signs of units too. Only for networks with an odd nonlinearity.
        input_weights: (networks, n, inputs).
        biases: (networks, n).
        output_weights: (networks, outputs, n).
        solver: ``faq``, or ``procrustes`` for comparison with the two-sided permutation methods of the
            package of that name (GPL-3).

    Returns:
        (networks, networks), bitwise symmetric. The value of a pair does not depend on the other networks.

    Raises:
        BadInputError: fewer than two networks; weights that are not finite, not square or of different sizes;
            an unknown normalization or solver; or a solver that does not support the other arguments.

    Examples:
        >>> w = np.random.default_rng(0).standard_normal((3, 3))
        >>> order = [2, 0, 1]
        >>> distance_matrix([w, w[order][:, order], w + 1], seed=0).round(6)
        array([[0., 0., 3.],
               [0., 0., 3.],
               [3., 3., 0.]])
        >>> flips = np.array([1.0, -1.0, 1.0])
        >>> distance_matrix([w, flips[:, None] * w * flips], seed=0, signs=True).round(6)
        array([[0., 0.],
               [0., 0.]])
    """
    require_choice("solver", solver, SOLVERS)
    rows, blocks = _stack_weights(weights, input_weights, biases, output_weights)
    if solver == "procrustes":
        is_plain = rows.shape[-1] == rows.shape[-2] and not signs
        allowed = "faq for signs, several gates, input weights, biases or output weights"
        require(is_plain, "solver", solver, allowed)
        match = match_with_procrustes
    else:
        match = functools.partial(match_pairs, blocks=blocks, seed=seed, signs=signs)
    return _normalized_distances(rows, normalization, lambda a, b: distance_after(a, b, match(a, b), blocks))


def unaligned_distance_matrix(
    weights: Array | Sequence[Array],
    *,
    normalization: str = "frobenius",
    input_weights: Array | Sequence[Array] | None = None,
    biases: Array | Sequence[Array] | None = None,
    output_weights: Array | Sequence[Array] | None = None,
) -> NDArray[np.float64]:
    r"""Compute the Frobenius distance :math:`\|W_1 - W_2\|_F` of every pair of networks, without alignment.

    It is an upper bound of the PIF distance. For arguments, result and errors see `distance_matrix`.

    Examples:
        >>> unaligned_distance_matrix(np.stack([np.zeros((2, 2)), np.ones((2, 2))]))
        array([[0., 2.],
               [2., 0.]])
    """
    rows, _ = _stack_weights(weights, input_weights, biases, output_weights)
    return _normalized_distances(rows, normalization, lambda a, b: torch.linalg.matrix_norm(a - b))


def lower_bound_matrix(weights: Array | Sequence[Array]) -> NDArray[np.float64]:
    r"""Compute a lower bound of the PIF distance of every pair of recurrent matrices.

    .. math:: d^2 \ge \|W_1\|^2 + \|W_2\|^2 - 2 \langle \lambda(S_1), \lambda(S_2) \rangle
        - 2 \langle \sigma(K_1), \sigma(K_2) \rangle

    with sorted eigenvalues of the symmetric parts S and sorted singular values of the antisymmetric parts K
    (von Neumann's trace inequality). The bound holds for alignment by any rotation, not only by permutations.
    It is tight for permuted or rotated copies.

    For gated cells, squared norms and inner products are summed over gates.

    Args:
        weights: recurrent weights, (networks, n, n), or of each gate, (networks, blocks, n, n).

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
            overlaps = (spectrum((a + sign * a.mT) / 2) * spectrum((b + sign * b.mT) / 2)).sum(dim=-1)
            overlap = overlap + overlaps.sum(dim=-1)
        squares = a.square().sum(dim=(1, 2, 3)) + b.square().sum(dim=(1, 2, 3))
        return (squares - 2 * overlap).clamp(min=0).sqrt()

    return pairwise(to_block_stacks("weights", weights), bound)


def _stack_weights(
    weights: Array | Sequence[Array],
    input_weights: Array | Sequence[Array] | None,
    biases: Array | Sequence[Array] | None,
    output_weights: Array | Sequence[Array] | None,
) -> tuple[Tensor, int]:
    """Concatenate all weights of a network to one row per unit.

    Returns:
        (networks, n, columns), the recurrent weights first, and the number of recurrent matrices.
    """
    stacks = to_block_stacks("weights", weights)
    recurrent, n = to_rows(stacks), stacks.shape[-1]
    parts = [recurrent]
    others = {
        "input_weights": (input_weights, 2, 0),
        "biases": (biases, 1, 0),
        "output_weights": (output_weights, 2, 1),
    }
    for name, (values, ndim, axis) in others.items():
        if values is not None:
            extra = to_networks(name, values, ndim)
            shapes = [tuple(matrix.shape) for matrix in extra]
            fits = len(set(shapes)) == 1 and len(extra) == len(recurrent)
            allowed = f"equal for all {len(recurrent)} networks, with {n} entries along axis {axis}"
            require(fits and shapes[0][axis] == n, f"{name} shapes", shapes, allowed)
            block = torch.stack(extra).to(stacks.device)
            parts.append((block if axis == 0 else block.mT).reshape(len(block), n, -1))
    return torch.cat(parts, dim=-1), stacks.shape[1]


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
