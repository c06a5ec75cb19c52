"""Losses and gradients of an ensemble: one batched pass on a GPU, one member a core on a CPU."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

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
    """Task losses (seeds,), penalties (seeds,) and gradients of their sum, each member's of its own.

    On a CPU a member is a task of its own for one core, so its numbers are bit for bit those it has alone;
    a batched product there would also be slower. On a GPU members agree with those alone to rounding.
    """
    seeds = len(trials.inputs)
    if trials.inputs.device.type != "cpu" or seeds == 1:
        return _batched(model, regularizer, parameters, trials)
    members = list(
        _workers().map(
            lambda i: _batched(
                model,
                regularizer,
                {name: weights[i : i + 1] for name, weights in parameters.items()},
                trials.map(lambda array: array[i : i + 1]),
            ),
            range(seeds),
        )
    )
    losses, penalties, gradients = zip(*members, strict=True)
    stacked = {name: torch.cat([gradient[name] for gradient in gradients]) for name in parameters}
    return torch.cat(losses), torch.cat(penalties), stacked


def _batched(
    model: Model, regularizer: Regularizer, parameters: Parameters, trials: Trials
) -> tuple[Tensor, Tensor, Parameters]:
    leaves = {name: weights.detach().requires_grad_() for name, weights in parameters.items()}
    with torch.enable_grad():
        losses = task_loss(model(leaves, trials), trials)
        penalties = regularizer(model.recurrent(leaves))
        gradients = torch.autograd.grad((losses + penalties).sum(), list(leaves.values()))
    return losses.detach(), penalties.detach(), dict(zip(leaves, gradients, strict=True))


@cache
def _workers() -> ThreadPoolExecutor:
    """One thread a usable core. torch itself must run on one thread (`torch.set_num_threads(1)`)."""
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)))
