"""Task losses on trials that never change: after each epoch, and to confirm convergence."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator

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
        losses = mean_loss(self.model, ensemble.parameters, self.validation_trials, check_interrupt)
        for history, loss in zip(ensemble.histories, losses.tolist(), strict=True):
            history.validation_loss.append(loss)
        due = [i for i, h in enumerate(ensemble.histories) if needs_confirmation(h, self.training)]
        confirmed = self._confirm(ensemble, due, check_interrupt) if due else {}
        for i, history in enumerate(ensemble.histories):
            loss, error = confirmed.get(i, (math.nan, math.nan))
            history.confirmation_loss.append(loss)
            history.confirmation_error.append(error)
            if epochs_to_convergence(history, self.training) == len(history):
                ensemble.store_converged(i)

    def _confirm(
        self, ensemble: Ensemble, positions: list[int], check_interrupt: Callable[[], None]
    ) -> dict[int, tuple[float, float]]:
        """Return the confirmation loss and its standard error of the networks at these positions."""
        index = torch.tensor(positions, device=ensemble.like.device)
        parameters = {name: weights[index] for name, weights in ensemble.parameters.items()}
        losses = trial_losses(self.model, parameters, self.confirmation_trials, check_interrupt)
        rows = [losses[networks] for networks in network_slices(losses)]
        means = torch.cat([row.mean(dim=1) for row in rows])
        errors = torch.cat([row.std(dim=1) for row in rows]) / math.sqrt(losses.shape[1])
        return dict(zip(positions, zip(means.tolist(), errors.tolist(), strict=True), strict=True))


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
        for block in _blocks(whole):
            check_interrupt()
            with torch.no_grad():
                total += task_loss(model(weights, block), block, whole)
        losses.append(total)
    return torch.cat(losses)


def trial_losses(
    model: Model, parameters: Parameters, trials: Trials, check_interrupt: Callable[[], None] = lambda: None
) -> Tensor:
    """Return the loss of each network on each trial (seeds, trials), whose mean is the task loss.

    Arguments as for `mean_loss`.
    """
    like = next(iter(parameters.values()))
    losses = []
    for networks in network_slices(like):
        weights = {name: array[networks] for name, array in parameters.items()}
        whole = _expand(trials, len(like[networks]))
        rows = []
        for block in _blocks(whole):
            check_interrupt()
            with torch.no_grad():
                squares = (model(weights, block) - block.targets).square().mean(dim=-1)
            rows.append((squares if block.mask is None else squares * block.mask).mean(dim=-1))
        row = torch.cat(rows, dim=1)
        losses.append(row if whole.mask is None else row / whole.mask.mean(dim=(1, 2)).unsqueeze(1))
    return torch.cat(losses)


def _blocks(trials: Trials) -> Iterator[Trials]:
    """Yield the trials in blocks of `TRIALS_PER_BLOCK`."""
    for start in range(0, trials.inputs.shape[1], TRIALS_PER_BLOCK):
        yield trials.map(operator.itemgetter((slice(None), slice(start, start + TRIALS_PER_BLOCK))))


def _expand(trials: Trials, n_networks: int) -> Trials:
    """Trials (1, ...) as (n_networks, ...), without a copy."""
    return trials.map(lambda array: array.expand(n_networks, *array.shape[1:]))


def _draw(task: Task, like: Tensor, n_trials: int, purpose: str) -> Trials:
    return task.generate(n_trials, Stream.named([0], purpose, device=like.device, dtype=like.dtype))
