"""Input that a comparison rejects in one sentence."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import degen
from degen.errors import BadInputError
from degen.metrics import dsa
from tests.comparison.rotating import FAST, INPUTS, SLOW, WEIGHTS


def changed(index: tuple[int, ...], value: float) -> list[np.ndarray]:
    states = np.stack(FAST[:4])
    states[index] = value
    return list(states)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": [FAST]}, "hidden must be a dict with an entry for each group, such as {'GRU': ..."),
        ({"hidden": {}}, "number of networks must be at least 2 to compute a distance, got 0"),
        (
            {"hidden": {"a": FAST[0]}},
            "hidden of 'a' must be an array (networks, trials, time, units) or a list",
        ),
        ({"hidden": {"a": []}}, "networks of 'a' must be at least 1, got 0"),
        ({"hidden": {"a": FAST[:1]}}, "number of networks must be at least 2"),
        ({"hidden": {"a": [FAST[0], FAST[1][0]]}}, "hidden of network 1 of 'a' shape must be of 3 axes"),
        (
            {"hidden": {"b": SLOW, "a": changed((1, 2, 3, 4), np.nan)}},
            "hidden of network 1 of 'a' must be finite",
        ),
        ({"hidden": {"a": changed((2,), 1.0)}}, "hidden of network 2 of 'a' must be varying"),
        ({"hidden": {"a": [FAST[0], FAST[1][:1]]}}, "trials of network 1 of 'a' must be at least 2, got 1"),
        ({"weights": {"b": WEIGHTS}}, "groups of weights must be one of a, got 'b'"),
        ({"weights": WEIGHTS}, "weights must be a dict with an entry for each group"),
        ({"weights": {"a": WEIGHTS}}, "weights of 'a' must be one for each of 4 networks, got 5"),
        (
            {"weights": {"a": np.ones((4, 5, 2))}},
            "metric pif: recurrent weights of network 0 of 'a' must be of shape (units, units) or (gates",
        ),
        (
            {"weights": {"a": [np.eye(2), np.eye(2), np.eye(3), np.eye(2)]}},
            "metric pif: recurrent weights must be of one size for all networks, got (2, 2)",
        ),
        ({"losses": {"a": [1, 2, np.inf, 3]}}, "loss of network 2 of 'a' must be a finite number, got inf"),
        ({"losses": {"a": torch.ones(4, 2)}}, "loss of network 0 of 'a' must be a finite number"),
        ({"losses": {"a": 0.1}}, "losses of 'a' must be one for each of 4 networks, got 'a number'"),
        ({"inputs": INPUTS[:3]}, "trials and time steps of inputs must be (30, 20), as of network 0 of 'a'"),
        ({"metrics": ["psi"]}, "metrics must be one of dsa, input_dsa, svcca, pif, losses, got 'psi'"),
        (
            {"metrics": "dsa"},
            "metrics must be a list of dsa, input_dsa, svcca, pif, losses, such as ['dsa'], got",
        ),
        (
            {"hyperparameters": {"n_components": 2, "lag": 1, "rank": 2}},
            "hyperparameters must be dsa.Hyperparameters(n_components=..., lag=..., rank=...)",
        ),
        ({"metrics": []}, "metrics must be one or more of dsa"),
        ({"metrics": ["pif"]}, "metric pif: recurrent weights must be given for at least 2 networks, got 0"),
        ({"metrics": ["input_dsa"]}, "metric input_dsa: inputs must be given for at least 2 networks, got 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        (
            {"hyperparameters": dsa.Hyperparameters(n_components=7, lag=1, rank=2)},
            "n_components must be at most the 5 units of network 0 of 'a', got 7",
        ),
        (
            {"hyperparameters": dsa.Hyperparameters(n_components=2, lag=20, rank=2)},
            "lag must be below the 20 time steps of network 0 of 'a', got 20",
        ),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(BadInputError, match="^" + re.escape(message)) as error:
        degen.compare(**{"hidden": {"a": FAST[:4]}, **arguments})
    assert "\n" not in str(error.value)
