"""Selection of the DSA hyperparameters of a task, by one-step prediction of held-out trials."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import pandas as pd
import torch
from torch import Tensor

from degen.errors import require, require_integer, require_number
from degen.metrics.arrays import Array, require_two_networks, to_tensor
from degen.metrics.dsa.dmd import Hyperparameters, available_rank, spectrum
from degen.metrics.dsa.embedding import Moments, n_components, project
from degen.metrics.pairs import thread_map


@dataclasses.dataclass(frozen=True)
class Selection:
    """Selected hyperparameters and the scores of all candidates.

    Attributes:
        hyperparameters: the candidate with the smallest mean held-out error.
        curve: one row per candidate, with the columns `lag`, `rank`, `held_out_error`, `worst_error` and
            `aic`. The held-out error is the one-step prediction error on held-out trials as a fraction of the
            variance, averaged over networks. The worst error is the largest over networks. AIC is averaged
            over networks.
    """

    hyperparameters: Hyperparameters
    curve: pd.DataFrame


def select_hyperparameters(
    activations: Array | Sequence[Array],
    *,
    lags: Sequence[int] = tuple(range(1, 31)),
    ranks: Sequence[int] = (5, 10, 15, 20, 30, 40, 50, 75, 100),
    variance: float = 0.99,
    held_out: float = 0.25,
) -> Selection:
    """Select the number of components, the lag and the rank shared by all networks of a task.

    The number of components is the largest that any network needs to explain `variance`, limited by the
    number of units of the smallest network. Each candidate pair of lag and rank is fitted on the training
    trials and predicts the principal components of the held-out trials one step ahead. All lags predict one
    set of time steps. The paper minimizes this error over the lag at full rank (App. D.1).

    Args:
        activations: (networks, trials, time, units), or a list with one array (trials, time, units) per
            network.
        lags: candidate lags in time steps, each below the trial length.
        ranks: candidate ranks. The full rank of each lag, components * lag, is also a candidate unless it
            exceeds the largest of `ranks`. Candidates are dropped if the windows of some network, or of half
            of its trials as used by `null_distances`, have a smaller rank.
        variance: fraction of variance explained by the components, in (0, 1].
        held_out: fraction of trials held out, in (0, 0.9]. These are the last trials.

    Raises:
        BadInputError: an argument out of range, or data that support no candidate rank.

    Examples:
        >>> generator = torch.Generator().manual_seed(0)
        >>> walks = torch.randn(2, 12, 20, 3, generator=generator, dtype=torch.float64).cumsum(dim=2)
        >>> selection = select_hyperparameters(walks, lags=(1, 2), ranks=(2, 3), variance=1.0)
        >>> selection.hyperparameters
        Hyperparameters(n_components=3, lag=1, rank=3)
        >>> selection.curve[["lag", "rank"]].to_numpy().tolist()
        [[1, 2], [1, 3], [2, 2], [2, 3]]
    """
    require_number("held_out", held_out, above=0.0, maximum=0.9)
    require_two_networks("activations", activations)
    k = _common_n_components(activations, variance)
    candidates = _candidates(k, lags, ranks)
    scores = thread_map(
        lambda i: _score_candidates(_network(activations, i), k, candidates, held_out),
        range(len(activations)),
        torch.as_tensor(activations[-1]).device,
    )
    rows = [
        _row(lag, rank, [score[lag, rank] for score in scores])
        for lag, rank in candidates
        if all((lag, rank) in score for score in scores)
    ]
    require(bool(rows), "ranks", tuple(ranks), "at most the rank of the delay windows for some lag")
    curve = pd.DataFrame(rows)
    lag, rank = curve[["lag", "rank"]].to_numpy()[curve["held_out_error"].to_numpy().argmin()]
    return Selection(Hyperparameters(n_components=k, lag=int(lag), rank=int(rank)), curve)


def _network(activations: Array | Sequence[Array], index: int) -> Tensor:
    """Convert the activations of a single network to float64, to limit the memory in use."""
    return to_tensor(f"activations of network {index}", activations[index], 3)


def _common_n_components(activations: Array | Sequence[Array], variance: float) -> int:
    """Return the largest number of components any network needs, at most the smallest number of units."""
    required, widths = [], []
    for index in range(len(activations)):
        states = _network(activations, index)
        require(states.shape[0] >= 2, f"trials of network {index}", states.shape[0], "at least 2")
        required.append(n_components(states, variance=variance))
        widths.append(states.shape[2])
    return min(max(required), *widths)


def _candidates(k: int, lags: Sequence[int], ranks: Sequence[int]) -> list[tuple[int, int]]:
    """List the candidate pairs (lag, rank), including the full rank of each lag."""
    for name, values in (("lags", lags), ("ranks", ranks)):
        require(len(values) > 0, name, tuple(values), "at least one candidate")
        for value in values:
            require_integer(name, value, 1)
    full = {lag: k * lag for lag in lags}
    return [
        (lag, rank)
        for lag in sorted(full)
        for rank in sorted({*ranks, full[lag]})
        if rank <= min(full[lag], max(ranks))
    ]


def _row(lag: int, rank: int, scores: list[tuple[float, float]]) -> dict[str, float]:
    """Average the scores (held-out error, AIC) of a candidate over networks."""
    errors, aics = zip(*scores, strict=True)
    return {
        "lag": lag,
        "rank": rank,
        "held_out_error": sum(errors) / len(errors),
        "worst_error": max(errors),
        "aic": sum(aics) / len(aics),
    }


def _score_candidates(
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
