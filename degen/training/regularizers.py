"""Penalties on the effective recurrent matrix (section 3.5 of the paper).

Of a gated cell, the penalties of the blocks of its recurrent matrix are summed.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from degen.errors import require_number

# A small singular value grows by half in each step: 1.5 ** 36 = 2e6.
_POLAR_STEPS = 36


class Regularizer(ABC):
    """A penalty that is added to the task loss.

    Attributes:
        neutral_target: class that means "no penalty". Signatures of conditions leave it out.
    """

    neutral_target: ClassVar[str] = "degen.training.NoPenalty"

    @abstractmethod
    def __call__(self, recurrent: Tensor) -> Tensor:
        """Return the penalties (seeds,) of effective recurrent matrices (seeds, n, n)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoPenalty(Regularizer):
    """No penalty.

    Examples:
        >>> NoPenalty()(torch.ones(2, 3, 3))
        tensor([0., 0.])
    """

    def __call__(self, recurrent: Tensor) -> Tensor:
        return recurrent.new_zeros(len(recurrent))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Weighted(Regularizer):
    strength: float

    def __post_init__(self) -> None:
        require_number("regularizer.strength", self.strength, minimum=0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NuclearNorm(_Weighted):
    """Strength times the sum of singular values (the nuclear norm), which favors low rank.

    Args:
        strength: at least 0.

    Examples:
        >>> NuclearNorm(strength=0.5)(torch.diag(torch.tensor([3.0, -1.0])).unsqueeze(0))
        tensor([2.])
    """

    def __call__(self, recurrent: Tensor) -> Tensor:
        if recurrent.device.type != "cpu":
            # The norm of W is the trace of Q^T W, with the orthogonal polar factor Q of W as its gradient.
            return self.strength * (recurrent * polar_factor(recurrent.detach())).sum(dim=(-2, -1))
        # The decomposition raises an error for the whole batch if a matrix is not finite.
        finite = recurrent.isfinite().all(dim=(-2, -1))
        values = torch.linalg.svdvals(torch.where(finite[:, None, None], recurrent, 0.0))
        return self.strength * values.sum(dim=-1).where(finite, torch.nan)


@dataclasses.dataclass(frozen=True, kw_only=True)
class L1(_Weighted):
    """Strength times the sum of absolute values, which favors sparsity.

    Args:
        strength: at least 0.

    Examples:
        >>> L1(strength=0.5)(torch.tensor([[[3.0, -1.0], [0.0, 0.0]]]))
        tensor([2.])
    """

    def __call__(self, recurrent: Tensor) -> Tensor:
        return self.strength * recurrent.abs().sum(dim=(-2, -1))


def polar_factor(matrices: Tensor) -> Tensor:
    r"""Return Q = U V^T of W = U S V^T (..., n, n), by the iteration of Newton and Schulz.

    .. math:: X_0 = W / c, \quad X_{k+1} = \tfrac{3}{2} X_k - \tfrac{1}{2} X_k X_k^T X_k

    where c is at least the largest singular value of W. The iteration consists of matrix products of all
    networks at once. A singular value decomposition would make a GPU wait for the CPU.

    Singular values converge to 1, except those below about 1e-5 of the largest, which end between 0 and 1.
    A singular value of zero stays zero, and the result is then one of several subgradients of the nuclear
    norm (Watson 1992, "Characterization of the subdifferential of some matrix norms").
    """
    # c is the geometric mean of the largest row sum and the largest column sum of absolute values.
    sums = matrices.abs().sum(dim=-1).amax(dim=-1) * matrices.abs().sum(dim=-2).amax(dim=-1)
    factor = matrices / sums.sqrt().clamp(min=torch.finfo(matrices.dtype).tiny)[..., None, None]
    for _ in range(_POLAR_STEPS):
        factor = 1.5 * factor - 0.5 * factor @ (factor.mT @ factor)
    return factor
