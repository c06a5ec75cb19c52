"""Metrics of weights as the analysis uses them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.metrics import BalancedPIF, build_metric
from degen.errors import BadInputError
from launch.config import compose
from tests.conftest import build


@pytest.fixture(scope="module")
def node():
    return compose("analyze", ["experiment=demo", "metric=[pif_balanced]"])["metrics"]["pif_balanced"]


def test_balanced_pif_ignores_scales_of_units(node):
    _, metric = build_metric(
        "pif_balanced", node, [build("parameterization=relu"), build("parameterization=dale")]
    )
    assert isinstance(metric, BalancedPIF)
    generator = np.random.default_rng(0)
    weights, scales = generator.standard_normal((8, 8)), np.exp(generator.standard_normal(8))
    pair = torch.from_numpy(np.stack([weights, scales[:, None] * weights / scales]))
    states = {"recurrent": pair, "hidden": torch.zeros(2, 1, 1, 8)}
    assert metric.distances(states, {}).matrix == pytest.approx(np.zeros((2, 2)), abs=1e-6)


def test_balanced_pif_needs_a_homogeneous_nonlinearity(node):
    with pytest.raises(BadInputError, match=r"must be analysis\.metrics\.PIF for Standard networks"):
        build_metric("pif_balanced", node, [build("width=8")])
