"""Task losses on trials that never change: after each epoch, and to confirm convergence."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable

import torch
from torch import Tensor

from degen.models import Model, Parameters
from degen.streams import Stream
from degen.tasks import Task, Trials
from degen.training.ensemble import Ensemble
from degen.training.gradients import network_slices, task_loss
from degen.training.recipe import Training, epochs_to_convergence, needs_confirmation

TRIALS_PER_BLOCK = 128
"""Trials per forward pass: more leave the cache of a CPU core."""


class Validation:
    """Validation and confirmation of an ensemble, on the same trials for all networks and epochs.

    On a CPU each network is computed by itself, so that its losses do not depend on the ensemble size.
    """

    def __init__(self, task: Task, model: Model, training: Training, like: Tensor):
        self.model, self.training = model, training
        drawn = functools.partial(_draw, task, like)
        self.validation_trials = drawn(training.validation_trials, "validation trials")
        self.confirmation_trials = drawn(training.confirmation_trials, "confirmation trials")

    def __call__(self, ensemble: Ensemble, check_interrupt: Callable[[], None] = lambda: None) -> None:
        """Complete the histories of the epoch just trained, and store the weights of who converged in it.

        Args:
            check_interrupt: called between forward passes; may raise.
        """
        losses = self._losses(ensemble, self.validation_trials, range(len(ensemble)), check_interrupt)
        for history, loss in zip(ensemble.histories, losses, strict=True):
            history.validation_loss.append(loss)
        due = [i for i, h in enumerate(ensemble.histories) if needs_confirmation(h, self.training)]
        confirmed = dict(
            zip(due, self._losses(ensemble, self.confirmation_trials, due, check_interrupt), strict=True)
        )
        for i, history in enumerate(ensemble.histories):
            history.confirmation_loss.append(confirmed.get(i, math.nan))
            if epochs_to_convergence(history, self.training) == len(history):
                ensemble.store_converged(i)

    def _losses(
        self, ensemble: Ensemble, trials: Trials, networks: range | list[int], check: Callable[[], None]
    ) -> list[float]:
        if not networks:
            return []
        parameters = ensemble.parameters
        if len(networks) < len(ensemble):
            index = torch.tensor(list(networks), device=ensemble.like.device)
            parameters = {name: weights[index] for name, weights in parameters.items()}
        return mean_loss(self.model, parameters, trials, check).tolist()


def mean_loss(
    model: Model, parameters: Parameters, trials: Trials, check_interrupt: Callable[[], None] = lambda: None
) -> Tensor:
    """Return the task loss of each network (seeds,) on the same trials, `TRIALS_PER_BLOCK` at a time.

    Args:
        trials: with a leading dimension of 1.
        check_interrupt: called between forward passes; may raise.
    """
    like = next(iter(parameters.values()))
    losses = []
    for networks in network_slices(like):
        weights = {name: array[networks] for name, array in parameters.items()}
        whole = _expand(trials, len(like[networks]))
        total = like.new_zeros(len(like[networks]))
        for start in range(0, trials.inputs.shape[1], TRIALS_PER_BLOCK):
            check_interrupt()
            block = whole.map(operator.itemgetter((slice(None), slice(start, start + TRIALS_PER_BLOCK))))
            with torch.no_grad():
                total += task_loss(model(weights, block), block, whole)
        losses.append(total)
    return torch.cat(losses)


def _expand(trials: Trials, n_networks: int) -> Trials:
    """Trials (1, ...) as (n_networks, ...), without a copy."""
    return trials.map(lambda array: array.expand(n_networks, *array.shape[1:]))


def _draw(task: Task, like: Tensor, n_trials: int, purpose: str) -> Trials:
    return task.generate(n_trials, Stream.named([0], purpose, device=like.device, dtype=like.dtype))
