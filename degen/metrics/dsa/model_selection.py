"""Selection of the DSA hyperparameters of a task, by one-step prediction of held-out trials."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from degen.errors import require, require_choice, require_integer, require_number
from degen.metrics.arrays import Array, require_two_networks, to_tensor
from degen.metrics.dsa.dmd import Hyperparameters
from degen.metrics.dsa.embedding import n_components
from degen.metrics.dsa.held_out import score_candidates
from degen.metrics.pairs import thread_map

COMPONENTS = ("most", "least")


@dataclasses.dataclass(frozen=True)
class Selection:
    """Selected hyperparameters and the scores of all candidates.

    Attributes:
        hyperparameters: the selected candidate.
        curve: one row per candidate, with the columns `lag`, `rank`, `held_out_error`, `standard_error`,
            `worst_error` and `aic`. The held-out error is the one-step prediction error on held-out trials as
            a fraction of the variance, averaged over networks. The standard error of this average and the
            largest error are over networks. AIC is averaged over networks.
        components_needed: number of components that each network needs for the fraction of variance.
        warnings: sentences on a selection at the edge of the candidates.
    """

    hyperparameters: Hyperparameters
    curve: pd.DataFrame
    components_needed: list[int]
    warnings: list[str]


def select_hyperparameters(
    activations: Array | Sequence[Array],
    *,
    lags: Sequence[int] = tuple(range(1, 31)),
    ranks: Sequence[int] = (5, 10, 15, 20, 30, 40, 50, 75, 100),
    variance: float = 0.99,
    components: str = "most",
    held_out: float = 0.25,
    full_rank: bool = False,
) -> Selection:
    """Select the number of components, the lag and the rank shared by all networks of a task.

    Each candidate pair of lag and rank is fitted on the training trials and predicts the principal components
    of the held-out trials one step ahead. All lags predict one set of time steps. Of the candidates whose
    error is within one standard error of the smallest error, the simplest is selected: the lowest rank, and
    the shortest lag of this rank (one-standard-error rule, Breiman et al. 1984).

    Args:
        activations: (networks, trials, time, units), or a list with one array (trials, time, units) per
            network.
        lags: candidate lags in time steps, each below the trial length.
        ranks: candidate ranks. The full rank of each lag, components * lag, is also a candidate unless it
            exceeds the largest of `ranks`. Candidates are dropped if the windows of some network, or of half
            of its trials as used by `half_distances`, have a smaller rank.
        variance: fraction of variance explained by the components, in (0, 1].
        components: `most` or `least`, the number of components that any network needs to explain `variance`.
            The number of units of the smallest network is the upper limit.
        held_out: fraction of trials held out, in (0, 0.9]. These are the last trials.
        full_rank: whether to consider only the full rank of each lag and to select the smallest error, as the
            paper does (App. D.1).

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
    require_choice("components", components, COMPONENTS)
    require_two_networks("activations", activations)
    needed, smallest = _components_needed(activations, variance)
    k = min(max(needed) if components == "most" else min(needed), smallest)
    candidates = _candidates(k, lags, ranks, full_rank)
    scores = thread_map(
        lambda i: score_candidates(_network(activations, i), k, candidates, held_out),
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
    lag, rank = _smallest_error(curve) if full_rank else _simplest(curve)
    selected = Hyperparameters(n_components=k, lag=lag, rank=rank)
    return Selection(selected, curve, needed, _warnings(selected, lags, ranks))


def _smallest_error(curve: pd.DataFrame) -> tuple[int, int]:
    """Return lag and rank of the candidate with the smallest held-out error."""
    best = curve.iloc[int(curve["held_out_error"].to_numpy().argmin())]
    return int(best["lag"]), int(best["rank"])


def _simplest(curve: pd.DataFrame) -> tuple[int, int]:
    """Return lag and rank of the simplest candidate within one standard error of the smallest error."""
    best = curve.iloc[int(curve["held_out_error"].to_numpy().argmin())]
    limit = best["held_out_error"] + best["standard_error"]
    rank, lag = min(curve.loc[curve["held_out_error"] <= limit, ["rank", "lag"]].itertuples(index=False))
    return int(lag), int(rank)


def _warnings(selected: Hyperparameters, lags: Sequence[int], ranks: Sequence[int]) -> list[str]:
    """Return a sentence for each selected value at the edge of its candidates."""
    warnings = []
    if selected.lag == max(lags) > min(lags):
        warnings.append(f"the lag {selected.lag} is the longest candidate: longer lags may predict better")
    full = selected.n_components * selected.lag
    if selected.rank == max(ranks) < full:
        warnings.append(
            f"the rank {selected.rank} is the largest candidate, below the full rank {full}: larger ranks "
            "may predict better"
        )
    return warnings


def _network(activations: Array | Sequence[Array], index: int) -> Tensor:
    """Convert the activations of a single network to float64, to limit the memory in use."""
    return to_tensor(f"activations of network {index}", activations[index], 3)


def _components_needed(activations: Array | Sequence[Array], variance: float) -> tuple[list[int], int]:
    """Return the number of components that each network needs, and the smallest number of units."""
    needed, widths = [], []
    for index in range(len(activations)):
        states = _network(activations, index)
        require(states.shape[0] >= 2, f"trials of network {index}", states.shape[0], "at least 2")
        needed.append(n_components(states, variance=variance))
        widths.append(states.shape[2])
    return needed, min(widths)


def _candidates(k: int, lags: Sequence[int], ranks: Sequence[int], full_rank: bool) -> list[tuple[int, int]]:
    """List the candidate pairs (lag, rank), including the full rank of each lag."""
    for name, values in (("lags", lags), ("ranks", ranks)):
        require(len(values) > 0, name, tuple(values), "at least one candidate")
        for value in values:
            require_integer(name, value, 1)
    full = {lag: k * lag for lag in lags}
    if full_rank:
        smallest = min(full.values())
        allowed = f"at most {max(ranks)}, the largest operator that is computed"
        require(smallest <= max(ranks), "the full rank of the shortest lag", smallest, allowed)
        return [(lag, rank) for lag, rank in sorted(full.items()) if rank <= max(ranks)]
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
        "standard_error": float(np.std(errors, ddof=1)) / len(errors) ** 0.5,
        "worst_error": max(errors),
        "aic": sum(aics) / len(aics),
    }
