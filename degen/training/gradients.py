"""Losses and gradients of an ensemble."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from degen.models import Model, Parameters
from degen.tasks import Trials
from degen.training.regularizers import Regularizer

Found = tuple[Tensor, Tensor, Parameters]
"""Task losses (seeds,), penalties (seeds,) and gradients of their sum, each member's of its own."""


def task_loss(outputs: Tensor, trials: Trials, whole: Trials | None = None) -> Tensor:
    """Mean squared error of each member (seeds,), over trials, time and outputs, weighted by the mask.

    Args:
        whole: the trials of which these are some; theirs is then the part that they add to its loss.
    """
    error, whole = (outputs - trials.targets) ** 2, whole or trials
    if trials.mask is None or whole.mask is None:
        return _sums(error) / math.prod(whole.targets.shape[1:])
    weights = _sums(whole.mask) * outputs.shape[-1]
    return _sums(error * trials.mask.unsqueeze(-1)) / weights


def _sums(array: Tensor) -> Tensor:
    """Of each member's numbers in (seeds, ...): (seeds,)."""
    return torch.cat([array[members].flatten(1).sum(dim=1) for members in each(array)])


def each(array: Tensor) -> list[slice]:
    """Members of (seeds, ...) whose sums are made at once.

    On a CPU one, or the order of its sum would depend on its company; on a GPU, where members agree to
    rounding only, all.
    """
    if array.device.type != "cpu" or len(array) == 1:
        return [slice(None)]
    return [slice(i, i + 1) for i in range(len(array))]


def loss_and_gradients(
    model: Model,
    regularizer: Regularizer,
    parameters: Parameters,
    trials: Trials,
    whole: Trials | None = None,
) -> Found:
    """Task losses, penalties and gradients on these trials; `whole` as in `task_loss`."""
    leaves = {name: weights.detach().requires_grad_() for name, weights in parameters.items()}
    with torch.enable_grad():
        losses = task_loss(model(leaves, trials), trials, whole)
        recurrent = model.recurrent(leaves)
        penalties = torch.cat([regularizer(recurrent[members]) for members in each(recurrent)])
        gradients = torch.autograd.grad((losses + penalties).sum(), list(leaves.values()))
    return losses.detach(), penalties.detach(), dict(zip(leaves, gradients, strict=True))
