"""Recurrent layers from a `state_dict`: equal to the module that it comes from, and rejected otherwise."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from degen import run_state_dict
from degen.errors import BadInputError

INPUTS = torch.randn(4, 12, 3, generator=torch.Generator().manual_seed(0))
NETWORKS = {
    "RNN": lambda: nn.RNN(3, 7, batch_first=True),
    "ReLU": lambda: nn.RNN(3, 7, batch_first=True, nonlinearity="relu"),
    "without bias": lambda: nn.RNN(3, 7, batch_first=True, bias=False),
    "GRU": lambda: nn.GRU(3, 7, batch_first=True),
    "LSTM": lambda: nn.LSTM(3, 7, batch_first=True),
    "float64": lambda: nn.GRU(3, 7, batch_first=True, dtype=torch.float64),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_hidden_states_equal_those_of_the_module(name):
    network = NETWORKS[name]()
    run = run_state_dict(network.state_dict(), INPUTS, nonlinearity=getattr(network, "nonlinearity", "tanh"))
    expected = network(INPUTS.to(network.weight_hh_l0.dtype))[0]
    torch.testing.assert_close(run.hidden, expected, atol=0, rtol=0)
    assert torch.equal(run.recurrent, network.weight_hh_l0)
    assert not run.hidden.requires_grad
    assert not run.recurrent.requires_grad


def test_recurrent_weights_advance_a_network_without_inputs():
    network = nn.RNN(3, 7, batch_first=True, bias=False)
    inputs = INPUTS.clone()
    inputs[:, 1:] = 0
    hidden, recurrent = run_state_dict(network.state_dict(), inputs)
    torch.testing.assert_close(hidden[:, 5], torch.tanh(hidden[:, 4] @ recurrent.mT))


def test_layers_are_concatenated():
    network = nn.GRU(3, 7, num_layers=3, batch_first=True)
    hidden, recurrent = run_state_dict(network.state_dict(), INPUTS)
    assert hidden.shape == (4, 12, 21)
    assert recurrent is None
    torch.testing.assert_close(hidden[..., 14:], network(INPUTS)[0])
    first = nn.GRU(3, 7, batch_first=True)
    first.load_state_dict({name: w for name, w in network.state_dict().items() if name.endswith("_l0")})
    torch.testing.assert_close(hidden[..., :7], first(INPUTS)[0])


def test_a_recurrent_layer_inside_a_module_is_found():
    network = nn.ModuleDict({"core": nn.GRU(3, 7, batch_first=True), "readout": nn.Linear(7, 2)})
    hidden = run_state_dict(network.state_dict(), INPUTS).hidden
    torch.testing.assert_close(hidden, network["core"](INPUTS)[0])


def test_one_of_two_recurrent_modules_is_selected():
    network = nn.ModuleDict({"a": nn.GRU(3, 7, batch_first=True), "b": nn.RNN(3, 5, batch_first=True)})
    hidden = run_state_dict(network.state_dict(), INPUTS, prefix="b.").hidden
    torch.testing.assert_close(hidden, network["b"](INPUTS)[0])


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.RNN(3, 7, bidirectional=True), "state_dict must be of a network with one direction"),
        (nn.LSTM(3, 7, proj_size=2), "state_dict must be of a network with one direction and without proj"),
        (
            nn.Linear(3, 2),
            "entries of state_dict must be of nn.RNN, nn.GRU or nn.LSTM, with weight_hh",
        ),
        (nn.GRU(2, 7), "inputs shape must be (trials, time, 2), as the input weights (21, 2) require, got"),
        (nn.ModuleDict({"a": nn.GRU(3, 7), "b": nn.RNN(3, 7)}), "prefix must be one of 'a.', 'b.', got None"),
    ],
)
def test_other_networks_are_rejected(network, message):
    with pytest.raises(BadInputError, match="^" + re.escape(message)):
        run_state_dict(network.state_dict(), INPUTS)


def test_weights_that_do_not_fit_each_other_are_rejected():
    weights = nn.GRU(3, 7).state_dict()
    with pytest.raises(BadInputError, match="shapes of a layer must fit each other"):
        run_state_dict({**weights, "bias_hh_l0": torch.zeros(5)}, INPUTS)
    with pytest.raises(BadInputError, match="divided by its columns must be one of 1, 3, 4"):
        run_state_dict({**weights, "weight_hh_l0": torch.zeros(14, 7)}, INPUTS)
    del weights["weight_ih_l0"]
    with pytest.raises(BadInputError, match="must contain input weights"):
        run_state_dict(weights, INPUTS)
