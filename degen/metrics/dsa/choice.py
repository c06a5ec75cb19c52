"""The choice of components, lag and rank, once for all networks of a task."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import pandas as pd
import torch
from torch import Tensor

from degen.errors import require, require_integer, require_number
from degen.metrics.arrays import Array, require_pairs, to_tensor
from degen.metrics.dsa.dmd import Settings, numerical_rank, spectrum
from degen.metrics.dsa.embedding import Moments, n_components, project
from degen.metrics.pairs import spread


@dataclasses.dataclass(frozen=True)
class Choice:
    """The chosen settings and the curve they were chosen on.

    Attributes:
        settings: those with the smallest held-out error.
        curve: one row for each lag and rank: `lag`, `rank`, `held_out_error` (mean over networks of the
            one-step prediction error on held-out trials, as a share of the variance), `worst_error` (the
            largest of a network), `aic` (mean over networks).
    """

    settings: Settings
    curve: pd.DataFrame


def choose(
    activations: Array | Sequence[Array],
    *,
    lags: Sequence[int] = tuple(range(1, 31)),
    ranks: Sequence[int] = (5, 10, 15, 20, 30, 40, 50, 75, 100),
    variance: float = 0.99,
    held_out: float = 0.25,
) -> Choice:
    """Components, lag and rank for all networks of a task, on the reconstruction of held-out trials.

    The number of components is the most that any network needs for `variance`, but no more than the narrowest
    network has units: operators of one size are what can be compared. Every pair of lag and rank is then
    fitted on the first trials and predicts, on the others, the principal coordinates one step ahead; all lags
    predict the same steps. App. D.1 of the paper minimizes this error over the lag, at full rank.

    Args:
        activations: (networks, trials, time, units), or a list of (trials, time, units).
        lags: candidates, each below the number of time steps.
        ranks: candidate sizes of the operator. Beside them stands the full rank of a lag, components * lag,
            where it is not above the largest of them. Ranks that some network's windows lack, or half of the
            trials (`null_distances`), are left out.
        variance: share of variance that the components of each network hold.
        held_out: share of the trials that is predicted; the last ones.

    Raises:
        BadInputError: an argument is out of range, or no candidate rank is held by the data.
    """
    require_number("held_out", held_out, above=0.0, maximum=0.9)
    require_pairs("activations", activations)
    count = len(activations)

    def network(index: int) -> Tensor:
        """In float64, which all at once might take more memory than there is."""
        return to_tensor(f"activations of network {index}", activations[index], 3)

    needed, widths = [], []
    for index in range(count):
        states = network(index)
        require(states.shape[0] >= 2, f"trials of network {index}", states.shape[0], "at least 2")
        needed.append(n_components(states, variance=variance))
        widths.append(states.shape[2])
    k = min(max(needed), *widths)
    candidates = _candidates(k, lags, ranks)
    scores = spread(lambda i: _errors(network(i), k, candidates, held_out), range(count), states.device)
    rows = [
        _row(lag, rank, [score[lag, rank] for score in scores])
        for lag, rank in candidates
        if all((lag, rank) in score for score in scores)
    ]
    require(bool(rows), "ranks", tuple(ranks), "such that the data hold at least one of them")
    curve = pd.DataFrame(rows)
    lag, rank = curve[["lag", "rank"]].to_numpy()[curve["held_out_error"].to_numpy().argmin()]
    return Choice(Settings(n_components=k, lag=int(lag), rank=int(rank)), curve)


def _candidates(k: int, lags: Sequence[int], ranks: Sequence[int]) -> list[tuple[int, int]]:
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
    errors, aics = zip(*scores, strict=True)
    return {
        "lag": lag,
        "rank": rank,
        "held_out_error": sum(errors) / len(errors),
        "worst_error": max(errors),
        "aic": sum(aics) / len(aics),
    }


def _errors(
    activations: Tensor, k: int, candidates: list[tuple[int, int]], held_out: float
) -> dict[tuple[int, int], tuple[float, float]]:
    """(lag, rank) to (held-out error, AIC) of one network, for the candidates that its windows hold."""
    states, longest = project(activations, k), max(lag for lag, _ in candidates)
    split = min(max(1, round(len(states) * (1 - held_out))), len(states) - 1)
    train, test = Moments.of(states[:split], longest), Moments.of(states[split:], longest)
    halves = len(states) // 2  # of all trials, each of which the null fits alone
    scores = {}
    for lag, ranks in _by_lag(candidates):
        fitted, unseen = train.leading(k * lag), test.leading(k * lag)
        values, axes = spectrum(fitted)
        held = min(numerical_rank(values), fitted.count, halves * (states.shape[1] - lag))
        possible = [rank for rank in ranks if rank <= held]
        if not possible:
            continue
        # Once for all ranks: those of a smaller one are the leading entries.
        whiten = axes[:, : max(possible)] / values[: max(possible)].sqrt()
        decode = axes[:k, : max(possible)] * values[: max(possible)].sqrt()
        seen, other = _Whitened.of(fitted, whiten, k), _Whitened.of(unseen, whiten, k)
        step = whiten.mT @ fitted.step @ whiten
        for rank in possible:
            operator = torch.linalg.solve(seen.before[:rank, :rank], step[:rank, :rank], left=False)
            predictor = decode[:, :rank] @ operator
            aic = k * fitted.count * math.log(seen.unexplained(predictor)) + 2 * rank**2
            scores[lag, rank] = (other.unexplained(predictor), aic)
    return scores


def _by_lag(candidates: list[tuple[int, int]]) -> Iterator[tuple[int, list[int]]]:
    for lag in sorted({lag for lag, _ in candidates}):
        yield lag, [rank for other, rank in candidates if other == lag]


@dataclasses.dataclass(frozen=True)
class _Whitened:
    """Moments of windows in coordinates v, and of the newest step y (k entries) of the next windows.

    Attributes:
        before: sum of v v^T.
        step: sum of y v^T.
        total: sum of y^T y.
    """

    before: Tensor
    step: Tensor
    total: Tensor

    @classmethod
    def of(cls, moments: Moments, whiten: Tensor, k: int) -> _Whitened:
        before = whiten.mT @ moments.before @ whiten
        return cls(before, moments.step[:k] @ whiten, moments.after[:k, :k].trace())

    def unexplained(self, predictor: Tensor) -> float:
        """Squared error of predicting y by a map (k, rank) of the first coordinates, as a share."""
        rank = predictor.shape[1]
        before, step = self.before[:rank, :rank], self.step[:, :rank]
        explained = 2 * (predictor * step).sum() - (predictor @ before * predictor).sum()
        # Exact prediction leaves rounding, which may be negative; AIC's logarithm needs a positive number.
        return max(float((self.total - explained) / self.total), torch.finfo(torch.float64).eps)
