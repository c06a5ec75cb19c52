"""Dynamic mode decomposition of delay windows: one linear operator for each network."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from degen.errors import BadInputError, require, require_integer
from degen.metrics.arrays import Array, to_networks, to_tensor
from degen.metrics.dsa.embedding import Moments, project, windows
from degen.metrics.pairs import spread

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
    fits = spread(lambda i: _operator(networks[i], settings, i), range(len(networks)), networks[0].device)
    return torch.stack(fits)


def controlled_operators(
    activations: Array | Sequence[Array], inputs: Array, settings: Settings
) -> tuple[Tensor, Tensor]:
    r"""Operator and input map of every network: DMD with control.

    .. math:: A, D = \arg\min \sum_t \|v_{t+1} - A v_t - D u_{t+1}\|^2

    in the coordinates of `operators`, u the inputs at the step that leads to the next window (Proctor,
    Brunton & Kutz 2016, SIAM J. Appl. Dyn. Syst.). Without control, tasks that drive their networks put the
    drive into A. Each input is divided by the root of its sum of squares, as each coordinate v is: D does not
    depend on the inputs' units, nor, beside A, on the number of trials.

    Args:
        activations, settings: as for `operators`.
        inputs: (trials, time, inputs), the same for all networks.

    Returns:
        (networks, rank, rank) and (networks, rank, inputs).

    Raises:
        BadInputError: as `operators`, or inputs not of the same trials and time steps.
    """
    networks, drive = to_networks("activations", activations, 3), to_tensor("inputs", inputs, 3)
    drive = drive.to(networks[0].device)
    for index, states in enumerate(networks):
        allowed = f"(trials, time) of network {index}, {tuple(states.shape[:2])}"
        require(drive.shape[:2] == states.shape[:2], "inputs shape", tuple(drive.shape[:2]), allowed)
    fits = spread(lambda i: _controlled(networks[i], drive, settings, i), range(len(networks)), drive.device)
    both = torch.stack(fits)
    return both[..., : settings.rank], both[..., settings.rank :]


def _controlled(activations: Tensor, drive: Tensor, settings: Settings, index: int) -> Tensor:
    """[A, D] of one network."""
    components = project(activations, settings.n_components)
    values, axes = _held(Moments.of(components, settings.lag), settings.rank, index)
    whiten = axes[:, : settings.rank] / values[: settings.rank].sqrt()
    states = windows(components, settings.lag) @ whiten
    used = drive[:, settings.lag :]
    norms = used.square().sum(dim=(0, 1)).sqrt()
    used = used / torch.where(norms > 0, norms, 1.0)
    # The pseudo-inverse: inputs may be constant, or a combination of each other.
    known = torch.cat([states[:, :-1], used], dim=-1).flatten(0, 1)
    return (torch.linalg.pinv(known) @ states[:, 1:].flatten(0, 1)).mT


def _operator(activations: Tensor, settings: Settings, index: int) -> Tensor:
    moments = Moments.of(project(activations, settings.n_components), settings.lag)
    values, axes = _held(moments, settings.rank, index)
    whiten = axes[:, : settings.rank] / values[: settings.rank].sqrt()
    before, step = (whiten.mT @ moment @ whiten for moment in (moments.before, moments.step))
    return torch.linalg.solve(before, step, left=False)


def _held(moments: Moments, rank: int, index: int) -> tuple[Tensor, Tensor]:
    """The spectrum, after seeing that it holds the rank."""
    values, axes = spectrum(moments)
    held = min(numerical_rank(values), moments.count)  # of windows that have a next one, which is fitted
    if rank > held:
        raise BadInputError(
            f"rank must be at most {held}, what the windows of network {index} hold, got {rank}."
        )
    return values, axes


def spectrum(moments: Moments) -> tuple[Tensor, Tensor]:
    """Squared singular values, largest first, and right singular vectors U of the windows H."""
    values, axes = torch.linalg.eigh(moments.every)
    return values.flip(0).clamp(min=0), axes.flip(1)


def numerical_rank(values: Tensor) -> int:
    """How many squared singular values stand above rounding."""
    return int((values > _RANK_TOLERANCE * values[0]).sum())
