"""Initial weights, scales and the role of gamma (`docs/specification.md`, section 3)."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from degen.errors import BadInputError
from degen.streams import Stream
from tests.composed import files
from tests.conftest import build

FLIP_FLOP = ("task=flip_flop", "task.channels=4")
PATH = ("task=path_integration", "task.start=hidden_state")


def initial(*overrides: str) -> dict[str, torch.Tensor]:
    condition = build(*overrides)
    return condition.model.initialize(condition.task, Stream.named([0, 1], "test", dtype=torch.float64))


@pytest.mark.parametrize("task", [FLIP_FLOP, PATH])
@pytest.mark.parametrize("width", [25, 400])
def test_standard_weights_are_uniform_within_their_bound(task, width):
    weights = initial(*task, f"width={width}")
    n_inputs, n_outputs = (4, 4) if task is FLIP_FLOP else (2, 2)
    shapes = {
        "recurrent": (2, width, width),
        "input": (2, width, n_inputs),
        "bias": (2, width),
        "output": (2, n_outputs, width),
        "output_bias": (2, n_outputs),
    } | ({"encoder": (2, width, 2)} if task is PATH else {})
    assert {name: tuple(array.shape) for name, array in weights.items()} == shapes
    bound = width**-0.5
    every = torch.cat([array.flatten() for array in weights.values()])
    assert every.abs().max() <= bound
    for array in (every, weights["recurrent"].flatten(), weights["input"].flatten()):
        assert stats.kstest(array.numpy(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3


@pytest.mark.parametrize("task", [FLIP_FLOP, PATH])
@pytest.mark.parametrize("width", [25, 400])
def test_mup_weights_are_normal_with_their_variances(task, width):
    weights = initial(*task, f"width={width}", "parameterization=mup", "input_std=0.3")
    names = {"recurrent", "input", "output"} | ({"encoder"} if task is PATH else set())
    assert set(weights) == names
    for name, array in weights.items():
        deviation = {"recurrent": width**0.5, "input": 0.3}.get(name, 1.0)
        assert stats.kstest(array.flatten().numpy(), stats.norm(0, deviation).cdf).pvalue > 1e-3


@pytest.mark.parametrize("parameterization", ["standard", "mup"])
def test_networks_and_matrices_have_different_weights(parameterization):
    weights = initial(*FLIP_FLOP, "width=16", f"parameterization={parameterization}")
    every = torch.cat([array.flatten() for array in weights.values()])
    assert len(every.unique()) == len(every)


def test_effective_recurrent_matrix_of_each_parameterization():
    for parameterization, divisor in (("standard", 1), ("mup", 16)):
        condition = build(*FLIP_FLOP, "width=16", f"parameterization={parameterization}")
        weights = initial(*FLIP_FLOP, "width=16", f"parameterization={parameterization}")
        assert torch.equal(condition.model.recurrent(weights), weights["recurrent"] / divisor)


@pytest.mark.parametrize("parameterization", ["standard", "mup"])
def test_gamma_scales_only_output_and_learning_rate(parameterization):
    unscaled, scaled = (
        build(*PATH, "width=9", f"parameterization={parameterization}", f"gamma={gamma}") for gamma in (1, 3)
    )
    stream = [Stream.named([0], "test", dtype=torch.float64) for _ in range(3)]
    weights, same_weights = (
        unscaled.model.initialize(unscaled.task, stream[0]),
        scaled.model.initialize(scaled.task, stream[1]),
    )
    assert all(torch.equal(weights[name], same_weights[name]) for name in weights)
    trials = unscaled.task.generate(5, stream[2])
    assert torch.equal(unscaled.model.unroll(weights, trials), scaled.model.unroll(weights, trials))
    assert torch.allclose(unscaled.model(weights, trials), 3 * scaled.model(weights, trials), rtol=1e-14)
    assert scaled.model.learning_rate(0.01) == 3 * unscaled.model.learning_rate(0.01) == pytest.approx(0.03)


@pytest.mark.parametrize("parameterization", ["standard", "mup"])
def test_the_hidden_state_starts_at_zero_or_at_the_encoded_start(parameterization):
    for overrides in (FLIP_FLOP, PATH):
        condition = build(*overrides, "width=9", f"parameterization={parameterization}")
        weights = initial(*overrides, "width=9", f"parameterization={parameterization}")
        trials = condition.task.generate(3, Stream.named([0, 1], "test", dtype=torch.float64))
        hidden = condition.model.initial_hidden(weights, trials)
        assert hidden.shape == (2, 3, 9)
        if overrides is FLIP_FLOP:
            assert (hidden == 0).all()
        else:
            expected = torch.einsum("smi,sni->smn", trials.start, weights["encoder"])
            assert torch.allclose(hidden, expected, rtol=1e-13)


def test_mup_with_leak_rate_one_depends_on_rates_only():
    condition = build(*FLIP_FLOP, "width=9", "parameterization=mup")
    weights, model = initial(*FLIP_FLOP, "width=9", "parameterization=mup"), condition.model
    hidden = Stream.named([0, 1], "hidden", dtype=torch.float64).normal(3, 9)
    inputs = Stream.named([0, 1], "inputs", dtype=torch.float64).normal(3, 4)
    expected = torch.tanh(hidden) @ weights["recurrent"].mT / 9 + inputs @ weights["input"].mT
    assert torch.allclose(model.step(weights, hidden, inputs), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ("width=0", "width"),
        ("width=1.5", "width"),
        ("gamma=0", "gamma"),
        ("gamma=-1", "gamma"),
        ("gamma=inf", "gamma"),
        ("gamma=nan", "gamma"),
        ("leak_rate=0", "leak_rate"),
        ("leak_rate=1.01", "leak_rate"),
        ("input_std=0", "input_std"),
        ("parameterization.initial_gain=0", "initial_gain"),
        ("parameterization.initial_rank=-1", "initial_rank"),
        ("parameterization.initial_rank=129", "initial_rank"),
    ],
)
def test_a_bad_argument_names_field_value_and_allowed_values(override, field):
    with pytest.raises(BadInputError) as caught:
        build("parameterization=mup", override)
    assert (
        str(caught.value)
        .removeprefix("parameterization.")
        .startswith(f"{field.removeprefix('parameterization.')} must be a")
    )
    assert "got" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cell", files("parameterization"))
def test_the_initial_gain_scales_the_recurrent_matrix_only(cell):
    options = (*FLIP_FLOP, f"parameterization={cell}", "width=16")
    model, weights = build(*options).model, initial(*options)
    scaled = initial(*options, "parameterization.initial_gain=1.7")
    assert torch.allclose(model.recurrent(scaled), 1.7 * model.recurrent(weights), rtol=1e-14)
    assert all(torch.equal(weights[name], scaled[name]) for name in weights if name != "recurrent")


@pytest.mark.parametrize("cell", sorted({*files("parameterization")} - {"dale", "low_rank"}))
def test_initial_rank_preserves_norm_and_leading_directions(cell):
    options = (*FLIP_FLOP, f"parameterization={cell}", "width=16")
    model, full = build(*options).model, initial(*options)
    low = initial(*options, "parameterization.initial_rank=3", "parameterization.initial_gain=2")
    for before, after in zip(model.recurrent(full), model.recurrent(low), strict=True):
        for block, result in zip(before.split(16), after.split(16), strict=True):
            assert torch.linalg.matrix_rank(result) == 3
            norms = torch.linalg.matrix_norm(torch.stack((block, result)))
            assert norms[1].item() == pytest.approx(2 * norms[0].item(), rel=1e-12)
            # The best approximation of rank 3, up to a factor (Eckart & Young), has the largest cosine.
            cosine = (block * result).sum() / norms.prod()
            best = torch.linalg.svdvals(block)[:3].square().sum().sqrt() / norms[0]
            assert cosine.item() == pytest.approx(best.item(), rel=1e-12)
    assert all(torch.equal(full[name], low[name]) for name in full if name != "recurrent")
