"""Stochastic estimate of the kernel alignment, for probes of any size."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degen.errors import BadInputError, require_integer
from degen.metrics.arrays import to_numpy
from degen.metrics.ntk.exact import Outputs, Parameters, require_equal_shapes, require_parameters


@dataclasses.dataclass(frozen=True)
class AlignmentEstimate:
    """Estimated value of each network and its standard error.

    Attributes:
        value: (networks,).
        standard_error: (networks,).
    """

    value: NDArray[np.float64]
    standard_error: NDArray[np.float64]


def estimated_alignment(
    outputs: Outputs,
    initial: Parameters,
    final: Parameters,
    *,
    weights: Sequence[str],
    probes: int,
    seed: int = 0,
) -> AlignmentEstimate:
    r"""Estimate the kernel alignment over any number of outputs, without forming the kernel.

    Random sign vectors :math:`z_1, \dots, z_k` combine all outputs. One backward pass per vector gives
    :math:`J^\top z_a`, and the products :math:`G_{ab} = z_a^\top K z_b` satisfy

    .. math:: \mathrm{Tr}(K^{(T)} K^{(0)}) = \mathbb E\, G^{(T)}_{ab} G^{(0)}_{ab}, \quad a \ne b.

    The mean over all pairs of vectors is a U-statistic that estimates this trace. The two norms are estimated
    from the vectors in an analogous way. The jackknife over vectors removes the bias of the ratio, which is
    of order 1/k, and gives its standard error (Efron & Stein 1981, Annals of Statistics).

    Args:
        outputs: function from the parameters of one network, name to (1, ...), to outputs of any shape.
        initial: parameters before training, name to (networks, ...).
        final: parameters after training, with the names and shapes of `initial`.
        weights: names of the parameters to differentiate.
        probes: number k of random vectors, at least 3. Each takes two backward passes per network.
        seed: seed of the random signs.

    Raises:
        BadInputError: an unknown parameter name, fewer than 3 probes, parameters that are not finite, names
            or shapes that differ between `initial` and `final`, or outputs that do not depend on the weights.

    Examples:
        >>> inputs = torch.randn(100, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> parameters = {"w": torch.ones(1, 3, dtype=torch.float64)}
        >>> def outputs(parameters):
        ...     return torch.tanh(inputs @ parameters["w"][0])
        >>> estimate = estimated_alignment(
        ...     outputs, parameters, parameters, weights=["w"], probes=5, seed=0
        ... )
        >>> estimate.value.round(6), estimate.standard_error.round(6)
        (array([1.]), array([0.]))
    """
    require_equal_shapes(initial, final)
    for parameters in (initial, final):
        require_parameters(weights, parameters)
    require_integer("probes", probes, 3)
    values, errors = [], []
    for index in range(len(next(iter(final.values())))):
        before, after = (
            _probe_products(outputs, {k: v[index : index + 1] for k, v in p.items()}, weights, probes, seed)
            for p in (initial, final)
        )
        value, error = _jackknife(before, after)
        values.append(value)
        errors.append(error)
    return AlignmentEstimate(np.array(values), np.array(errors))


def _probe_products(
    outputs: Outputs, parameters: dict[str, Tensor], weights: Sequence[str], probes: int, seed: int
) -> NDArray[np.float64]:
    """Compute the matrix G (probes, probes) of one network."""
    parameters = {name: value.detach() for name, value in parameters.items()}
    variables = [parameters[name].requires_grad_() for name in weights]
    with torch.enable_grad():
        values = outputs(parameters)
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(probes):
        signs = torch.randint(2, values.shape, generator=generator).to(values) * 2 - 1
        gradients = torch.autograd.grad(values, variables, signs, retain_graph=True, materialize_grads=True)
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    stacked = torch.stack(rows).double()
    return to_numpy(_unit_scale(stacked @ stacked.mT))


def _unit_scale(products: Tensor) -> Tensor:
    """Scale products to a largest entry of 1: the alignment does not depend on their scale."""
    largest = products.abs().max()
    return products / torch.where(largest > 0, largest, 1.0)


def _jackknife(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float]:
    """Compute the bias-corrected alignment and its standard error from the products G before and after."""
    off_diagonal = 1 - np.eye(len(before))
    products = np.stack([before * after, before * before, after * after]) * off_diagonal
    totals, row_sums = products.sum(axis=(1, 2)), products.sum(axis=2)
    if not (totals[1:] > 0).all():
        raise BadInputError("tangent kernel must be nonzero, got 0.")
    # Leaving out a probe removes one row and one column.
    left_out_totals = totals[:, None] - 2 * row_sums
    if not (left_out_totals[1:] > 1e-12 * totals[1:, None]).all():
        allowed = "more than the kernel needs: without one of them the estimate is 0 / 0"
        raise BadInputError(f"probes must be {allowed}, got {len(before)}.")
    k = len(before)
    left_out = left_out_totals[0] / np.sqrt(left_out_totals[1] * left_out_totals[2])
    full = totals[0] / np.sqrt(totals[1] * totals[2])
    error = np.sqrt((k - 1) / k * np.sum((left_out - left_out.mean()) ** 2))
    return float(k * full - (k - 1) * left_out.mean()), float(error)
