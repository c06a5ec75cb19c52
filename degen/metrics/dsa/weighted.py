"""Variance-weighted DSA: operators in which a direction counts by the variance that it carries."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from degen.errors import require, require_choice
from degen.metrics.arrays import Array, to_networks
from degen.metrics.dsa.dmd import to_drive
from degen.metrics.dsa.embedding import n_components, project
from degen.metrics.pairs import thread_map

FORMS = ("map", "flow", "geometry")

_RANK_TOLERANCE = 1e-12  # smallest eigenvalue of a covariance, relative to the largest


def weighted_operators(
    activations: Array | Sequence[Array],
    *,
    form: str = "map",
    variance: float = 0.99,
    inputs: Array | None = None,
) -> tuple[Tensor, Tensor | None]:
    r"""Compute the variance-weighted operator of every network.

    Let x be the principal components of the activations, S their covariance, and A the least-squares fit of
    :math:`x_{t+1}` by :math:`A x_t`, without delays. The forms are:

    - ``map``: :math:`A S^{1/2}`, the map from the whitened state to the next state.
    - ``flow``: :math:`(A - 1) S^{1/2}`, the map from the whitened state to the change in one step.
    - ``geometry``: :math:`S^{1/2}`, which contains no dynamics.

    With the symmetric root, a rotation of the units rotates the operators. The distances of `distance_matrix`
    therefore ignore rotations. Principal components of little variance have little weight, so that their
    number k hardly matters. It is the most that any network needs for `variance`, and at least 2. Operators
    of networks with fewer units are padded with zeros.

    Unlike `operators`, the result changes under invertible linear maps of the units that are not orthogonal.

    Args:
        activations: (networks, trials, time, units), or a list with one array (trials, time, units) per
            network.
        form: an entry of `FORMS`.
        variance: fraction of the variance of each network to include, in (0, 1].
        inputs: (trials, time, inputs), shared by all networks. If given, the fit is
            :math:`A x_t + D u_{t+1}`, and the input maps are :math:`D U^{1/2}` with the covariance U of the
            inputs.

    Returns:
        Operators (networks, k, k), and input maps (networks, k, inputs) or None without inputs.

    Raises:
        BadInputError: activations that are not finite or constant, trials of a single step, an unknown form,
            `variance` out of range, inputs that differ from the activations in trials or time steps, or
            inputs with the form ``geometry``.

    Examples:
        >>> noise = torch.randn(9999, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> now = noise * torch.tensor([2.0, 1.0])
        >>> states = torch.stack([now, now * torch.tensor([0.9, 0.5])], dim=1)
        >>> maps, _ = weighted_operators([states, states.flip(-1)], variance=1.0)
        >>> maps[0].diagonal().abs().numpy().round(1)
        array([1.8, 0.5])
    """
    require_choice("form", form, FORMS)
    allowed = "map or flow if inputs are given"
    require(inputs is None or form != "geometry", "form", form, allowed)
    networks = to_networks("activations", activations, 3)
    for index, states in enumerate(networks):
        require(states.shape[1] >= 2, f"time steps of network {index}", states.shape[1], "at least 2")
    drive = None if inputs is None else to_drive(inputs, networks)
    # The angle between single numbers is zero, so a second component is needed to compare anything.
    k = max(2, *(n_components(states, variance=variance) for states in networks))
    fits = thread_map(lambda i: _fit(networks[i], form, k, drive), range(len(networks)), networks[0].device)
    operators = torch.stack([pad(fit[:, : len(fit)], (0, k - len(fit), 0, k - len(fit))) for fit in fits])
    if drive is None:
        return operators, None
    return operators, torch.stack([pad(fit[:, len(fit) :], (0, 0, 0, k - len(fit))) for fit in fits])


def _fit(activations: Tensor, form: str, k: int, drive: Tensor | None) -> Tensor:
    """Compute operator and input map (k, k + inputs) of one network, with k at most the number of units."""
    components = project(activations, min(k, activations.shape[-1]))
    now, then = components[:, :-1].flatten(0, 1), components[:, 1:].flatten(0, 1)
    root, inverse_root = _roots(now)
    if form == "geometry":
        return root
    regressors = now @ inverse_root
    if drive is not None:
        inputs = drive[:, 1:].flatten(0, 1)
        inputs = inputs - inputs.mean(dim=0)
        regressors = torch.cat([regressors, inputs @ _roots(inputs)[1]], dim=1)
    # The pseudo-inverse handles inputs that are constant, or linear functions of the states.
    fit = (torch.linalg.pinv(regressors) @ then).mT
    if form == "flow":
        fit[:, : len(root)] -= root
    return fit


def _roots(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return the symmetric root of the second moments of samples (samples, n), and its pseudo-inverse."""
    values, axes = torch.linalg.eigh(samples.mT @ samples / len(samples))
    scales = values.clamp(min=0).sqrt()
    positive = values > _RANK_TOLERANCE * values[-1].clamp(min=torch.finfo(values.dtype).tiny)
    inverse = torch.where(positive, 1 / torch.where(positive, scales, 1.0), 0.0)
    root, inverse_root = ((axes * factors) @ axes.mT for factors in (scales, inverse))
    return (root + root.mT) / 2, inverse_root
