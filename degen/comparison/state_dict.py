"""Hidden states of `nn.RNN`, `nn.GRU` and `nn.LSTM` from a `state_dict`, without the class of the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from degen.errors import BadInputError, require, require_choice
from degen.metrics.arrays import Array, to_tensor

RECURRENT_WEIGHTS = "weight_hh_l0"
"""Name that PyTorch gives to the recurrent weights of the first layer."""

NONLINEARITIES = ("tanh", "relu")


class StateDictRun(NamedTuple):
    """Hidden states and recurrent weights of a network.

    `hidden`, (trials, time, units), are the hidden states h of all layers, without the cell states of an
    LSTM. `recurrent` are the recurrent weights as PyTorch stores them: (units, units) for `nn.RNN`,
    (3 * units, units) for `nn.GRU` and (4 * units, units) for `nn.LSTM`. None for several layers.
    """

    hidden: Tensor
    recurrent: Tensor | None


def run_state_dict(
    state_dict: Mapping[str, Tensor], inputs: Array, *, nonlinearity: str = "tanh", prefix: str | None = None
) -> StateDictRun:
    """Run the recurrent layers of a `state_dict` on trials, from a hidden state of zero.

    The names and shapes of the entries determine the kind of network, its size and its layers. Other entries,
    such as a readout, are ignored.

    Args:
        state_dict: of a module that contains one `nn.RNN`, `nn.GRU` or `nn.LSTM`.
        inputs: (trials, time, inputs).
        nonlinearity: tanh or relu. A `state_dict` does not contain it. It applies to `nn.RNN` only.
        prefix: start of the names of the recurrent layers, such as "rnn.", if there are several modules.

    Raises:
        BadInputError: no or several recurrent modules, a bidirectional network or projections, or inputs of
            another size.

    Examples:
        >>> network = nn.GRU(input_size=2, hidden_size=8, batch_first=True)
        >>> inputs = torch.randn(5, 30, 2)
        >>> run = run_state_dict(network.state_dict(), inputs)
        >>> run.hidden.shape, run.recurrent.shape
        (torch.Size([5, 30, 8]), torch.Size([24, 8]))
        >>> torch.equal(run.hidden, network(inputs)[0].detach())
        True
    """
    require_choice("nonlinearity", nonlinearity, NONLINEARITIES)
    weights = _recurrent_entries(state_dict, prefix)
    states = to_tensor("inputs", inputs, 3)
    layers, hidden = _split_layers(weights), []
    for parameters in layers:
        states = _run_layer(parameters, states, nonlinearity)
        hidden.append(states)
    recurrent = layers[0][RECURRENT_WEIGHTS].detach() if len(layers) == 1 else None
    return StateDictRun(torch.cat(hidden, dim=-1), recurrent)


def _recurrent_entries(state_dict: Mapping[str, Tensor], prefix: str | None) -> dict[str, Tensor]:
    """Return the entries of the recurrent module, named as in the module itself."""
    ending = RECURRENT_WEIGHTS
    prefixes = tuple(name.removesuffix(ending) for name in state_dict if name.endswith(ending))
    entries = ", ".join(map(str, state_dict)) or "none"
    require(
        len(prefixes) > 0, "entries of state_dict", entries, f"of nn.RNN, nn.GRU or nn.LSTM, with {ending}"
    )
    allowed = f"one of {', '.join(map(repr, prefixes))}"
    require(prefix in prefixes or (prefix is None and len(prefixes) == 1), "prefix", prefix, allowed)
    start = prefixes[0] if prefix is None else prefix
    weights = {name.removeprefix(start): w for name, w in state_dict.items() if name.startswith(start)}
    for name in weights:
        is_plain = not name.endswith("_reverse") and not name.startswith("weight_hr_l")
        require(
            is_plain,
            "state_dict",
            name,
            "of a network with one direction and without projections (proj_size)",
        )
    return weights


def _split_layers(weights: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return the entries of each layer, named as in a module of one layer."""
    layers: list[dict[str, Tensor]] = []
    while f"weight_hh_l{len(layers)}" in weights:
        index, kinds = len(layers), ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        names = {f"{kind}_l0": f"{kind}_l{index}" for kind in kinds}
        layers.append({own: weights[name] for own, name in names.items() if name in weights})
    return layers


def _run_layer(parameters: dict[str, Tensor], inputs: Tensor, nonlinearity: str) -> Tensor:
    """Run one layer on inputs (trials, time, inputs), and return hidden states (trials, time, units)."""
    recurrent, input_weights = parameters[RECURRENT_WEIGHTS], parameters.get("weight_ih_l0")
    if input_weights is None:
        raise BadInputError("state_dict must contain input weights weight_ih_l0, got none.")
    units, n_inputs = recurrent.shape[1], input_weights.shape[1]
    allowed = f"(trials, time, {n_inputs}), as the input weights {tuple(input_weights.shape)} require"
    require(inputs.shape[2] == n_inputs, "inputs shape", tuple(inputs.shape), allowed)
    options = {"batch_first": True, "bias": "bias_hh_l0" in parameters, "dtype": recurrent.dtype}
    gates = recurrent.shape[0] / units
    require_choice(f"rows of {RECURRENT_WEIGHTS} divided by its columns", gates, (1, 3, 4))
    layer: nn.RNNBase
    if gates == 1:
        layer = nn.RNN(n_inputs, units, nonlinearity=nonlinearity, **options)
    else:
        layer = (nn.GRU if gates == 3 else nn.LSTM)(n_inputs, units, **options)
    try:
        layer.load_state_dict(parameters)
    except RuntimeError as error:
        shapes = {name: tuple(values.shape) for name, values in parameters.items()}
        raise BadInputError(f"shapes of a layer must fit each other, got {shapes}.") from error
    with torch.no_grad():
        return layer(inputs.to(recurrent.dtype))[0]
