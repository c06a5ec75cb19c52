"""Cells: agreement with torch, constraints on the recurrent matrix, and states."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import nn

from degen.errors import BadInputError
from degen.metrics.fixed_points import fixed_points
from degen.models import LSTM, Parameters
from degen.streams import Stream
from degen.training.gradients import loss_and_gradients
from tests.composed import files
from tests.conftest import build
from tests.models.flip_flops import drawn
from tests.training.members import SMALL, trained

every_cell = pytest.mark.parametrize("cell", files("parameterization"))


# torch ------------------------------------------------------------------------------------------------------

TORCH = {
    "standard": nn.RNN,
    "relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}


def torchs_cell(cell: str, weights: Parameters) -> tuple[nn.Module, nn.Module]:
    """Torch's network with the weights of the first network."""
    module, readout = TORCH[cell](3, 10, batch_first=True).double(), nn.Linear(10, 3).double()
    bias = torch.zeros_like(weights["bias"][0])
    if cell == "gru":
        bias[20:] = weights["recurrent_bias"][0]
    values = {"weight_ih_l0": weights["input"][0], "weight_hh_l0": weights["recurrent"][0]}
    module.load_state_dict(values | {"bias_ih_l0": weights["bias"][0], "bias_hh_l0": bias})
    readout.load_state_dict({"weight": weights["output"][0], "bias": weights["output_bias"][0]})
    return module, readout


@pytest.mark.parametrize("cell", TORCH)
def test_activations_outputs_and_gradients_equal_torchs(cell):
    condition, weights, trials = drawn(cell, "gamma=2")
    module, readout = torchs_cell(cell, weights)
    hidden, _ = module(trials.inputs[0])
    outputs = readout(hidden) / 2
    assert torch.allclose(condition.model.unroll(weights, trials)[0], hidden, rtol=0, atol=1e-13)
    assert torch.allclose(condition.model(weights, trials)[0], outputs, rtol=0, atol=1e-13)
    nn.functional.mse_loss(outputs, trials.targets[0]).backward()
    result = loss_and_gradients(condition.model, condition.regularizer, weights, trials).gradients
    expected = {
        "recurrent": module.weight_hh_l0.grad,
        "input": module.weight_ih_l0.grad,
        "bias": module.bias_ih_l0.grad,
        "output": readout.weight.grad,
        "output_bias": readout.bias.grad,
    } | ({"recurrent_bias": module.bias_hh_l0.grad[20:]} if cell == "gru" else {})
    assert set(expected) == set(weights)
    for name, gradient in expected.items():
        assert gradient.abs().max() > 0
        assert torch.allclose(result[name][0], gradient, rtol=1e-11, atol=1e-14), name


@pytest.mark.parametrize("cell", ["relu", "softplus", "gru", "lstm"])
def test_initial_weights_are_torchs(cell):
    condition = build(f"parameterization={cell}", "width=100")
    weights = condition.model.initialize(condition.task, Stream.named([0], "test", dtype=torch.float64))
    every = torch.cat([array.flatten() for array in weights.values()])
    assert stats.kstest(every.numpy(), stats.uniform(-0.1, 0.2).cdf).pvalue > 1e-3


# All cells --------------------------------------------------------------------------------------------------


@every_cell
def test_shapes_are_those_of_the_contract(cell):
    condition, weights, trials = drawn(cell, "task=path_integration", "task.start=hidden_state")
    model, blocks = condition.model, {"gru": 3, "lstm": 4}.get(cell, 1)
    state = model.initial_hidden(weights, trials)
    assert state.shape == (2, 5, model.state_size)
    assert model.step(weights, state, trials.inputs[:, :, 0]).shape == state.shape
    assert model.unroll_states(weights, trials).shape == (2, 5, 12, model.state_size)
    assert model.unroll(weights, trials).shape == (2, 5, 12, 10)
    assert model.recurrent(weights).shape == (2, 10 * blocks, 10)
    assert all(weights[name].shape[0] == 2 for name in weights)


@every_cell
def test_the_label_of_a_condition_names_the_cell(cell):
    assert build(f"parameterization={cell}").label.startswith(f"3bit-{cell}-n128")


def test_fixed_points_of_an_lstm_are_of_the_full_state():
    """Without weights, i = f = o = 1/2 and g = tanh(b): c = tanh(b), h = tanh(c) / 2."""
    model, n = LSTM(width=3, gamma=1.0), 3
    bias = torch.zeros(1, 4 * n, dtype=torch.float64)
    bias[0, 2 * n : 3 * n] = torch.tensor([0.3, -0.5, 0.0])
    weights = {
        "recurrent": torch.zeros(1, 4 * n, n, dtype=torch.float64),
        "input": torch.zeros(1, 4 * n, 1, dtype=torch.float64),
        "bias": bias,
    }
    silent = torch.zeros(1, 1, 1, dtype=torch.float64)
    points = fixed_points(
        lambda states: model.step(weights, states.unsqueeze(0), silent)[0], torch.ones(2, 2 * n)
    )
    cell = torch.tanh(bias[0, 2 * n : 3 * n])
    assert torch.allclose(points.states[0], torch.cat((torch.tanh(cell) / 2, cell)), atol=1e-10)
    # The eigenvalues of c are f = 1/2; h follows c at once.
    assert torch.allclose(
        points.eigenvalues[0].abs(), torch.tensor([0.5] * 3 + [0.0] * 3).double(), atol=1e-9
    )


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_penalties_of_a_gated_cell_are_summed_over_its_blocks(cell):
    for regularizer, norm in (("nuclear_norm", "nuc"), ("l1", None)):
        condition, weights, trials = drawn(cell, f"regularizer={regularizer}", "regularizer.strength=0.5")
        result = loss_and_gradients(condition.model, condition.regularizer, weights, trials).penalties
        for penalty, matrix in zip(result, weights["recurrent"], strict=True):
            blocks = matrix.split(10)
            norms = [torch.linalg.matrix_norm(block, norm) if norm else block.abs().sum() for block in blocks]
            assert penalty.item() == pytest.approx(0.5 * sum(norms).item(), rel=1e-12)


# Constraints ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "fraction", "excitatory"), [(10, 0.8, 8), (9, 0.5, 4), (2, 0.6, 1)])
def test_signs_of_units_follow_dales_law_and_never_change(width, fraction, excitatory):
    options = (f"parameterization.excitatory_fraction={fraction}", f"width={width}")
    condition = build(*SMALL, "parameterization=dale", *options, "training.optimizer.learning_rate=0.1")
    (member,) = trained(condition, [0]).values()
    for weights in (member.initial, member.parameters):
        signs = condition.model.recurrent(weights)[0].sign()
        assert (signs[:, :excitatory] >= 0).all()
        assert (signs[:, excitatory:] <= 0).all()
    if width == 10:
        # Weights reached zero and returned with their sign. Without the constraint it would have changed.
        assert (member.parameters["recurrent"] < 0).any()


def test_initial_excitation_and_inhibition_are_balanced():
    condition = build("parameterization=dale", "width=200")
    weights = condition.model.initialize(condition.task, Stream.named([0], "test", dtype=torch.float64))
    matrix = condition.model.recurrent(weights)[0]
    variance = matrix.var(dim=0).mean().item()
    assert variance == pytest.approx(1 / (3 * 200), rel=0.02)
    # A sum of 200 entries of this variance has the standard deviation 0.58; excitation alone sums to 8.
    assert matrix.sum(dim=1).mean().abs() < 4 * (200 * variance) ** 0.5 / 200**0.5
    assert matrix[:, :160].sum(dim=1).mean() > 3


def test_low_rank_weights_keep_their_rank_in_training():
    condition = build(*SMALL, "parameterization=low_rank", "parameterization.rank=2", "dtype=float64")
    (member,) = trained(condition, [0]).values()
    for weights in (member.initial, member.parameters):
        left, right = weights["recurrent"][0]
        matrix = condition.model.recurrent(weights)[0]
        assert torch.allclose(
            matrix, sum(torch.outer(left[:, k], right[:, k]) for k in range(2)) / 6, rtol=1e-12
        )
        assert torch.linalg.matrix_rank(matrix) == 2
    assert not torch.equal(member.initial["recurrent"], member.parameters["recurrent"])


# Noise ------------------------------------------------------------------------------------------------------


# Arguments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "override", "allowed"),
    [
        ("dale", "parameterization.excitatory_fraction=0", "above 0"),
        ("dale", "parameterization.excitatory_fraction=1.5", "at most 1"),
        ("dale", "parameterization.excitatory_fraction=0.99", "at least one unit of either sign"),
        ("low_rank", "parameterization.rank=0", "an integer of at least 1"),
        ("low_rank", "parameterization.rank=11", "at most width = 10"),
        ("noisy", "parameterization.noise_std=-0.1", "of at least 0"),
        ("noisy", "leak_rate=0", "above 0"),
    ],
)
def test_a_bad_argument_is_rejected_with_what_is_allowed(cell, override, allowed):
    field, _, value = override.removeprefix("parameterization.").partition("=")
    with pytest.raises(
        BadInputError, match=rf"^parameterization\.{field} must be .*{allowed}.*, got {value}(\.0)?\.$"
    ):
        build(f"parameterization={cell}", "width=10", override)
