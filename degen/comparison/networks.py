"""Networks to compare: hidden states on trials, and optionally recurrent weights and a loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from degen.errors import BadInputError, require, require_number
from degen.metrics.arrays import Array, to_tensor

Groups = Mapping[str, Array | Sequence[Array]]
"""For each group an array (networks, ...), or a list with one array per network."""


@dataclasses.dataclass(frozen=True)
class Network:
    """A network, or a recording of neurons.

    Attributes:
        group: name of its group.
        name: name in messages, such as "network 0 of 'GRU'" or the path of its file.
        hidden: hidden states or activity, (trials, time, units).
        recurrent: recurrent weights, (units, units) or (gates * units, units).
        loss: loss on test trials.
        inputs: inputs of the trials, (trials, time, inputs).
    """

    group: str
    name: str
    hidden: Tensor = dataclasses.field(repr=False)
    recurrent: Tensor | None = dataclasses.field(default=None, repr=False)
    loss: float | None = None
    inputs: Tensor | None = dataclasses.field(default=None, repr=False)

    @classmethod
    def from_arrays(
        cls,
        group: str,
        name: str,
        hidden: Array,
        recurrent: Array | None = None,
        loss: Any = None,
        inputs: Tensor | None = None,
    ) -> Network:
        """Validate and convert the arrays of a network.

        Raises:
            BadInputError: an array is not finite or has the wrong number of axes, the hidden states are
                constant or have fewer than two trials or time steps, or the inputs differ from them in trials
                or time steps. The message contains `name`.
        """
        states = to_tensor(f"hidden of {name}", hidden, 3)
        for axis, what in enumerate(("trials", "time steps")):
            require(states.shape[axis] >= 2, f"{what} of {name}", states.shape[axis], "at least 2")
        require(states.shape[2] >= 1, f"units of {name}", 0, "at least 1")
        varies = bool((states != states[0, 0]).any())
        require(varies, f"hidden of {name}", "a constant", "varying over trials or time")
        weights = None if recurrent is None else to_tensor(f"recurrent weights of {name}", recurrent, 2)
        if inputs is not None:
            given, allowed = tuple(inputs.shape[:2]), tuple(states.shape[:2])
            require(given == allowed, "trials and time steps of inputs", given, f"{allowed}, as of {name}")
        return cls(group, name, states, weights, _to_number(f"loss of {name}", loss), inputs)


def _to_number(field: str, value: Any) -> float | None:
    """Convert a number, or an array with one entry, to a float. None remains None."""
    if value is None:
        return None
    array = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value)
    number = array.item() if array.size == 1 else value
    require_number(field, number)
    return float(number)


def to_networks(
    hidden: Groups, weights: Groups | None, losses: Mapping[str, Any] | None, inputs: Array | None
) -> list[Network]:
    """Convert the arguments of `degen.compare` to networks.

    Raises:
        BadInputError: an argument that `compare` rejects.
    """
    _require_groups("hidden", hidden)
    for name, values in (("weights", weights), ("losses", losses)):
        if values is not None:
            _require_groups(name, values)
            for group in values:
                require(group in hidden, f"groups of {name}", group, f"one of {', '.join(map(str, hidden))}")
    networks, drive = [], None if inputs is None else to_tensor("inputs", inputs, 3)
    for group, states in hidden.items():
        _require_stack(group, states)
        parts = zip(
            states,
            _per_network("weights", weights, group, len(states)),
            _per_network("losses", losses, group, len(states)),
            strict=True,
        )
        networks += [
            Network.from_arrays(str(group), f"network {index} of {group!r}", *arrays, drive)
            for index, arrays in enumerate(parts)
        ]
    return networks


def _require_groups(name: str, values: Any) -> None:
    if not isinstance(values, Mapping):
        raise BadInputError(
            f"{name} must be a dict with an entry for each group, such as {{'GRU': ..., 'tanh': ...}}, "
            f"got {type(values).__name__}."
        )


def _require_stack(group: str, states: Any) -> None:
    """Raise `BadInputError` unless `states` is an array of four axes, or a list of arrays."""
    axes = getattr(states, "ndim", None)
    is_stack = axes == 4 or (axes is None and isinstance(states, Sequence) and not isinstance(states, str))
    got = tuple(states.shape) if axes is not None else type(states).__name__
    allowed = "an array (networks, trials, time, units) or a list of arrays (trials, time, units)"
    require(is_stack, f"hidden of {group!r}", got, allowed)
    require(len(states) >= 1, f"networks of {group!r}", 0, "at least 1")


def _per_network(name: str, values: Mapping[str, Any] | None, group: str, n_networks: int) -> Sequence[Any]:
    """Return one entry per network of a group, None for each if the group has no values."""
    if values is None or group not in values:
        return [None] * n_networks
    entries = values[group]
    is_sequence = hasattr(entries, "__len__") and getattr(entries, "shape", None) != ()
    n_entries = len(entries) if is_sequence else "a number"
    require(
        n_entries == n_networks, f"{name} of {group!r}", n_entries, f"one for each of {n_networks} networks"
    )
    return list(entries)
