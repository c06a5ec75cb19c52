"""Dynamic mode decomposition of delay windows: one linear operator for each network."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from degen.errors import BadInputError, require_integer
from degen.metrics.arrays import Array, to_networks
from degen.metrics.dsa.embedding import Moments, project, windows

_RANK_TOLERANCE = 1e-12  # of an eigenvalue of the second moments to the largest: 1e-6 in singular values


@dataclasses.dataclass(frozen=True)
class Settings:
    """The one choice of components, lag and rank with which all networks of a task are compared.

    Attributes:
        n_components: principal components k of the activations.
        lag: time steps in a delay window.
        rank: size r of the operator, at most k * lag; k * lag is the paper's full rank.
    """

    n_components: int
    lag: int
    rank: int

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            require_integer(name, value, 1)
        size = self.n_components * self.lag
        if self.rank > size:
            raise BadInputError(f"rank must be at most n_components * lag = {size}, got {self.rank}.")


def operators(activations: Array | Sequence[Array], settings: Settings) -> Tensor:
    r"""The DMD operator of every network.

    With H the delay windows of all trials (one a row) and its singular value decomposition
    :math:`H = V S U^\top`, the operator is the least-squares fit in the first `rank` coordinates of V,

    .. math:: A = \arg\min_A \sum_t \|v_{t+1} - A v_t\|^2,

    the sum running over successive windows of one trial (Schmid 2010; Ostrow et al. 2023, App. A). At full
    rank, V and so the operators up to rotation do not change under any invertible linear map of the units.

    Args:
        activations: (networks, trials, time, units), or a list of (trials, time, units).
        settings: components, lag and rank.

    Returns:
        (networks, rank, rank), float64, on the device of the activations.

    Raises:
        BadInputError: not finite or constant activations, a lag that does not fit into a trial, or a rank
            above what the data hold, each naming the network.
    """
    networks = to_networks("activations", activations, 3)
    return torch.stack([_operator(states, settings, index) for index, states in enumerate(networks)])


def _operator(activations: Tensor, settings: Settings, index: int) -> Tensor:
    moments = Moments.of(windows(project(activations, settings.n_components), settings.lag))
    values, axes = spectrum(moments)
    held = numerical_rank(values)
    if settings.rank > held:
        raise BadInputError(
            f"rank must be at most {held}, what the windows of network {index} hold, got {settings.rank}."
        )
    return fit(moments, values, axes, settings.rank)[0]


def spectrum(moments: Moments) -> tuple[Tensor, Tensor]:
    """Squared singular values, largest first, and right singular vectors U of the windows H."""
    values, axes = torch.linalg.eigh(moments.every)
    return values.flip(0).clamp(min=0), axes.flip(1)


def numerical_rank(values: Tensor) -> int:
    """How many squared singular values stand above rounding."""
    return int((values > _RANK_TOLERANCE * values[0]).sum())


def fit(moments: Moments, values: Tensor, axes: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The operator (rank, rank) and the map (size, rank) from a window to its coordinates v."""
    whiten = axes[:, :rank] / values[:rank].sqrt()
    before = whiten.mT @ moments.before @ whiten
    step = whiten.mT @ moments.step @ whiten
    return torch.linalg.solve(before, step, left=False), whiten
