"""Losses and gradients of an ensemble."""

from __future__ import annotations

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
    whole = whole or trials
    error = (outputs - trials.targets) ** 2
    if trials.mask is None or whole.mask is None:
        return error.mean(dim=(1, 2, 3)) * (trials.inputs.shape[1] / whole.inputs.shape[1])
    return (error.mean(dim=-1) * trials.mask).sum(dim=(1, 2)) / whole.mask.sum(dim=(1, 2))


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
        penalties = regularizer(model.recurrent(leaves))
        gradients = torch.autograd.grad((losses + penalties).sum(), list(leaves.values()))
    return losses.detach(), penalties.detach(), dict(zip(leaves, gradients, strict=True))
