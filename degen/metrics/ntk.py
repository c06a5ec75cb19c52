"""The neural tangent kernel of a recurrent network, exactly, and how training turned it (App. I)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from degen.errors import require

Parameters = Mapping[str, Tensor]
Step = Callable[[dict[str, Tensor], Tensor, Tensor], Tensor]
Readout = Callable[[dict[str, Tensor], Tensor], Tensor]


def kernel_alignment(
    step: Step,
    readout: Readout,
    initial: Parameters,
    final: Parameters,
    hidden: Tensor,
    inputs: Tensor,
    *,
    weights: Sequence[str],
    times: Sequence[int],
) -> Tensor:
    r"""Kernel alignment KA of each network before and after training.

    .. math:: KA = \frac{\mathrm{Tr}(K^{(T)} K^{(0)})}{\|K^{(T)}\|_F \|K^{(0)}\|_F}, \quad
        K = \nabla_W \hat y^\top \nabla_W \hat y

    Args:
        step, readout, hidden, inputs, weights, times: as for `tangent_kernel`.
        initial, final: name to weights (networks, ...), before and after training.

    Returns:
        (networks,), between 0 and 1.
    """
    before = tangent_kernel(step, readout, initial, hidden, inputs, weights=weights, times=times)
    after = tangent_kernel(step, readout, final, hidden, inputs, weights=weights, times=times)
    overlap = (before * after).sum(dim=(1, 2))
    return overlap / (torch.linalg.matrix_norm(before) * torch.linalg.matrix_norm(after))


def tangent_kernel(
    step: Step,
    readout: Readout,
    parameters: Parameters,
    hidden: Tensor,
    inputs: Tensor,
    *,
    weights: Sequence[str],
    times: Sequence[int],
) -> Tensor:
    r"""The tangent kernel of all outputs at the given time steps of all trials.

    Exact: the gradient of every output by reverse differentiation through time, for all trials at once.

    Args:
        step: (parameters, hidden (1, trials, n), inputs (1, trials, n_inputs)) to hidden (1, trials, n).
            Plain torch operations only.
        readout: (parameters, hidden (1, trials, time, n)) to outputs (1, trials, time, n_outputs).
        parameters: name to weights (networks, ...).
        hidden: (networks, trials, n), the state before the first step.
        inputs: (networks, trials, time, n_inputs), or with 1 in front for the same in all networks.
        weights: names of the parameters that the gradient is with respect to.
        times: time steps at which outputs are taken.

    Returns:
        (networks, m, m) with m = trials * len(times) * n_outputs, in this order.

    Raises:
        BadInputError: an unknown name or a time step outside the trial.
    """
    for name in weights:
        require(name in parameters, "weights", name, "one of " + ", ".join(parameters))
    for time in times:
        require(0 <= time < inputs.shape[2], "times", time, f"from 0 to {inputs.shape[2] - 1}")
    networks = len(hidden)
    inputs = inputs.expand(networks, *inputs.shape[1:])
    kernels = []
    for index in range(networks):
        one = {name: value[index : index + 1].detach() for name, value in parameters.items()}
        rows = _jacobian(
            step, readout, one, hidden[index : index + 1], inputs[index : index + 1], weights, times
        )
        kernels.append(rows @ rows.mT)
    return torch.stack(kernels)


def _jacobian(
    step: Step,
    readout: Readout,
    parameters: dict[str, Tensor],
    hidden: Tensor,
    inputs: Tensor,
    weights: Sequence[str],
    times: Sequence[int],
) -> Tensor:
    """Gradients (m, weights) of the outputs at `times`, for one network."""

    def outputs(chosen: dict[str, Tensor], state: Tensor, trial: Tensor) -> Tensor:
        everything, states = {**parameters, **chosen}, []
        for now in trial.unbind(dim=2):
            state = step(everything, state, now)
            states.append(state)
        return readout(everything, torch.stack([states[time] for time in times], dim=2)).flatten()

    # An output depends on its own trial alone: trials are rows of a batch, each with its own pullback.
    chosen = {name: parameters[name] for name in weights}
    by_trial = vmap(jacrev(outputs), in_dims=(None, 0, 0))
    rows = by_trial(chosen, hidden.transpose(0, 1).unsqueeze(1), inputs.transpose(0, 1).unsqueeze(1))
    return torch.cat([rows[name].flatten(0, 1).flatten(1) for name in weights], dim=1)
