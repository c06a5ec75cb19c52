"""Penalties on the effective recurrent matrix (section 3.5 of the paper)."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from degen.errors import require_number


class Regularizer(ABC):
    """A penalty added to the task loss."""

    @abstractmethod
    def __call__(self, recurrent: Tensor) -> Tensor:
        """The penalty (seeds,) of effective recurrent matrices (seeds, n, n)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unregularized(Regularizer):
    """No penalty."""

    def __call__(self, recurrent: Tensor) -> Tensor:
        return recurrent.new_zeros(len(recurrent))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Weighted(Regularizer):
    strength: float

    def __post_init__(self) -> None:
        require_number("regularizer.strength", self.strength, minimum=0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NuclearNorm(_Weighted):
    """strength times the sum of singular values: towards low rank."""

    def __call__(self, recurrent: Tensor) -> Tensor:
        # A decomposition of a matrix that is not finite would raise for the whole batch.
        finite = recurrent.isfinite().all(dim=(-2, -1))
        values = torch.linalg.svdvals(torch.where(finite[:, None, None], recurrent, 0.0))
        return self.strength * values.sum(dim=-1).where(finite, torch.nan)


@dataclasses.dataclass(frozen=True, kw_only=True)
class L1(_Weighted):
    """strength times the sum of absolute values: towards sparsity."""

    def __call__(self, recurrent: Tensor) -> Tensor:
        return self.strength * recurrent.abs().sum(dim=(-2, -1))
