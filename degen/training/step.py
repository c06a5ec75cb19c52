"""A training step, and an epoch of training steps, of all networks of an ensemble."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from degen.models import Model, Parameters
from degen.streams import Stream, key
from degen.tasks import Task, Trials
from degen.training.ensemble import Ensemble
from degen.training.gradients import LossesAndGradients, loss_and_gradients
from degen.training.recipe import Training, step_learning_rates
from degen.training.regularizers import Regularizer

TRIALS_PER_DRAW = 4096
"""Number of trials of all networks that are drawn at once on a CPU. It does not change the trials.

Tasks that compute trials time step by time step are faster with more trials, as long as the trials fit into
the cache.
"""

StepFunction = Callable[[Trials, Tensor], None]
"""Takes a step, given trials and coefficients of the optimizer: a `TrainingStep` or a `CudaGraphStep`."""

GradientFunction = Callable[[Model, Regularizer, Parameters, Trials], LossesAndGradients]
"""Computes gradients: `loss_and_gradients`, or a function that divides the work."""


@dataclasses.dataclass(frozen=True)
class TrainingStep:
    """A training step of every network, in place.

    A step allocates no state, creates no array from Python numbers and reads no value of an array, so that it
    can be captured as a CUDA graph.

    Attributes:
        loss_sum, penalty_sum: sums over the steps so far, (seeds,).
        gradient_function: computes the gradients.
    """

    ensemble: Ensemble
    model: Model
    training: Training
    regularizer: Regularizer
    loss_sum: Tensor
    penalty_sum: Tensor
    gradient_function: GradientFunction

    @classmethod
    def create(
        cls,
        ensemble: Ensemble,
        model: Model,
        training: Training,
        regularizer: Regularizer,
        gradient_function: GradientFunction = loss_and_gradients,
    ) -> TrainingStep:
        """Return a step of these networks with sums of zero."""
        zeros = ensemble.like.new_zeros(len(ensemble))
        return cls(ensemble, model, training, regularizer, zeros, zeros.clone(), gradient_function)

    def __call__(self, trials: Trials, coefficients: Tensor) -> None:
        """Compute gradients on these trials and update all weights.

        Args:
            trials: (seeds, trials, ...).
            coefficients: coefficients of the optimizer for this step, (k, seeds).
        """
        results = self.gradient_function(self.model, self.regularizer, self.ensemble.parameters, trials)
        self.loss_sum.add_(results.losses)
        self.penalty_sum.add_(results.penalties)
        self.training.optimizer.update(self.ensemble, results.gradients, coefficients)


def train_epoch(
    step: TrainingStep,
    task: Task,
    check_interrupt: Callable[[], None],
    step_function: StepFunction | None = None,
    steps_per_draw: int = 0,
) -> None:
    """Train every network of `step` for its next epoch.

    The device is synchronized once, at the end.

    Args:
        step: the step and its networks.
        task: source of the trials.
        check_interrupt: called before each step. It may raise.
        step_function: takes the steps; `step` itself by default.
        steps_per_draw: number of steps whose trials are drawn at once. It does not change the trials.
    """
    ensemble, training = step.ensemble, step.training
    epochs = [len(history) for history in ensemble.histories]
    initial = step.model.learning_rate(training.optimizer.learning_rate)
    rates = [step_learning_rates(history, training, initial) for history in ensemble.histories]
    steps_done = [epoch * training.steps_per_epoch for epoch in epochs]
    coefficients = training.optimizer.coefficients(rates, steps_done, ensemble.like)
    step.loss_sum.zero_()
    step.penalty_sum.zero_()
    parts = task, step.model, training, ensemble.like, steps_per_draw
    drawn = epoch_trials(ensemble.seeds, epochs, *parts)
    for trials, step_coefficients in zip(drawn, coefficients, strict=True):
        check_interrupt()
        (step_function or step)(trials, step_coefficients)
    means = torch.stack((step.loss_sum, step.penalty_sum)) / training.steps_per_epoch
    for history, loss, penalty, rate in zip(ensemble.histories, *means.tolist(), rates, strict=True):
        history.loss.append(loss)
        history.penalty.append(penalty)
        history.learning_rate.append(rate[0])


def epoch_trials(
    seeds: list[int],
    epochs: list[int],
    task: Task,
    model: Model,
    training: Training,
    like: Tensor,
    steps_per_draw: int = 0,
) -> Iterator[Trials]:
    """Yield the trials of each step with their noise, (seeds, trials, ...), on the device of `like`.

    Noise is new in every epoch, even if trials are not.

    Args:
        seeds: seeds of the networks.
        epochs: for each seed, the epoch whose trials are drawn.
        task: source of the trials.
        model: source of the process noise.
        training: numbers of steps and trials.
        like: an array with the device and dtype of the trials.
        steps_per_draw: number of steps whose trials are drawn at once; 0 for `TRIALS_PER_DRAW`.
    """
    block = steps_per_draw or max(1, TRIALS_PER_DRAW // (training.batch_size * len(seeds)))
    trial_epochs = epochs if training.fresh_trials else [0] * len(epochs)
    parts = training.steps_per_epoch, like.device
    keys = _step_keys("training trials", seeds, trial_epochs, *parts)
    noise_keys = _step_keys("training noise", seeds, epochs, *parts)
    input_noise_keys = _step_keys("input noise", seeds, epochs, *parts)
    for first in range(0, training.steps_per_epoch, block):
        block_keys = keys[first : first + block]
        trials = task.generate(training.batch_size, Stream(block_keys, like.dtype))
        for i in range(len(block_keys)):
            step_trials = trials.map(operator.itemgetter(i))
            input_stream = Stream(input_noise_keys[first + i], like.dtype)
            step_trials = _add_input_noise(step_trials, training.input_noise, input_stream)
            yield model.add_noise(step_trials, Stream(noise_keys[first + i], like.dtype))


def _add_input_noise(trials: Trials, standard_deviation: float, stream: Stream) -> Trials:
    if standard_deviation == 0.0:
        return trials
    noise = stream.normal(*trials.inputs.shape[1:])
    return dataclasses.replace(trials, inputs=trials.inputs + standard_deviation * noise)


def _step_keys(
    purpose: str, seeds: list[int], epochs: list[int], n_steps: int, device: torch.device
) -> Tensor:
    """Return the keys of each step, int64 (steps, seeds)."""
    keys = [
        [key(seed, purpose, epoch, step) for seed, epoch in zip(seeds, epochs, strict=True)]
        for step in range(n_steps)
    ]
    return torch.tensor(keys, dtype=torch.int64, device=device)
