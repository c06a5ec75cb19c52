"""`python -m analysis.convergence`: what it says of networks that solved their task, did not, or diverged."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from tests.analysis.conftest import OWN
from tests.conftest import Launched, refusal


@pytest.fixture
def converged(place) -> tuple[pd.DataFrame, str]:
    """The table of the tiny experiment and what was printed."""
    launched = Launched((*OWN, "ood.n_trials=8"), place, module="analysis.convergence")
    assert launched.wait() == 0, launched.stderr
    return pd.read_csv(place / "results" / "tiny" / "convergence.csv"), launched.stdout


def test_every_network_of_every_condition_is_counted(converged):
    found, printed = converged
    counts = found[["converged", "unconverged", "diverged", "missing"]]
    assert (counts == [4, 1, 1, 1]).all(axis=None)
    assert len(found) == 2
    assert all(label in printed for label in found["condition"])


def test_a_network_that_never_got_there_is_the_worst(converged, place):
    found, _ = converged
    networks = pd.read_parquet(place / "results" / "tiny" / "networks.parquet")
    for (_, row), (_, group) in zip(found.iterrows(), networks.groupby("condition", sort=False), strict=True):
        assert row["epochs to threshold"] == "1 (never)"
        assert row["final loss"] == f"{group['final_loss'].median():.3g} (never)"
        assert math.isfinite(row["seconds a network"])


def test_an_override_of_training_is_refused(place):
    launched = Launched((*OWN, "width=9"), place, module="analysis.convergence")
    assert launched.wait() == 2
    assert "width" in refusal(launched)
