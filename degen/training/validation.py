"""Validation after each epoch, and confirmation of convergence, on fixed trials."""

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
from degen.training.gradients import network_slices, output_errors, task_loss
from degen.training.recipe import Training, epochs_to_convergence, needs_confirmation

TRIALS_PER_BLOCK = 128
"""Number of trials per forward pass. More trials do not fit into the cache of a CPU core."""


class Validation:
    """Validation and confirmation of an ensemble, on the same trials for all networks and epochs.

    On a CPU, each network is computed separately, so that its losses do not depend on the ensemble size.
    """

    def __init__(self, task: Task, model: Model, training: Training, like: Tensor):
        self.model, self.training = model, training
        drawn = functools.partial(_draw, task, model, like)
        self.validation_trials = drawn(training.validation_trials, "validation")
        self.confirmation_trials = drawn(training.confirmation_trials, "confirmation")

    def __call__(self, ensemble: Ensemble, check_interrupt: Callable[[], None] = lambda: None) -> None:
        """Complete the histories of the last epoch, and store the weights of networks that converged in it.

        Args:
            ensemble: the networks. Their last epoch has no validation loss yet.
            check_interrupt: called between forward passes. It may raise.
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
    """Return the task loss of each network (seeds,) on the same trials.

    Args:
        model: the recurrent network.
        parameters: weights by name, each (seeds, ...).
        trials: trials with a leading dimension of 1, (1, trials, ...).
        check_interrupt: called between forward passes. It may raise.
    """
    blocks = _measure_blocks(task_loss, model, parameters, trials, check_interrupt)
    # Each block's result is its contribution to the mean over all trials, so the sum is the mean.
    return torch.cat([functools.reduce(torch.add, losses) for losses in blocks])


def trial_losses(
    model: Model, parameters: Parameters, trials: Trials, check_interrupt: Callable[[], None] = lambda: None
) -> Tensor:
    """Return the loss of each network on each trial (seeds, trials), whose mean is the task loss.

    Arguments as for `mean_loss`.
    """
    blocks = _measure_blocks(_loss_per_trial, model, parameters, trials, check_interrupt)
    return torch.cat([torch.cat(losses, dim=1) for losses in blocks])


def _loss_per_trial(outputs: Tensor, trials: Trials, full_batch: Trials) -> Tensor:
    """Return the loss of each trial (seeds, trials), weighted as in the loss of the full batch."""
    errors = output_errors(outputs, trials).mean(dim=-1)
    if trials.mask is None or full_batch.mask is None:
        return errors.mean(dim=-1)
    return (errors * trials.mask).mean(dim=-1) / full_batch.mask.mean(dim=(1, 2)).unsqueeze(1)


def _measure_blocks(
    measure: Callable[[Tensor, Trials, Trials], Tensor],
    model: Model,
    parameters: Parameters,
    trials: Trials,
    check_interrupt: Callable[[], None],
) -> list[list[Tensor]]:
    """Apply `measure` to the outputs on blocks of `TRIALS_PER_BLOCK` trials.

    Args:
        measure: function of the outputs on a block, the trials of the block and all trials.
        model: the recurrent network.
        parameters: weights by name, each (seeds, ...).
        trials: trials with a leading dimension of 1, (1, trials, ...).
        check_interrupt: called between forward passes. It may raise.

    Returns:
        The results of all blocks, for each of `network_slices`.
    """
    like = next(iter(parameters.values()))
    results = []
    for networks in network_slices(like):
        weights = {name: array[networks] for name, array in parameters.items()}
        full_batch = _expand(trials, len(like[networks]))
        blocks = []
        for start in range(0, trials.inputs.shape[1], TRIALS_PER_BLOCK):
            check_interrupt()
            part = slice(start, start + TRIALS_PER_BLOCK)
            block = full_batch.map(operator.itemgetter((slice(None), part)))
            with torch.no_grad():
                blocks.append(measure(model(weights, block), block, full_batch))
        results.append(blocks)
    return results


def _expand(trials: Trials, n_networks: int) -> Trials:
    """Expand trials (1, ...) to (n_networks, ...) without a copy."""
    return trials.map(lambda array: array.expand(n_networks, *array.shape[1:]))


def _draw(task: Task, model: Model, like: Tensor, n_trials: int, purpose: str) -> Trials:
    """Return trials with process noise, (1, trials, ...)."""
    trial_stream, noise_stream = (
        Stream.named([0], f"{purpose} {kind}", device=like.device, dtype=like.dtype)
        for kind in ("trials", "noise")
    )
    return model.add_noise(task.generate(n_trials, trial_stream), noise_stream)
