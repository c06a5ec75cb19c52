"""From activations to second moments of delay windows, trials kept apart."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from degen.errors import require, require_integer, require_number
from degen.metrics.arrays import Array, to_tensor


def n_components(activations: Array, *, variance: float = 0.99) -> int:
    """Principal components of one network's activations that hold a share `variance`.

    Args:
        activations: (trials, time, units).
        variance: share of variance, in (0, 1].

    Raises:
        BadInputError: not finite, constant, or `variance` out of range.
    """
    require_number("variance", variance, above=0.0, maximum=1.0)
    spectrum = _covariance_spectrum(to_tensor("activations", activations, 3))[0]
    share = spectrum.cumsum(0) / spectrum.sum()
    # Rounding must not demand one more component than an exact share of 1 does.
    return int((share < variance - 1e-12).sum()) + 1


def project(activations: Tensor, k: int) -> Tensor:
    """Coordinates (trials, time, k) of activations (trials, time, units) on their first k components.

    Centred over all trials and time steps.
    """
    units = activations.shape[-1]
    require_integer("n_components", k, 1)
    require(k <= units, "n_components", k, f"at most the {units} units")
    axes = _covariance_spectrum(activations)[1]
    return (activations - activations.mean(dim=(0, 1))) @ axes[:, :k]


def _covariance_spectrum(activations: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (units,), largest first, and eigenvectors (units, units) of the covariance."""
    varies = bool((activations != activations[0, 0]).any())
    require(varies, "activations", "a constant", "varying over trials or time")
    states = (activations - activations.mean(dim=(0, 1))).flatten(0, 1)
    values, vectors = torch.linalg.eigh(states.mT @ states / len(states))
    return values.clamp(min=0).flip(0), vectors.flip(1)


def windows(states: Tensor, lag: int) -> Tensor:
    """Delay windows (trials, time - lag + 1, lag * k) of states (trials, time, k), newest step first.

    No window crosses from one trial into the next.

    Raises:
        BadInputError: the trial has no two successive windows of `lag` steps.
    """
    _require_lag(lag, states.shape[1])
    newest_first = states.unfold(1, lag, 1).flip(-1)  # (trials, windows, k, lag)
    return newest_first.transpose(-1, -2).flatten(-2)


def _require_lag(lag: int, time: int) -> None:
    require_integer("lag", lag, 1)
    require(lag < time, "lag", lag, f"below the {time} time steps of a trial")


@dataclasses.dataclass(frozen=True)
class Moments:
    """Second moments of delay windows h_t (k * lag entries) and of the steps from one to the next.

    Attributes:
        every: sum of h h^T over all windows.
        before: sum of h_t h_t^T over windows that have a next one.
        step: sum of h_{t+1} h_t^T.
        after: sum of h_{t+1} h_{t+1}^T.
        count: windows that have a next one.
    """

    every: Tensor
    before: Tensor
    step: Tensor
    after: Tensor
    count: int

    @classmethod
    def of(cls, states: Tensor, lag: int) -> Moments:
        """Moments of the windows of states (trials, time, k).

        All are blocks of one matrix, the second moments of windows a step longer. Only its first row of
        blocks is a sum over all steps: a block below and to the right of another holds the same products
        a step earlier, so that it gains those of the trials' first windows and loses those of the last.

        Raises:
            BadInputError: as `windows`.
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
            every=longer[:-k, :-k] + first.mT @ first,
            before=longer[k:, k:],
            step=longer[:-k, k:],
            after=longer[:-k, :-k],
            count=len(newest),
        )

    def leading(self, size: int) -> Moments:
        """Moments of the first `size` entries of the windows: those of a smaller lag, on the same steps."""
        cut = slice(size)
        return Moments(
            every=self.every[cut, cut],
            before=self.before[cut, cut],
            step=self.step[cut, cut],
            after=self.after[cut, cut],
            count=self.count,
        )
