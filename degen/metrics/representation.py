"""Representational degeneracy: distances between the activations themselves, time steps as samples (App. E).

Networks of different widths can be compared: activations are padded with silent units, which changes none
of these distances.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degen.errors import require, require_number
from degen.metrics.arrays import Array, to_networks
from degen.metrics.pairs import pairwise


def svcca(activations: Array | Sequence[Array], *, variance: float = 0.99) -> NDArray[np.float64]:
    r"""1 - SVCCA for every pair (Raghu et al. 2017; App. E of the paper).

    Each network's centred activations are reduced to the principal components that hold `variance`; with
    orthonormal bases :math:`Q_x, Q_y` of the two subspaces the canonical correlations are the singular values
    of :math:`Q_x^\top Q_y`, and

    .. math:: d = 1 - \frac{1}{\min(d_x, d_y)} \sum_i \sigma_i(Q_x^\top Q_y).

    Args:
        activations: (networks, samples, units), or a list of (samples, units).
        variance: share of variance kept, in (0, 1].

    Returns:
        (networks, networks), between 0 and 1.

    Raises:
        BadInputError: fewer than two networks, not finite, constant activations, unequal samples.
    """
    require_number("variance", variance, above=0.0, maximum=1.0)
    bases = [_principal_basis(states, variance) for states in _centred(activations)]
    sizes = np.array([basis.shape[1] for basis in bases])
    shared = pairwise(_stack(bases), lambda x, y: torch.linalg.svdvals(x.mT @ y).sum(dim=-1))
    distances = 1 - shared / np.minimum.outer(sizes, sizes)
    np.fill_diagonal(distances, 0.0)
    return np.clip(distances, 0.0, 1.0)


def cka(activations: Array | Sequence[Array]) -> NDArray[np.float64]:
    r"""1 - linear CKA for every pair (Kornblith et al. 2019, ICML).

    .. math:: d = 1 - \frac{\|X^\top Y\|_F^2}{\|X^\top X\|_F \|Y^\top Y\|_F} \quad\text{(columns centred)}

    Arguments, result and errors as for `svcca`.
    """
    states = _stack([x / torch.linalg.norm(x.mT @ x) ** 0.5 for x in _centred(activations)])
    distances = pairwise(states, lambda x, y: 1 - (x.mT @ y).square().sum(dim=(1, 2)))
    return np.clip(distances, 0.0, 1.0)


def procrustes(activations: Array | Sequence[Array]) -> NDArray[np.float64]:
    r"""Orthogonal Procrustes distance of unit-norm activations (Williams et al. 2021, NeurIPS).

    .. math:: d = \min_{Q \in O(n)} \|X - Y Q\|_F = \sqrt{2 - 2 \|X^\top Y\|_*},
        \quad \|X\|_F = \|Y\|_F = 1 \text{, columns centred.}

    A metric: it obeys the triangle inequality. Arguments and errors as for `svcca`.

    Returns:
        (networks, networks), between 0 and sqrt(2).
    """
    states = _stack([x / torch.linalg.norm(x) for x in _centred(activations)])
    return pairwise(states, lambda x, y: (2 - 2 * _nuclear_norm(x.mT @ y)).clamp(min=0).sqrt())


def _nuclear_norm(matrices: Tensor) -> Tensor:
    return torch.linalg.svdvals(matrices).sum(dim=-1)


def _centred(activations: Array | Sequence[Array]) -> list[Tensor]:
    """Centred activations (samples, units) of each network, checked."""
    networks = to_networks("activations", activations, 2)
    samples = {len(states) for states in networks}
    require(len(samples) == 1, "samples of the networks", sorted(samples), "the same for all networks")
    for index, states in enumerate(networks):
        varies = bool((states != states[0]).any())
        require(varies, f"activations of network {index}", "a constant", "varying over samples")
    return [states - states.mean(dim=0) for states in networks]


def _principal_basis(states: Tensor, variance: float) -> Tensor:
    """Orthonormal basis (samples, k) of the smallest principal subspace with a share `variance`."""
    left, scales, _ = torch.linalg.svd(states, full_matrices=False)
    share = scales.square().cumsum(0) / scales.square().sum()
    # Rounding must not demand one more component than an exact share of 1 does.
    k = int((share < variance - 1e-12).sum()) + 1
    return left[:, :k]


def _stack(states: list[Tensor]) -> Tensor:
    """(networks, samples, units), padded with zero columns to the widest."""
    units = max(x.shape[1] for x in states)
    return torch.stack([torch.nn.functional.pad(x, (0, units - x.shape[1])) for x in states])
