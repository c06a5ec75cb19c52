"""Versions of metrics: stored matrices are computed again only if the version changes."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from analysis.metrics import DSA, PIF, SVCCA, LiteralDSA, Metric, WeightedDSA
from degen.streams import Stream
from tests.analysis.conftest import OWN, SMALL
from tests.conftest import Launched, build

LAGS = {"score": "angular", "lowest_lag": 1, "highest_lag": 2, "variance": 0.99, "seed": 0}
SELECTION = LAGS | {"ranks": [3, 5], "components": "most", "held_out": 0.25}
WEIGHTED = {"score": "angular", "variance": 0.99, "seed": 0}
INITIAL = {"weights": "initial_recurrent", "solver": "faq", "seed": 0}

PINNED: list[tuple[str, Metric, int, list[float]]] = [
    ("dsa", DSA(controlled=False, **SELECTION), 2, [0.3242802, 0.7854915, 0.7018292]),
    ("input_dsa", DSA(controlled=True, **SELECTION), 2, [0.6354713, 0.946036, 0.8675496]),
    ("dsa_literal", LiteralDSA(max_rank=20, first_networks=3, **LAGS), 2, [0.4088635, 0.5288985, 0.56869968]),
    (
        "dsa_weighted",
        WeightedDSA(form="map", controlled=False, **WEIGHTED),
        1,
        [0.4219777, 1.0253043, 0.913358],
    ),
    ("dsa_flow", WeightedDSA(form="flow", controlled=False, **WEIGHTED), 1, [0.2621424, 0.456892, 0.4845571]),
    (
        "input_dsa_weighted",
        WeightedDSA(form="map", controlled=True, **WEIGHTED),
        1,
        [0.555914, 1.0431241, 0.9507038],
    ),
    (
        "dsa_geometry",
        WeightedDSA(form="geometry", controlled=False, **WEIGHTED),
        1,
        [0.0952008, 0.2128431, 0.2907184],
    ),
    ("pif", PIF(aligned=True, signs=False, **INITIAL), 2, [4.2092106, 4.3392218, 4.4420194]),
    ("pif_unaligned", PIF(aligned=False, signs=False, **INITIAL), 2, [5.6993314, 5.8241989, 5.4500386]),
    ("pif_signed", PIF(aligned=True, signs=True, **INITIAL), 2, [4.200341, 4.0510871, 4.0564163]),
    ("svcca", SVCCA(variance=0.99), 1, [0.4289056, 0.5685256, 0.5136499]),
]


@pytest.mark.parametrize(
    ("metric", "version", "pinned"), [row[1:] for row in PINNED], ids=[r[0] for r in PINNED]
)
def test_a_metric_that_finds_other_numbers_has_another_version(metric, version, pinned):
    """Distances 0-1, 0-2 and 1-2 of three untrained networks.

    If this fails because the solver is better, raise the metric's `version`, and write the version and the
    new numbers here. Solvers iterate from random initializations, hence the tolerance.
    """
    assert metric.version == version
    condition = build("task=flip_flop", "task.n_steps=30", "width=12", "dtype=float64")
    names = {"dtype": torch.float64}
    weights = condition.model.initialize(condition.task, Stream.named(range(3), "pinned weights", **names))
    weights["recurrent"] *= 2.0
    trials = condition.task.generate(12, Stream.named([0], "pinned trials", **names))
    trials = trials.map(lambda array: array.expand(3, *array.shape[1:]))
    states = {
        "hidden": condition.model.unroll(weights, trials),
        "inputs": trials.inputs[0],
        "initial_recurrent": weights["recurrent"],
    }
    selection = {} if metric.selection_options is None else metric.selected(metric.select(states["hidden"]))
    matrix = metric.distances(states, selection).matrix
    assert matrix[np.triu_indices(3, 1)].tolist() == pytest.approx(pinned, rel=1e-4)


def _newer() -> None:
    SVCCA.version = 99


def test_another_version_computes_that_metric_anew(workspace):
    launched = Launched((*OWN, *SMALL), workspace, before=_newer, module="analysis.__main__")
    assert launched.wait() == 0, launched.stderr
    assert re.findall(r"distances: (\w+) of 2 conditions, 2 of them new", launched.stdout) == ["svcca"]
