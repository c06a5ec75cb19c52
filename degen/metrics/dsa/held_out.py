"""Errors of one-step predictions of held-out trials, for candidate lags and ranks of DSA."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from degen.metrics.dsa.dmd import available_rank, spectrum
from degen.metrics.dsa.embedding import Moments, project


def score_candidates(
    activations: Tensor, k: int, candidates: list[tuple[int, int]], held_out: float
) -> dict[tuple[int, int], tuple[float, float]]:
    """Compute (held-out error, AIC) of the candidates that the windows of a network support."""
    states, max_lag = project(activations, k), max(lag for lag, _ in candidates)
    split = min(max(1, round(len(states) * (1 - held_out))), len(states) - 1)
    train_moments = Moments.from_states(states[:split], max_lag)
    test_moments = Moments.from_states(states[split:], max_lag)
    half = len(states) // 2  # trials in each half of the split-half baseline
    scores = {}
    for lag, ranks in _group_by_lag(candidates):
        train, test = train_moments.leading_block(k * lag), test_moments.leading_block(k * lag)
        values, axes = spectrum(train)
        available = available_rank(train, values, axes, max(ranks))
        available = min(available, half * (states.shape[1] - lag))
        supported = [rank for rank in ranks if rank <= available]
        if supported:
            pairs = _score_ranks(train, test, values, axes, k, supported)
            scores.update({(lag, rank): pair for rank, pair in zip(supported, pairs, strict=True)})
    return scores


def _score_ranks(
    train: Moments, test: Moments, values: Tensor, axes: Tensor, k: int, ranks: list[int]
) -> list[tuple[float, float]]:
    """Compute (held-out error, AIC) of each rank at a fixed lag.

    Args:
        train, test: moments of the delay windows of training and held-out trials.
        values, axes: the `spectrum` of `train`.
        k: number of principal components, which are the first k entries of a delay window.
        ranks: candidate ranks that `train` supports.
    """
    # Whiten once for the largest rank. The whitened coordinates of rank r are the first r of these.
    largest = max(ranks)
    whiten = axes[:, :largest] / values[:largest].sqrt()
    # Maps whitened windows back to the principal components of their newest time step.
    decode = axes[:k, :largest] * values[:largest].sqrt()
    whitened_train = _WhitenedMoments.from_moments(train, whiten, k)
    whitened_test = _WhitenedMoments.from_moments(test, whiten, k)
    cross = whiten.mT @ train.cross @ whiten
    scores = []
    for rank in ranks:
        current = whitened_train.current[:rank, :rank]
        operator = torch.linalg.solve(current, cross[:rank, :rank], left=False)
        predictor = decode[:, :rank] @ operator
        train_error = whitened_train.unexplained_variance(predictor)
        aic = k * train.n_transitions * math.log(train_error) + 2 * rank**2
        scores.append((whitened_test.unexplained_variance(predictor), aic))
    return scores


def _group_by_lag(candidates: list[tuple[int, int]]) -> Iterator[tuple[int, list[int]]]:
    """Iterate over lags and the candidate ranks of each."""
    for lag in sorted({lag for lag, _ in candidates}):
        yield lag, [rank for other, rank in candidates if other == lag]


@dataclasses.dataclass(frozen=True)
class _WhitenedMoments:
    """Moments of whitened windows v and of the newest step y (k entries) of the successor windows.

    Attributes:
        current: sum of v v^T.
        cross: sum of y v^T.
        total: sum of y^T y.
    """

    current: Tensor
    cross: Tensor
    total: Tensor

    @classmethod
    def from_moments(cls, moments: Moments, whiten: Tensor, k: int) -> _WhitenedMoments:
        """Transform the moments of delay windows by `whiten` (d, rank)."""
        current = whiten.mT @ moments.current @ whiten
        return cls(current, moments.cross[:k] @ whiten, moments.successor[:k, :k].trace())

    def unexplained_variance(self, predictor: Tensor) -> float:
        """Compute the squared error of y predicted by a linear map (k, rank), as a fraction of the total."""
        rank = predictor.shape[1]
        current, cross = self.current[:rank, :rank], self.cross[:, :rank]
        explained = 2 * (predictor * cross).sum() - (predictor @ current * predictor).sum()
        # Rounding may give a negative value for exact predictions, but AIC takes the logarithm.
        return max(float((self.total - explained) / self.total), torch.finfo(torch.float64).eps)
