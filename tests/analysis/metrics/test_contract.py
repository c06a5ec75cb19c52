"""The check of a user's metric before anything is measured."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.metrics import PIF, SVCCA, Distances, Metric
from analysis.metrics.contract import require_valid
from degen.errors import BadInputError
from degen.metrics.dsa import HalfDistances
from tests.conftest import build

CONDITION = build("task.n_steps=20", "width=8")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Own(Metric):
    """A metric with a fault that is chosen by name."""

    fault: str = ""

    @property
    def level(self) -> str:
        return "dynamic" if self.fault == "level" else "dynamics"

    @property
    def selection_options(self) -> dict[str, Any] | None:
        return {} if self.fault == "two selected" else None

    def select(self, hidden) -> pd.DataFrame:
        return pd.DataFrame({"lag": [1, 2], "selected": [True, True]})

    def distances(self, states, hyperparameters) -> Any:
        means = states["hidden"].double().mean(dim=(1, 2, 3)).numpy()
        matrix = np.abs(means[:, None] - means)
        if self.fault == "signed":
            matrix = means[:, None] - means
        if self.fault == "triangle":
            matrix = np.triu(matrix)
        if self.fault == "pairs":
            matrix = matrix[np.triu_indices(len(matrix), 1)]
        if self.fault == "similarity":
            matrix = 1 / (1 + matrix)
        if self.fault == "NaN":
            matrix = matrix / matrix
        if self.fault == "tensor":
            return states["hidden"]
        if self.fault == "unknown array":
            return Distances(states["weights"].numpy())
        if self.fault == "more trials":
            raise BadInputError("trials must be at least 100.")
        halves = HalfDistances(np.zeros(2), np.zeros(2))
        return Distances(matrix, halves if self.fault == "halves of two" else None)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("level", r"Own.level must be one of dynamics, weights, representation, got 'dynamic'\.$"),
        ("two selected", r"Own.select must be .* whose column selected is True in one row, got 'DataFrame'"),
        ("signed", r"Own.distances must be a function that returns finite distances of at least 0"),
        (
            "triangle",
            r"Own.distances must be a function that returns a symmetric matrix with a diagonal of 0",
        ),
        ("pairs", r"Own.distances must be .* NumPy matrix of shape \(3, 3\) for 3 networks, got \(3,\)\.$"),
        ("similarity", r"Own.distances must be .* symmetric matrix with a diagonal of 0"),
        ("NaN", r"Own.distances must be a function that returns finite distances"),
        ("tensor", r"Own.distances must be a function that returns Distances, got 'Tensor'\.$"),
        ("unknown array", r"Own.distances must not fail, got KeyError: 'weights' \(.*, line \d+\)\.$"),
        (
            "halves of two",
            r"Own.distances must be a function whose distances of halves have shape \(3,\) .*, got \(2,\)\.$",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_faulty_metric_is_rejected_in_one_sentence(fault, sentence):
    with pytest.raises(BadInputError, match=f"^{sentence}"):
        require_valid(Own(fault=fault), CONDITION)


@pytest.mark.parametrize(
    "metric",
    [
        Own(),
        Own(fault="more trials"),  # it says so in its own words once networks are measured
        SVCCA(variance=0.99),
        PIF(weights="recurrent", aligned=True, signs=False, solver="faq", seed=0),
    ],
    ids=repr,
)
def test_a_metric_that_keeps_the_contract_is_accepted(metric):
    require_valid(metric, CONDITION)
