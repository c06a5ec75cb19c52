"""Losses and gradients of an ensemble."""

from __future__ import annotations

import torch
from torch import Tensor

from degen.models import Model, Parameters
from degen.tasks import Trials
from degen.training.regularizers import Regularizer


def task_loss(outputs: Tensor, trials: Trials) -> Tensor:
    """Mean squared error of each member (seeds,), over trials, time and outputs, weighted by the mask."""
    error = (outputs - trials.targets) ** 2
    if trials.mask is None:
        return error.mean(dim=(1, 2, 3))
    return (error.mean(dim=-1) * trials.mask).sum(dim=(1, 2)) / trials.mask.sum(dim=(1, 2))


def loss_and_gradients(
    model: Model, regularizer: Regularizer, parameters: Parameters, trials: Trials
) -> tuple[Tensor, Tensor, Parameters]:
    """Task losses (seeds,), penalties (seeds,) and gradients of their sum, each member's of its own."""
    leaves = {name: weights.detach().requires_grad_() for name, weights in parameters.items()}
    with torch.enable_grad():
        losses = task_loss(model(leaves, trials), trials)
        penalties = regularizer(model.recurrent(leaves))
        gradients = torch.autograd.grad((losses + penalties).sum(), list(leaves.values()))
    return losses.detach(), penalties.detach(), dict(zip(leaves, gradients, strict=True))
