"""Losses and gradients of an ensemble."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from degen.models import Model, Parameters
from degen.tasks import Trials
from degen.training.regularizers import Regularizer


class LossesAndGradients(NamedTuple):
    """Losses of an ensemble and the gradients of their sum.

    Attributes:
        losses: task losses, (seeds,).
        penalties: penalties, (seeds,).
        gradients: gradients by the name of the weight, each (seeds, ...). The gradients of a network depend
            only on its own losses.
    """

    losses: Tensor
    penalties: Tensor
    gradients: Parameters

    @property
    def tensors(self) -> list[Tensor]:
        """All arrays in a fixed order."""
        return [self.losses, self.penalties, *self.gradients.values()]


def task_loss(outputs: Tensor, trials: Trials, full_batch: Trials | None = None) -> Tensor:
    """Return each network's loss (seeds,): the mean squared error, or the cross-entropy in nats.

    It is averaged over trials and time, with the mask as weights.

    Args:
        outputs: (seeds, trials, time, n_outputs).
        trials: targets, the kind of loss, and optionally the mask that weights the error.
        full_batch: the batch of which `trials` are a part. The result is then the contribution of the part
            to the loss of the full batch.
    """
    error, full_batch = output_errors(outputs, trials), full_batch or trials
    if trials.mask is None or full_batch.mask is None:
        return _sum_per_network(error) / math.prod(full_batch.targets.shape[1:])
    weights = _sum_per_network(full_batch.mask) * outputs.shape[-1]
    return _sum_per_network(error * trials.mask.unsqueeze(-1)) / weights


def output_errors(outputs: Tensor, trials: Trials) -> Tensor:
    """Return errors (seeds, trials, time, n_outputs) whose mean over outputs is the loss of a time step.

    Examples:
        >>> outputs, targets = torch.zeros(1, 1, 1, 4), torch.eye(4)[2].view(1, 1, 1, 4)
        >>> trials = Trials(outputs, targets, loss="cross_entropy")
        >>> torch.allclose(output_errors(outputs, trials).mean(), torch.tensor(4.0).log())
        True
    """
    if trials.loss == "squared_error":
        return (outputs - trials.targets) ** 2
    # The cross-entropy is a sum over classes, hence the factor.
    return -outputs.shape[-1] * trials.targets * outputs.log_softmax(dim=-1)


def _sum_per_network(array: Tensor) -> Tensor:
    """Sum over all axes but the first: (seeds, ...) to (seeds,)."""
    return torch.cat([array[networks].flatten(1).sum(dim=1) for networks in network_slices(array)])


def network_slices(array: Tensor) -> list[slice]:
    """Return slices of the first axis of (seeds, ...) within which sums are computed together.

    On a CPU, each network is a separate slice. Otherwise the order of a sum would depend on the ensemble
    size. On a GPU, where networks agree only to rounding, one slice contains all networks.
    """
    if array.device.type != "cpu" or len(array) == 1:
        return [slice(None)]
    return [slice(i, i + 1) for i in range(len(array))]


def _penalty(regularizer: Regularizer, recurrent: Tensor) -> Tensor:
    """Return the penalties (seeds,) of recurrent matrices (seeds, blocks * n, n), summed over blocks."""
    blocks = recurrent.unflatten(1, (-1, recurrent.shape[-1]))
    return regularizer(blocks.flatten(0, 1)).unflatten(0, blocks.shape[:2]).sum(dim=1)


def loss_and_gradients(
    model: Model,
    regularizer: Regularizer,
    parameters: Parameters,
    trials: Trials,
    full_batch: Trials | None = None,
) -> LossesAndGradients:
    """Compute task losses, penalties and gradients on these trials; for `full_batch` see `task_loss`."""
    leaves = {name: weights.detach().requires_grad_() for name, weights in parameters.items()}
    with torch.enable_grad():
        losses = task_loss(model(leaves, trials), trials, full_batch)
        recurrent = model.recurrent(leaves)
        slices = network_slices(recurrent)
        penalties = torch.cat([_penalty(regularizer, recurrent[networks]) for networks in slices])
        gradients = torch.autograd.grad((losses + penalties).sum(), list(leaves.values()))
    by_name = dict(zip(leaves, gradients, strict=True))
    return LossesAndGradients(losses.detach(), penalties.detach(), by_name)
