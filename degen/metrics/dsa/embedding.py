"""Delay embedding of activations, and second moments of the delay windows."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from degen.errors import require, require_integer, require_number
from degen.metrics.arrays import Array, to_tensor


def n_components(activations: Array, *, variance: float = 0.99) -> int:
    """Return the number of principal components that explain a fraction `variance` of the activations.

    Args:
        activations: activations of one network, (trials, time, units).
        variance: fraction of variance to explain, in (0, 1].

    Raises:
        BadInputError: activations that are not finite or constant, or `variance` out of range.

    Examples:
        >>> states = torch.randn(10, 20, 3, generator=torch.Generator().manual_seed(0))
        >>> n_components(states * torch.tensor([1.0, 1.0, 0.01]))
        2
    """
    require_number("variance", variance, above=0.0, maximum=1.0)
    eigenvalues = _covariance_spectrum(to_tensor("activations", activations, 3))[0]
    explained = eigenvalues.cumsum(0) / eigenvalues.sum()
    # The tolerance avoids an extra component when the explained fraction equals `variance` up to rounding.
    return int((explained < variance - 1e-12).sum()) + 1


def project(activations: Tensor, k: int) -> Tensor:
    """Project activations on their first k principal components, centered over all trials and time steps.

    Args:
        activations: (trials, time, units).
        k: number of components, at most the number of units.

    Returns:
        (trials, time, k).
    """
    units = activations.shape[-1]
    require_integer("n_components", k, 1)
    require(k <= units, "n_components", k, f"at most the {units} units")
    axes = _covariance_spectrum(activations)[1]
    return (activations - activations.mean(dim=(0, 1))) @ axes[:, :k]


def _covariance_spectrum(activations: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the covariance eigenvalues (units,), largest first, and eigenvectors (units, units)."""
    varies = bool((activations != activations[0, 0]).any())
    require(varies, "activations", "a constant", "varying over trials or time")
    states = (activations - activations.mean(dim=(0, 1))).flatten(0, 1)
    values, vectors = torch.linalg.eigh(states.mT @ states / len(states))
    return values.clamp(min=0).flip(0), vectors.flip(1)


def windows(states: Tensor, lag: int) -> Tensor:
    """Compute delay windows, each within a single trial, with the newest time step first.

    Args:
        states: (trials, time, k).
        lag: time steps per window.

    Returns:
        (trials, time - lag + 1, lag * k).

    Raises:
        BadInputError: a lag for which a trial has fewer than two windows.

    Examples:
        >>> windows(torch.arange(4.0).view(1, 4, 1), lag=2)
        tensor([[[1., 0.],
                 [2., 1.],
                 [3., 2.]]])
    """
    _require_lag(lag, states.shape[1])
    newest_first = states.unfold(1, lag, 1).flip(-1)  # (trials, windows, k, lag)
    return newest_first.transpose(-1, -2).flatten(-2)


def _require_lag(lag: int, time: int) -> None:
    require_integer("lag", lag, 1)
    require(lag < time, "lag", lag, f"below the {time} time steps of a trial")


@dataclasses.dataclass(frozen=True)
class Moments:
    """Second moments of delay windows h_t with d = k * lag entries, summed over trials and time.

    A transition is a pair of successive windows h_t, h_{t+1} of one trial.

    Attributes:
        all_windows: (d, d), sum of h_t h_t^T over all windows.
        current: (d, d), sum of h_t h_t^T over all transitions.
        cross: (d, d), sum of h_{t+1} h_t^T over all transitions.
        successor: (d, d), sum of h_{t+1} h_{t+1}^T over all transitions.
        n_transitions: number of transitions.
    """

    all_windows: Tensor
    current: Tensor
    cross: Tensor
    successor: Tensor
    n_transitions: int

    @classmethod
    def from_states(cls, states: Tensor, lag: int) -> Moments:
        """Compute the moments without forming the windows.

        All moments are blocks of one matrix, the second moments of windows of lag + 1 steps. Only the first
        row of blocks is summed over time. The other blocks follow by recursion along the diagonals: the block
        one down and one to the right has its products one time step earlier. It therefore gains the products
        of the first windows of the trials and loses the products of the last windows.

        Args:
            states: (trials, time, k).
            lag: time steps per window.

        Raises:
            BadInputError: a lag for which a trial has fewer than two windows.
        """
        _require_lag(lag, states.shape[1])
        _, time, k = states.shape
        newest = states[:, lag:].flatten(0, 1)
        row = torch.cat([newest.mT @ states[:, lag - b : time - b].flatten(0, 1) for b in range(lag + 1)], 1)
        first, last = (ends.flip(1).flatten(1) for ends in (states[:, :lag], states[:, time - lag :]))
        change = first.mT @ first - last.mT @ last
        longer = torch.cat([row, torch.cat([row[:, k:].mT, change], 1)])
        for rows in range(k, len(longer), k):
            longer[rows : rows + k, k:] += longer[rows - k : rows, :-k]
        return cls(
            all_windows=longer[:-k, :-k] + first.mT @ first,
            current=longer[k:, k:],
            cross=longer[:-k, k:],
            successor=longer[:-k, :-k],
            n_transitions=len(newest),
        )

    def leading_block(self, size: int) -> Moments:
        """Return the moments of the first `size` window entries.

        These are the moments of windows with a smaller lag, over the transitions of the longer windows.
        """
        block = slice(size)
        return Moments(
            all_windows=self.all_windows[block, block],
            current=self.current[block, block],
            cross=self.cross[block, block],
            successor=self.successor[block, block],
            n_transitions=self.n_transitions,
        )
