"""Dynamic mode decomposition (DMD) of delay windows: one linear operator per network."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from degen.errors import BadInputError, require, require_integer
from degen.metrics.arrays import Array, to_networks, to_tensor
from degen.metrics.dsa.embedding import Moments, project, windows
from degen.metrics.pairs import thread_map

_TRANSITION_TOLERANCE = 1e-8  # smallest fraction of a direction's second moment in windows with a successor
_RANK_TOLERANCE = 1e-12  # relative to the largest eigenvalue of the moments; 1e-6 for singular values


@dataclasses.dataclass(frozen=True)
class Hyperparameters:
    """Number of components, lag and rank of DSA, shared by all networks that are compared.

    Attributes:
        n_components: number k of principal components of the activations.
        lag: time steps per delay window.
        rank: size r of the operator, at most k * lag. The paper uses the full rank k * lag.

    Raises:
        BadInputError: a value that is not a positive integer, or a rank above k * lag.
    """

    n_components: int
    lag: int
    rank: int

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            require_integer(name, value, 1)
        full_rank = self.n_components * self.lag
        require(self.rank <= full_rank, "rank", self.rank, f"at most n_components * lag = {full_rank}")


def operators(activations: Array | Sequence[Array], hyperparameters: Hyperparameters) -> Tensor:
    r"""Compute the DMD operator of every network (Schmid 2010; Ostrow et al. 2023, App. A).

    Let H contain the delay windows of all trials as rows, with singular value decomposition
    :math:`H = V S U^\top`. The operator is the least-squares fit in the first `rank` columns of V,

    .. math:: A = \arg\min_A \sum_t \|v_{t+1} - A v_t\|^2,

    summed over successive windows of each trial. At full rank, invertible linear maps of the units change the
    operators only by a rotation.

    Args:
        activations: (networks, trials, time, units), or a list with one array (trials, time, units) per
            network.
        hyperparameters: number of components, lag and rank.

    Returns:
        (networks, rank, rank), float64, on the device of the activations.

    Raises:
        BadInputError: activations that are not finite or constant, a lag of at least the trial length, or a
            rank above the numerical rank of the windows. The message names the network where possible.

    Examples:
        >>> states = [torch.randn(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)]
        >>> for _ in range(10):
        ...     states.append(states[-1] * torch.tensor([0.9, 0.5]))
        >>> trials = torch.stack(states, dim=1)
        >>> trials = torch.cat([trials, -trials])  # zero mean
        >>> a = operators([trials, trials], Hyperparameters(n_components=2, lag=1, rank=2))
        >>> torch.linalg.eigvals(a[0]).real.sort().values.numpy().round(4)
        array([0.5, 0.9])
    """
    networks = to_networks("activations", activations, 3)
    fits = thread_map(
        lambda i: _fit_operator(networks[i], hyperparameters, i), range(len(networks)), networks[0].device
    )
    return torch.stack(fits)


def controlled_operators(
    activations: Array | Sequence[Array], inputs: Array, hyperparameters: Hyperparameters
) -> tuple[Tensor, Tensor]:
    r"""Compute the operator and the input map of every network by DMD with control.

    .. math:: A, D = \arg\min \sum_t \|v_{t+1} - A v_t - D u_{t+1}\|^2

    in the coordinates v of `operators`, where u are the inputs that lead to the next window (Proctor, Brunton
    & Kutz 2016, SIAM J. Appl. Dyn. Syst.). Without control, the operator also contains the drive of the
    inputs. Inputs are divided by the root of their sum of squares, as the coordinates v are. D therefore does
    not depend on the units of the inputs. Relative to A, it does not depend on the number of trials.

    Args:
        activations: (networks, trials, time, units), or a list with one array (trials, time, units) per
            network.
        inputs: (trials, time, inputs), shared by all networks.
        hyperparameters: number of components, lag and rank.

    Returns:
        Operators A (networks, rank, rank) and input maps D (networks, rank, inputs).

    Raises:
        BadInputError: an argument that `operators` rejects, or inputs that differ from the activations in
            trials or time steps.

    Examples:
        >>> drive = torch.randn(20, 30, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> states = [drive[:, 0]]
        >>> for t in range(1, 30):
        ...     states.append(0.5 * states[-1] + drive[:, t])
        >>> hyperparameters = Hyperparameters(n_components=1, lag=1, rank=1)
        >>> trials = torch.stack(states, dim=1)
        >>> a, _ = controlled_operators([trials - trials.mean()] * 2, drive - drive.mean(), hyperparameters)
        >>> a.flatten().numpy().round(1)
        array([0.5, 0.5])
    """
    networks = to_networks("activations", activations, 3)
    drive = to_drive(inputs, networks)
    fits = thread_map(
        lambda i: _fit_controlled(networks[i], drive, hyperparameters, i), range(len(networks)), drive.device
    )
    both = torch.stack(fits)
    return both[..., : hyperparameters.rank], both[..., hyperparameters.rank :]


def to_drive(inputs: Array, networks: Sequence[Tensor]) -> Tensor:
    """Convert inputs (trials, time, inputs) to a tensor on the device of the networks' activations.

    Raises:
        BadInputError: inputs that are not finite, or differ from the activations in trials or time steps.
    """
    drive = to_tensor("inputs", inputs, 3).to(networks[0].device)
    for index, states in enumerate(networks):
        allowed = f"(trials, time) of network {index}, {tuple(states.shape[:2])}"
        require(drive.shape[:2] == states.shape[:2], "inputs shape", tuple(drive.shape[:2]), allowed)
    return drive


def _fit_controlled(
    activations: Tensor, drive: Tensor, hyperparameters: Hyperparameters, index: int
) -> Tensor:
    """Compute [A, D] (rank, rank + inputs) of one network."""
    lag, rank = hyperparameters.lag, hyperparameters.rank
    components = project(activations, hyperparameters.n_components)
    values, axes = _spectrum_of_rank(Moments.from_states(components, lag), rank, index)
    whiten = axes[:, :rank] / values[:rank].sqrt()
    states = windows(components, lag) @ whiten
    inputs = drive[:, lag:]
    norms = inputs.square().sum(dim=(0, 1)).sqrt()
    inputs = inputs / torch.where(norms > 0, norms, 1.0)
    # The pseudo-inverse handles inputs that are constant or linearly dependent.
    regressors = torch.cat([states[:, :-1], inputs], dim=-1).flatten(0, 1)
    return (torch.linalg.pinv(regressors) @ states[:, 1:].flatten(0, 1)).mT


def _fit_operator(activations: Tensor, hyperparameters: Hyperparameters, index: int) -> Tensor:
    """Compute the operator (rank, rank) of one network."""
    components, rank = project(activations, hyperparameters.n_components), hyperparameters.rank
    moments = Moments.from_states(components, hyperparameters.lag)
    values, axes = _spectrum_of_rank(moments, rank, index)
    whiten = axes[:, :rank] / values[:rank].sqrt()
    current, cross = (whiten.mT @ moment @ whiten for moment in (moments.current, moments.cross))
    return torch.linalg.solve(current, cross, left=False)


def _spectrum_of_rank(moments: Moments, rank: int, index: int) -> tuple[Tensor, Tensor]:
    """Return the full `spectrum`. Raise `BadInputError` if the windows have a rank below `rank`."""
    values, axes = spectrum(moments)
    available = available_rank(moments, values, axes, rank)
    if rank > available:
        raise BadInputError(
            f"rank must be at most {available}, the rank of the delay windows of network {index} that have a "
            f"successor, got {rank}."
        )
    return values, axes


def available_rank(moments: Moments, values: Tensor, axes: Tensor, largest: int) -> int:
    """Return the largest rank, at most `largest`, of an operator that the windows determine.

    The coordinates of the fit are the axes of all windows. The fit inverts the second moments of the windows
    that have a successor. These are fewer, and may lack some directions.

    Args:
        moments: second moments of the windows.
        values, axes: the `spectrum` of the moments.
        largest: upper limit of the result.
    """
    rank = min(numerical_rank(values), moments.n_transitions, largest)
    whiten = axes[:, :rank] / values[:rank].sqrt()
    current = whiten.mT @ moments.current @ whiten
    # Whitening multiplies rounding errors by the spread of the squared singular values.
    rounding = 100 * torch.finfo(values.dtype).eps * values[0] / values[rank - 1]
    tolerance = torch.eye(rank, dtype=current.dtype, device=current.device)
    tolerance *= rounding.clamp(min=_TRANSITION_TOLERANCE)
    # The Cholesky decomposition fails at the first leading block that is not above the tolerance.
    failure = int(torch.linalg.cholesky_ex(current - tolerance).info)
    return rank if failure == 0 else failure - 1


def spectrum(moments: Moments) -> tuple[Tensor, Tensor]:
    """Compute the singular values and axes of the delay windows H from their second moments.

    Returns:
        Squared singular values (d,), largest first, and right singular vectors U (d, d) as columns.
    """
    values, axes = torch.linalg.eigh(moments.all_windows)
    return values.flip(0).clamp(min=0), axes.flip(1)


def numerical_rank(values: Tensor) -> int:
    """Return the number of squared singular values above rounding errors."""
    return int((values > _RANK_TOLERANCE * values[0]).sum())
