"""Behavioural degeneracy: how different the networks' errors are off the training distribution."""

from __future__ import annotations

import dataclasses

import numpy as np

from degen.errors import require
from degen.metrics.arrays import Array, to_numpy, to_tensor


@dataclasses.dataclass(frozen=True)
class OODSummary:
    """The distribution of out-of-distribution losses over networks.

    Attributes:
        sigma: population standard deviation, the paper's sigma_OOD.
        mean, minimum, median, maximum: of the losses.
    """

    sigma: float
    mean: float
    minimum: float
    median: float
    maximum: float


def sigma_ood(losses: Array) -> float:
    r"""Population standard deviation of the networks' losses (section 2.3.1 of the paper).

    .. math:: \sigma_{OOD} = \sqrt{\tfrac{1}{N} \sum_i (L_i - \bar L)^2}

    Args:
        losses: (networks,), the mean squared error of each network on out-of-distribution trials.

    Raises:
        BadInputError: fewer than two losses, or one that is not finite.
    """
    return summary(losses).sigma


def summary(losses: Array) -> OODSummary:
    """`sigma_ood` beside the mean and the quartile points of the losses (networks,)."""
    values = to_numpy(to_tensor("losses", losses, 1))
    require(len(values) >= 2, "networks in losses", len(values), "at least 2")
    return OODSummary(
        sigma=float(values.std()),
        mean=float(values.mean()),
        minimum=float(values.min()),
        median=float(np.median(values)),
        maximum=float(values.max()),
    )
