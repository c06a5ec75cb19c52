"""Exact neural tangent kernel and kernel alignment, for probes of a few hundred outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degen.errors import require
from degen.metrics.arrays import to_numpy
from degen.metrics.pairs import thread_map

Parameters = Mapping[str, Tensor]
"""Parameter name to values (networks, ...)."""

Outputs = Callable[[dict[str, Tensor]], Tensor]
"""A function from parameters to network outputs."""


def kernel_alignment(
    outputs: Outputs,
    initial: Parameters,
    final: Parameters,
    *,
    n_trials: int,
    weights: Sequence[str],
    times: Sequence[int],
) -> NDArray[np.float64]:
    r"""Compute the kernel alignment (KA) of each network before and after training.

    .. math:: KA = \frac{\mathrm{Tr}(K^{(T)} K^{(0)})}{\|K^{(T)}\|_F \|K^{(0)}\|_F}, \quad
        K = \nabla_W \hat y^\top \nabla_W \hat y

    KA is 1 if training only scaled the tangent kernel, and smaller the more the kernel changed.

    Args:
        outputs: network function, as for `tangent_kernel`.
        initial: parameters before training, name to (networks, ...).
        final: parameters after training, with the names and shapes of `initial`.
        n_trials: number of trials in the result of `outputs`.
        weights: names of the parameters to differentiate.
        times: time steps at which outputs are differentiated.

    Returns:
        (networks,), between 0 and 1.

    Raises:
        BadInputError: an argument that `tangent_kernel` rejects, names or shapes that differ between
            `initial` and `final`, or outputs that do not depend on the weights.

    Examples:
        >>> inputs = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]]], dtype=torch.float64)  # (trials, time, 2)
        >>> def outputs(parameters):
        ...     return (inputs @ parameters["w"].unsqueeze(-1)) ** 2
        >>> initial = {"w": torch.tensor([[1.0, 1.0]], dtype=torch.float64)}
        >>> final = {"w": torch.tensor([[1.0, 0.0]], dtype=torch.float64)}
        >>> kernel_alignment(outputs, initial, final, n_trials=2, weights=["w"], times=[0]).round(4)
        array([0.0624])
    """
    require_equal_shapes(initial, final)
    before, after = (
        tangent_kernel(outputs, parameters, n_trials=n_trials, weights=weights, times=times)
        for parameters in (initial, final)
    )
    before, after = _normalized(before), _normalized(after)
    return to_numpy((before * after).sum(dim=(1, 2)))


def tangent_kernel(
    outputs: Outputs,
    parameters: Parameters,
    *,
    n_trials: int,
    weights: Sequence[str],
    times: Sequence[int],
) -> Tensor:
    r"""Compute the tangent kernel of each network, for all outputs at selected time steps of all trials.

    The kernel is exact and computed by reverse-mode differentiation. Each trial uses a separate copy of the
    parameters. One backward pass of an output summed over trials then gives separate gradients per trial.

    Args:
        outputs: function from parameters, name to (trials, ...), to outputs (trials, time, n_outputs). It
            runs each trial with the corresponding copy of the parameters.
        parameters: name to (networks, ...).
        n_trials: number of trials in the result of `outputs`.
        weights: names of the parameters to differentiate.
        times: time steps at which outputs are differentiated.

    Returns:
        (networks, m, m) with m = n_trials * len(times) * n_outputs. The last of these varies fastest.

    Raises:
        BadInputError: an unknown parameter name, parameters that are not finite, no time step or a time step
            outside the trial, or outputs with a number of trials other than `n_trials`.

    Examples:
        >>> inputs = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]]])  # (trials, time, 2)
        >>> def outputs(parameters):
        ...     return inputs @ parameters["w"].unsqueeze(-1)
        >>> tangent_kernel(outputs, {"w": torch.ones(1, 2)}, n_trials=2, weights=["w"], times=[0])
        tensor([[[1., 0.],
                 [0., 4.]]], dtype=torch.float64)
    """
    require_parameters(weights, parameters)
    require(len(times) > 0, "times", list(times), "at least one time step")
    networks = [
        {name: value[index : index + 1].detach() for name, value in parameters.items()}
        for index in range(len(next(iter(parameters.values()))))
    ]
    device = next(iter(parameters.values())).device

    def kernel(network: dict[str, Tensor]) -> Tensor:
        copies = {name: value.repeat(n_trials, *[1] * (value.ndim - 1)) for name, value in network.items()}
        # In float64: squares of large or small gradients leave the range of float32.
        jacobian = _jacobian(outputs, copies, weights, times).double()
        return jacobian @ jacobian.mT

    return torch.stack(thread_map(kernel, networks, device))


def _normalized(kernels: Tensor) -> Tensor:
    """Scale kernels (networks, m, m) to unit Frobenius norm; products of norms could leave the range."""
    norms = torch.linalg.matrix_norm(kernels, keepdim=True)
    require(bool((norms > 0).all()), "tangent kernel", 0, "nonzero")
    require(bool(norms.isfinite().all()), "tangent kernel", "NaN or infinity", "finite")
    return kernels / norms


def require_parameters(weights: Sequence[str], parameters: Parameters) -> None:
    """Raise `BadInputError` unless all `weights` name parameters and all parameters are finite."""
    require(len(weights) > 0, "weights", list(weights), "at least one name")
    for name in weights:
        require(name in parameters, "weights", name, "one of " + ", ".join(parameters))
    for name, value in parameters.items():
        require(bool(torch.isfinite(value).all()), f"parameters {name}", "NaN or infinity", "finite")


def require_equal_shapes(initial: Parameters, final: Parameters) -> None:
    """Raise `BadInputError` unless the names and shapes of the parameters are equal."""
    before, after = (
        {name: tuple(value.shape) for name, value in sorted(parameters.items())}
        for parameters in (initial, final)
    )
    allowed = f"equal to the names and shapes of initial, {before}"
    require(before == after, "names and shapes of final", after, allowed)


def _jacobian(
    outputs: Outputs, copies: dict[str, Tensor], weights: Sequence[str], times: Sequence[int]
) -> Tensor:
    """Compute the Jacobian of the outputs of one network.

    Args:
        outputs, weights, times: as for `tangent_kernel`.
        copies: one copy of the parameters per trial, name to (trials, ...).

    Returns:
        (m, n_weights), with m as in `tangent_kernel`.
    """
    variables = [copies[name].requires_grad_() for name in weights]
    with torch.enable_grad():
        values = outputs(copies)
    for time in times:
        require(0 <= time < values.shape[1], "times", time, f"from 0 to {values.shape[1] - 1}")
    n_trials = len(variables[0])
    require(len(values) == n_trials, "trials of outputs", len(values), f"n_trials = {n_trials}")
    rows = []
    for time in times:
        for output in range(values.shape[2]):
            gradients = torch.autograd.grad(
                values[:, time, output].sum(), variables, retain_graph=True, materialize_grads=True
            )
            rows.append(torch.cat([gradient.flatten(1) for gradient in gradients], dim=1))
    return torch.stack(rows, dim=1).flatten(0, 1)
