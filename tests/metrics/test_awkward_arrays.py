"""Arrays in unusual layouts and at unusual scales."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from degen.errors import BadInputError
from degen.metrics import dsa, ntk, representation
from degen.metrics.arrays import to_tensor
from degen.metrics.fixed_points import fixed_points
from degen.models import Standard
from degen.streams import Stream
from tests.conftest import task


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[:, ::-1],
        lambda x: x.astype(">f8"),
        lambda x: np.asfortranarray(x),
        lambda x: x.astype(np.longdouble),
        lambda x: x.astype(np.float16).astype(np.float64),
    ],
    ids=["negative strides", "big-endian", "column order", "long double", "plain"],
)
def test_layout_of_an_array_does_not_matter(change):
    activations = change(np.random.default_rng(0).normal(size=(2, 40, 4)))
    read_only = activations.view()
    read_only.flags.writeable = False
    plain = np.array(activations, dtype=np.float64, order="C")
    for array in (activations, read_only):
        assert np.array_equal(representation.cka(array), representation.cka(plain))
        assert torch.equal(to_tensor("x", array, 3), torch.from_numpy(plain))


@pytest.mark.parametrize(
    ("values", "got"),
    [
        (np.array(["a", "b"]), "ndarray of <U1"),
        (np.array([None, 1.0]), "ndarray of object"),
        (np.ma.masked_array([1.0, 2.0], mask=[False, True]), "MaskedArray of float64"),
        (np.array([1j, 2.0]), "torch.complex128"),
    ],
)
def test_arrays_that_are_not_real_numbers_are_rejected(values, got):
    with pytest.raises(BadInputError, match=f"^x entries must be real numbers.*, got '{got}'"):
        to_tensor("x", values, 1)


def test_rank_counts_only_windows_that_have_a_next_one():
    # Units 2 and 3 are active at the last step only, so nothing follows their states.
    generator = np.random.default_rng(0)
    states = np.zeros((8, 12, 4))
    states[..., :2] = generator.normal(size=(8, 12, 2))
    states[:, -1, 2:] = generator.normal(size=(8, 2))
    rotation = np.linalg.qr(generator.normal(size=(4, 4)))[0]
    networks = [states, states @ rotation]
    with pytest.raises(BadInputError, match=r"^rank must be at most 3, .*that have a successor, got 4"):
        dsa.operators(networks, dsa.Hyperparameters(n_components=4, lag=1, rank=4))
    fitted = dsa.operators(networks, dsa.Hyperparameters(n_components=4, lag=1, rank=2))
    assert dsa.distance_matrix(fitted, seed=0)[0, 1] < 1e-3


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e10])
def test_kernel_alignment_ignores_the_scale_of_outputs(scale):
    generator = torch.Generator().manual_seed(0)
    before, after = ({"w": torch.randn(2, 3, 3, generator=generator)} for _ in range(2))

    def alignment(factor: float) -> np.ndarray:
        def outputs(parameters):
            return (factor * torch.tanh(parameters["w"].sum(dim=-1))).unsqueeze(1)

        return ntk.kernel_alignment(outputs, before, after, n_trials=4, weights=["w"], times=[0])

    assert alignment(scale) == pytest.approx(alignment(1.0), rel=1e-5)


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
@pytest.mark.parametrize("metric", [representation.svcca, representation.cka, representation.procrustes])
def test_representation_metrics_ignore_the_scale_of_activations(metric, scale):
    activations = np.random.default_rng(0).standard_normal((3, 40, 5))
    assert metric(scale * activations) == pytest.approx(metric(activations), abs=1e-12)


def test_estimated_alignment_of_orthogonal_probes_is_rejected():
    weights = {"w": torch.ones(1, 2, dtype=torch.float64)}
    arguments = (lambda p: p["w"].reshape(1, 1, -1)), weights, weights
    with pytest.raises(BadInputError, match=r"^probes must be more than the kernel needs"):
        ntk.estimated_alignment(*arguments, weights=["w"], probes=3, seed=0)


def test_fixed_points_reject_a_step_in_single_precision():
    model = Standard(width=8, gamma=1.0)
    weights = model.initialize(task("task.channels=1"), Stream.named([0], "w"))

    def step(states):
        return model.step(weights, states.unsqueeze(0), torch.zeros(1, 1, 1))[0]

    with pytest.raises(BadInputError, match=r"^step must be a function of float64 states; convert "):
        fixed_points(step, torch.rand(5, 8))
    with pytest.raises(BadInputError, match=r"^step must be a map to states of equal shape, got"):
        fixed_points(lambda states: states[:, :1], torch.rand(5, 8))
