"""The neural tangent kernel of a recurrent network, and how training turned it (section 3.2, App. I).

Exactly, on a probe of some hundred outputs (`tangent_kernel`, `kernel_alignment`), or estimated from random
combinations of as many outputs as there are, without the kernel (`estimated_alignment`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degen.errors import BadInputError, require, require_integer
from degen.metrics.arrays import to_numpy
from degen.metrics.pairs import spread

Parameters = Mapping[str, Tensor]
Outputs = Callable[[dict[str, Tensor]], Tensor]


def kernel_alignment(
    outputs: Outputs,
    initial: Parameters,
    final: Parameters,
    *,
    n_trials: int,
    weights: Sequence[str],
    times: Sequence[int],
) -> NDArray[np.float64]:
    r"""Kernel alignment KA of each network before and after training.

    .. math:: KA = \frac{\mathrm{Tr}(K^{(T)} K^{(0)})}{\|K^{(T)}\|_F \|K^{(0)}\|_F}, \quad
        K = \nabla_W \hat y^\top \nabla_W \hat y

    Args:
        outputs, n_trials, weights, times: as for `tangent_kernel`.
        initial, final: name to weights (networks, ...), before and after training.

    Returns:
        (networks,), between 0 and 1.

    Raises:
        BadInputError: as `tangent_kernel`, weights of other names or shapes before and after, or no output
            depends on the weights.
    """
    _require_same(initial, final)
    before, after = (
        tangent_kernel(outputs, parameters, n_trials=n_trials, weights=weights, times=times)
        for parameters in (initial, final)
    )
    norms = torch.linalg.matrix_norm(before) * torch.linalg.matrix_norm(after)
    require(bool((norms > 0).all()), "tangent kernel", 0, "other than zero")
    return to_numpy((before * after).sum(dim=(1, 2)) / norms)


def tangent_kernel(
    outputs: Outputs,
    parameters: Parameters,
    *,
    n_trials: int,
    weights: Sequence[str],
    times: Sequence[int],
) -> Tensor:
    r"""The tangent kernel of all outputs at the given time steps of all trials.

    Exact, by reverse differentiation. Each trial is run by a copy of the network of its own: the gradient of
    one output's sum over trials then holds the gradient of every trial apart, in one backward pass.

    Args:
        outputs: from parameters with one copy of a network for each trial, name to (trials, ...), to outputs
            (trials, time, n_outputs), each trial by its copy.
        parameters: name to weights (networks, ...).
        n_trials: of `outputs`.
        weights: names of the parameters that the gradient is with respect to.
        times: time steps at which outputs are taken.

    Returns:
        (networks, m, m) with m = n_trials * len(times) * n_outputs, in this order.

    Raises:
        BadInputError: an unknown name, weights that are not finite, no time step or one outside the trial,
            or outputs of other trials.
    """
    _require_known(weights, parameters)
    require(len(times) > 0, "times", list(times), "at least one time step")
    networks = [
        {name: value[index : index + 1].detach() for name, value in parameters.items()}
        for index in range(len(next(iter(parameters.values()))))
    ]
    device = next(iter(parameters.values())).device

    def kernel(one: dict[str, Tensor]) -> Tensor:
        copies = {name: value.repeat(n_trials, *[1] * (value.ndim - 1)) for name, value in one.items()}
        rows = _jacobian(outputs, copies, weights, times)
        return rows @ rows.mT

    return torch.stack(spread(kernel, networks, device))


def _require_known(weights: Sequence[str], parameters: Parameters) -> None:
    """See that these are names of parameters, and all parameters finite."""
    require(len(weights) > 0, "weights", list(weights), "at least one name")
    for name in weights:
        require(name in parameters, "weights", name, "one of " + ", ".join(parameters))
    for name, value in parameters.items():
        require(bool(torch.isfinite(value).all()), f"parameters {name}", "NaN or infinity", "finite")


def _require_same(initial: Parameters, final: Parameters) -> None:
    """See that these are the same networks before and after training."""
    before, after = (
        {name: tuple(value.shape) for name, value in sorted(parameters.items())}
        for parameters in (initial, final)
    )
    require(before == after, "names and shapes of final", after, f"those of initial, {before}")


def _jacobian(
    outputs: Outputs, copies: dict[str, Tensor], weights: Sequence[str], times: Sequence[int]
) -> Tensor:
    """Gradients (m, weights) of the outputs at `times`, for one network in as many copies as trials."""
    chosen = [copies[name].requires_grad_() for name in weights]
    with torch.enable_grad():
        found = outputs(copies)
    for time in times:
        require(0 <= time < found.shape[1], "times", time, f"from 0 to {found.shape[1] - 1}")
    require(len(found) == len(chosen[0]), "trials of outputs", len(found), f"n_trials, {len(chosen[0])}")
    rows = []
    for time in times:
        for output in range(found.shape[2]):
            gradients = torch.autograd.grad(
                found[:, time, output].sum(), chosen, retain_graph=True, materialize_grads=True
            )
            rows.append(torch.cat([gradient.flatten(1) for gradient in gradients], dim=1))
    return torch.stack(rows, dim=1).flatten(0, 1)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """An estimate with its standard error, each (networks,)."""

    value: NDArray[np.float64]
    error: NDArray[np.float64]


def estimated_alignment(
    outputs: Outputs,
    initial: Parameters,
    final: Parameters,
    *,
    weights: Sequence[str],
    probes: int,
    seed: int,
) -> Estimate:
    r"""Kernel alignment over all outputs of a probe, without a kernel: its size does not matter.

    Random signs :math:`z_1 .. z_k` combine all outputs; one backward pass gives the gradient
    :math:`J^\top z_a` of each combination, and their products :math:`G_{ab} = z_a^\top K z_b` tell, without
    bias,

    .. math:: \mathrm{Tr}(K^{(T)} K^{(0)}) = \mathbb E\, G^{(T)}_{ab} G^{(0)}_{ab}, \quad a \ne b,

    so the mean over all pairs of probes estimates it, and likewise both norms, from the same probes (a
    U-statistic). The standard error of their ratio is the jackknife's over probes, and its bias, of order
    1/k, is taken off by the jackknife (Efron & Stein 1981, Annals of Statistics).

    Args:
        outputs: from parameters of one network, name to (1, ...), to outputs of any shape.
        initial, final: name to weights (networks, ...), before and after training.
        weights: names of the parameters that the gradient is with respect to.
        probes: random combinations k, at least 3: as many backward passes of a network before and after.
        seed: of the signs.

    Raises:
        BadInputError: an unknown name or too few probes, weights that are not finite or of other names or
            shapes before and after, or no output depends on the weights.
    """
    _require_same(initial, final)
    for parameters in (initial, final):
        _require_known(weights, parameters)
    require_integer("probes", probes, 3)
    values, errors = [], []
    for index in range(len(next(iter(final.values())))):
        before, after = (
            _products(outputs, {k: v[index : index + 1] for k, v in p.items()}, weights, probes, seed)
            for p in (initial, final)
        )
        value, error = _jackknife(before, after)
        values.append(value)
        errors.append(error)
    return Estimate(np.array(values), np.array(errors))


def _products(
    outputs: Outputs, parameters: dict[str, Tensor], weights: Sequence[str], probes: int, seed: int
) -> NDArray[np.float64]:
    """G (probes, probes) of one network."""
    parameters = {name: value.detach() for name, value in parameters.items()}
    chosen = [parameters[name].requires_grad_() for name in weights]
    with torch.enable_grad():
        found = outputs(parameters)
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(probes):
        signs = torch.randint(2, found.shape, generator=generator).to(found) * 2 - 1
        gradients = torch.autograd.grad(found, chosen, signs, retain_graph=True, materialize_grads=True)
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    stacked = torch.stack(rows).double()
    return to_numpy(stacked @ stacked.mT)


def _jackknife(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float]:
    """The ratio of U-statistics with its bias taken off, and its standard error."""
    off = 1 - np.eye(len(before))
    products = np.stack([before * after, before * before, after * after]) * off
    total, own = products.sum(axis=(1, 2)), products.sum(axis=2)
    if not (total[1:] > 0).all():
        raise BadInputError("tangent kernel must be other than zero, got 0.")
    # Without probe a, its row and its column are missing.
    without = total[:, None] - 2 * own
    k = len(before)
    left_out = without[0] / np.sqrt(without[1] * without[2])
    whole = total[0] / np.sqrt(total[1] * total[2])
    error = np.sqrt((k - 1) / k * np.sum((left_out - left_out.mean()) ** 2))
    return float(k * whole - (k - 1) * left_out.mean()), float(error)
