"""The standard parameterization (section 2.1 of the paper), and its variants with other nonlinearities."""

from __future__ import annotations

import dataclasses

from degen.models.elman import DenseElman
from degen.models.nonlinearities import RELU, SOFTPLUS, TANH


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standard(DenseElman):
    """h_t = tanh(W_h h_{t-1} + W_x x_t + b), y_t = (W_o h_t + b_o) / gamma.

    Weights and biases are drawn from U(-1/sqrt(n), 1/sqrt(n)), as in `torch.nn.RNN` and `torch.nn.Linear`.

    Args:
        width: number n of hidden units.
        gamma: divisor of the output and factor of the learning rate.
        initial_gain: factor of the initial recurrent matrix.
        initial_rank: rank of the initial recurrent matrix, whose Frobenius norm does not change; 0 for full
            rank.

    Raises:
        BadInputError: an argument is out of its range.

    Examples:
        >>> from degen.streams import Stream
        >>> from degen.tasks import FlipFlop
        >>> model = Standard(width=8, gamma=1.0)
        >>> task = FlipFlop(channels=3, n_steps=20, pulse_probability=0.3)
        >>> sorted(model.initialize(task, Stream.named([0], "example")))
        ['bias', 'input', 'output', 'output_bias', 'recurrent']
    """

    is_odd = True
    nonlinearity = TANH


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReLU(DenseElman):
    """h_t = max(0, W_h h_{t-1} + W_x x_t + b), y_t = (W_o h_t + b_o) / gamma.

    It equals `torch.nn.RNN(nonlinearity="relu")` with a linear readout. Arguments and initial weights as for
    `Standard`.

    Examples:
        >>> import torch
        >>> model = ReLU(width=2, gamma=1.0)
        >>> weights = {
        ...     "recurrent": torch.tensor([[[0.0, 1.0], [-1.0, 0.0]]]),
        ...     "input": torch.zeros(1, 2, 1),
        ...     "bias": torch.zeros(1, 2),
        ... }
        >>> model.step(weights, torch.tensor([[[1.0, 3.0]]]), torch.zeros(1, 1, 1))
        tensor([[[3., 0.]]])
    """

    is_homogeneous = True
    nonlinearity = RELU


@dataclasses.dataclass(frozen=True, kw_only=True)
class Softplus(DenseElman):
    """h_t = log(1 + exp(W_h h_{t-1} + W_x x_t + b)), y_t = (W_o h_t + b_o) / gamma.

    A smooth version of `ReLU`. Arguments and initial weights as for `Standard`.

    Examples:
        >>> import torch
        >>> model = Softplus(width=8, gamma=1.0)
        >>> model.nonlinearity(torch.tensor([0.0])).exp()
        tensor([2.])
    """

    nonlinearity = SOFTPLUS
