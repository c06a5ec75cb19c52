"""Representational degeneracy: distances between activations, with time steps as samples (App. E).

Samples of different networks correspond to each other: all networks see equal trials. Networks of different
widths can be compared, because activations are padded with silent units. Silent units do not change any of
the distances.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degen.errors import require, require_number
from degen.metrics.arrays import Array, require_two_networks, to_networks
from degen.metrics.pairs import pairwise


def svcca(activations: Array | Sequence[Array], *, variance: float = 0.99) -> NDArray[np.float64]:
    r"""Compute 1 - SVCCA for every pair of networks (Raghu et al. 2017, NeurIPS; App. E of the paper).

    The centered activations of each network are reduced to the principal components that explain a fraction
    `variance` of their variance. With orthonormal bases :math:`Q_x, Q_y` of the two principal subspaces, the
    canonical correlations are the singular values of :math:`Q_x^\top Q_y`, and

    .. math:: d = 1 - \frac{1}{\min(d_x, d_y)} \sum_i \sigma_i(Q_x^\top Q_y).

    Args:
        activations: (networks, trials, time, units), or a list with one array (trials, time, units) per
            network. Arrays (samples, units) are accepted too.
        variance: fraction of variance explained by the principal components, in (0, 1].

    Returns:
        (networks, networks), symmetric, between 0 and 1.

    Raises:
        BadInputError: fewer than two networks, activations that are not finite or constant, or trials or
            time steps that differ.

    Examples:
        >>> x = np.random.default_rng(0).standard_normal((100, 4))
        >>> mixing = np.array([[1, 2, 0, 0], [0, 1, 0, 3], [0, 0, 1, 0], [0, 0, 1, 1]])
        >>> bool(svcca([x, x @ mixing], variance=1.0)[0, 1] < 1e-9)
        True
    """
    require_number("variance", variance, above=0.0, maximum=1.0)
    bases = [_principal_basis(states, variance) for states in _center(activations)]
    sizes = np.array([basis.shape[1] for basis in bases])
    correlations = pairwise(_pad_and_stack(bases), lambda x, y: torch.linalg.svdvals(x.mT @ y).sum(dim=-1))
    distances = 1 - correlations / np.minimum.outer(sizes, sizes)
    np.fill_diagonal(distances, 0.0)
    return np.clip(distances, 0.0, 1.0)


def cka(activations: Array | Sequence[Array]) -> NDArray[np.float64]:
    r"""Compute 1 - linear CKA for every pair of networks (Kornblith et al. 2019, ICML).

    .. math:: d = 1 - \frac{\|X^\top Y\|_F^2}{\|X^\top X\|_F \|Y^\top Y\|_F}

    with centered columns. The distance ignores rotations and isotropic scaling of the activations.

    Args:
        activations: (networks, trials, time, units), or a list with one array (trials, time, units) per
            network. Arrays (samples, units) are accepted too.

    Returns:
        (networks, networks), symmetric, between 0 and 1.

    Raises:
        BadInputError: for the reasons given in `svcca`.

    Examples:
        >>> x = np.random.default_rng(0).standard_normal((100, 3))
        >>> bool(cka([x, 2 * x[:, ::-1] + 1])[0, 1] < 1e-9)
        True
    """
    states = _pad_and_stack([x / torch.linalg.norm(x.mT @ x) ** 0.5 for x in _center(activations)])
    distances = pairwise(states, lambda x, y: 1 - (x.mT @ y).square().sum(dim=(1, 2)))
    return np.clip(distances, 0.0, 1.0)


def procrustes(activations: Array | Sequence[Array]) -> NDArray[np.float64]:
    r"""Compute the orthogonal Procrustes distance for every pair of networks (Williams et al. 2021, NeurIPS).

    .. math:: d = \min_{Q \in O(n)} \|X - Y Q\|_F = \sqrt{2 - 2 \|X^\top Y\|_*},
        \quad \|X\|_F = \|Y\|_F = 1

    with centered columns. The distance is a metric: it satisfies the triangle inequality.

    Args:
        activations: (networks, trials, time, units), or a list with one array (trials, time, units) per
            network. Arrays (samples, units) are accepted too.

    Returns:
        (networks, networks), symmetric, between 0 and sqrt(2).

    Raises:
        BadInputError: for the reasons given in `svcca`.

    Examples:
        >>> x = np.array([[1.0], [-1.0], [0.0], [0.0]])
        >>> y = np.array([[0.0], [0.0], [1.0], [-1.0]])
        >>> procrustes([x, y, -x]).round(4)
        array([[0.    , 1.4142, 0.    ],
               [1.4142, 0.    , 1.4142],
               [0.    , 1.4142, 0.    ]])
    """
    states = _pad_and_stack([x / torch.linalg.norm(x) for x in _center(activations)])
    return pairwise(states, lambda x, y: (2 - 2 * _nuclear_norm(x.mT @ y)).clamp(min=0).sqrt())


def _nuclear_norm(matrices: Tensor) -> Tensor:
    """Compute the sum of the singular values of matrices (..., m, n)."""
    return torch.linalg.svdvals(matrices).sum(dim=-1)


def _center(activations: Array | Sequence[Array]) -> list[Tensor]:
    """Validate the activations and subtract the mean over samples: (samples, units) per network.

    The largest value is scaled to [1, 2) by a power of two, which is exact. Squares then stay finite.
    """
    require_two_networks("activations", activations)
    n_axes = 2 if np.ndim(activations[0]) == 2 else 3
    networks = to_networks("activations", activations, n_axes)
    samples = {tuple(states.shape[:-1]) for states in networks}
    require(len(samples) == 1, "samples of the networks", sorted(samples), "equal for all networks")
    networks = [states.flatten(0, -2) for states in networks]
    for index, states in enumerate(networks):
        varies = bool((states != states[0]).any())
        require(varies, f"activations of network {index}", "a constant", "varying over samples")
    centered = [states - states.mean(dim=0) for states in networks]
    return [states * 2.0 ** -states.abs().amax().log2().floor() for states in centered]


def _principal_basis(states: Tensor, variance: float) -> Tensor:
    """Compute an orthonormal basis (samples, k) of the principal subspace that explains `variance`."""
    left, scales, _ = torch.linalg.svd(states, full_matrices=False)
    explained = scales.square().cumsum(0) / scales.square().sum()
    # The tolerance avoids an extra component when the explained fraction equals `variance` up to rounding.
    k = int((explained < variance - 1e-12).sum()) + 1
    return left[:, :k]


def _pad_and_stack(states: list[Tensor]) -> Tensor:
    """Stack (samples, units) arrays to (networks, samples, max units), padded with zero columns."""
    units = max(x.shape[1] for x in states)
    return torch.stack([torch.nn.functional.pad(x, (0, units - x.shape[1])) for x in states])
