"""Behavioral degeneracy: variability of out-of-distribution losses across networks."""

from __future__ import annotations

import dataclasses

import numpy as np

from degen.errors import require
from degen.metrics.arrays import Array, to_numpy, to_tensor


@dataclasses.dataclass(frozen=True)
class OODSummary:
    """Summary statistics of the out-of-distribution (OOD) losses of an ensemble.

    Attributes:
        sigma: population standard deviation, sigma_OOD in the paper.
        mean: arithmetic mean.
        minimum: smallest loss.
        median: median loss.
        maximum: largest loss.
    """

    sigma: float
    mean: float
    minimum: float
    median: float
    maximum: float


def sigma_ood(losses: Array) -> float:
    r"""Compute the population standard deviation of OOD losses (section 2.3.1 of the paper).

    .. math:: \sigma_{OOD} = \sqrt{\tfrac{1}{N} \sum_i (L_i - \bar L)^2}

    Args:
        losses: (networks,), task loss of each network on out-of-distribution trials.

    Returns:
        The standard deviation, in units of the losses.

    Raises:
        BadInputError: fewer than two losses, or a loss that is not finite.

    Examples:
        >>> sigma_ood(np.array([1.0, 3.0]))
        1.0
    """
    return summarize_ood(losses).sigma


def sigma_log_ood(losses: Array) -> float:
    """Compute the population standard deviation of the natural logarithm of OOD losses.

    It does not change if all losses change by a common factor. So it compares conditions whose networks have
    other losses at the end of training, which `sigma_ood` reflects.

    Args:
        losses: (networks,), task loss of each network on out-of-distribution trials.

    Raises:
        BadInputError: fewer than two losses, or a loss that is not finite or not above 0.

    Examples:
        >>> round(sigma_log_ood(np.exp(np.array([-5.0, -3.0]))), 9)
        1.0
    """
    values = to_tensor("losses", losses, 1)
    require(bool((values > 0).all()), "losses", float(values.min()), "above 0")
    return summarize_ood(values.log()).sigma


def summarize_ood(losses: Array) -> OODSummary:
    """Compute summary statistics of OOD losses.

    Args:
        losses: (networks,), task loss of each network on out-of-distribution trials.

    Raises:
        BadInputError: fewer than two losses, or a loss that is not finite.

    Examples:
        >>> summarize_ood(np.array([1.0, 3.0]))
        OODSummary(sigma=1.0, mean=2.0, minimum=1.0, median=2.0, maximum=3.0)
    """
    values = to_numpy(to_tensor("losses", losses, 1))
    require(len(values) >= 2, "networks in losses", len(values), "at least 2")
    return OODSummary(
        sigma=float(values.std()),
        mean=float(values.mean()),
        minimum=float(values.min()),
        median=float(np.median(values)),
        maximum=float(values.max()),
    )
