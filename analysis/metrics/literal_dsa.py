"""Metric of dynamics that takes the wording of the paper literally (`analysis.metrics`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pandas as pd
from torch import Tensor

from analysis.metrics.dynamics import Operators, SelectingMetric, require_lags, selection_table
from analysis.metrics.interface import Hyperparameters
from degen.errors import require, require_choice, require_integer, require_number
from degen.metrics import dsa


@dataclasses.dataclass(frozen=True, kw_only=True)
class LiteralDSA(SelectingMetric):
    """DSA by the paper's wording: trials are joined to one series, and operators have full rank (App. D.1).

    Delay windows cross the borders of trials. The lag with the smallest prediction error is selected.

    Args:
        score: angular, frobenius, normalized or wasserstein.
        lowest_lag, highest_lag: range of candidate delay lags, both ends included. Lags whose full rank
            exceeds `max_rank` are left out.
        max_rank: largest operator that is computed.
        variance: fraction of the variance that the principal components explain.
        first_networks: number of networks of each condition to measure, the first seeds.
        seed: seed of the random initializations.
    """

    score: str
    lowest_lag: int
    highest_lag: int
    max_rank: int
    variance: float
    first_networks: int
    seed: int

    def __post_init__(self) -> None:
        require_choice("score", self.score, dsa.SCORES)
        require_lags(self.lowest_lag, self.highest_lag)
        require_integer("max_rank", self.max_rank, 1)
        require_number("variance", self.variance, above=0.0, maximum=1.0)
        require_integer("first_networks", self.first_networks, 2)
        require_integer("seed", self.seed, 0)

    @property
    def max_networks(self) -> int | None:
        return self.first_networks

    @property
    def selection_options(self) -> dict[str, Any]:
        names = ("lowest_lag", "highest_lag", "max_rank", "variance")
        return {name: getattr(self, name) for name in names}

    def select(self, hidden: Sequence[Tensor]) -> pd.DataFrame:
        selection = dsa.select_hyperparameters(
            _JoinedTrials(hidden, n_series=4),
            lags=range(self.lowest_lag, self.highest_lag + 1),
            ranks=[self.max_rank],
            full_rank=True,
            variance=self.variance,
        )
        return selection_table(selection)

    def fit(self, hidden: Tensor, inputs: Tensor, hyperparameters: Hyperparameters) -> Operators:
        series = hidden.flatten(1, 2).unsqueeze(1)
        return dsa.operators(series, dsa.Hyperparameters(**hyperparameters)), None


class _JoinedTrials(Sequence[Tensor]):
    """Hidden states whose trials are joined to `n_series` long series, the last of which is held out.

    Trials that do not fill the series are left out.
    """

    def __init__(self, hidden: Sequence[Tensor], n_series: int):
        self.hidden, self.n_series = hidden, n_series

    def __len__(self) -> int:
        return len(self.hidden)

    def __getitem__(self, index: Any) -> Any:
        states = self.hidden[index]
        n_trials = len(states) // self.n_series * self.n_series
        require(n_trials > 0, "trials of the probe", len(states), f"at least {self.n_series}")
        return states[:n_trials].unflatten(0, (self.n_series, -1)).flatten(1, 2)
