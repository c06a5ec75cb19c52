"""An ensemble: all seeds of a condition in one batch, each with its own data, Adam state, schedule and stop.

Members may stand at different epochs (some resumed, some new); those that are done leave the batch.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from degen.models import Model, Parameters
from degen.streams import Stream, key
from degen.tasks import Task, Trials
from degen.training.gradients import loss_and_gradients
from degen.training.processes import spread
from degen.training.recipe import Training, status
from degen.training.regularizers import Regularizer

# Trials of a member that are drawn at once; the numbers do not depend on it, sequential generators are
# faster with more.
_TRIALS_PER_DRAW = 1024


@dataclasses.dataclass
class History:
    """A network's training, one entry an epoch: task loss, penalty and learning rate."""

    loss: list[float] = dataclasses.field(default_factory=list)
    penalty: list[float] = dataclasses.field(default_factory=list)
    learning_rate: list[float] = dataclasses.field(default_factory=list)

    def copy(self) -> History:
        return History(list(self.loss), list(self.penalty), list(self.learning_rate))


@dataclasses.dataclass
class Ensemble:
    """Networks in training.

    Attributes:
        seeds: one a member.
        initial, parameters: weights at the start and now, each (seeds, ...).
        first_moment, second_moment: Adam's running means, like the weights.
        histories: one a member; its length is the number of epochs the member has behind it.
    """

    seeds: list[int]
    initial: Parameters
    parameters: Parameters
    first_moment: Parameters
    second_moment: Parameters
    histories: list[History]

    @classmethod
    def new(
        cls,
        seeds: Sequence[int],
        task: Task,
        model: Model,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Ensemble:
        """Untrained networks; a seed's initial weights do not depend on device or company."""
        drawn = model.initialize(task, Stream.named(seeds, "initial weights", dtype=dtype))
        initial = {name: weights.to(device) for name, weights in drawn.items()}
        return cls(
            seeds=list(seeds),
            initial=initial,
            parameters={name: weights.clone() for name, weights in initial.items()},
            first_moment={name: torch.zeros_like(weights) for name, weights in initial.items()},
            second_moment={name: torch.zeros_like(weights) for name, weights in initial.items()},
            histories=[History() for _ in seeds],
        )

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def tensors(self) -> dict[str, Parameters]:
        """The four sets of stacked weights, by name."""
        names = ("initial", "parameters", "first_moment", "second_moment")
        return {name: getattr(self, name) for name in names}

    def select(self, members: Sequence[int]) -> Ensemble:
        """The members at these positions, copied."""
        sets = {
            name: {key: weights[list(members)] for key, weights in parameters.items()}
            for name, parameters in self.tensors.items()
        }
        histories = [self.histories[i].copy() for i in members]
        return Ensemble(seeds=[self.seeds[i] for i in members], histories=histories, **sets)

    def to(self, device: torch.device | str) -> Ensemble:
        """The same members on that device."""
        sets = {
            name: {key: weights.to(device) for key, weights in parameters.items()}
            for name, parameters in self.tensors.items()
        }
        return dataclasses.replace(self, **sets)  # type: ignore[arg-type]

    def join(self, *others: Ensemble) -> Ensemble:
        """The members of all."""
        every = (self, *others)
        sets = {
            name: {key: torch.cat([one.tensors[name][key] for one in every]) for key in parameters}
            for name, parameters in self.tensors.items()
        }
        seeds = [seed for one in every for seed in one.seeds]
        return Ensemble(
            seeds=seeds, histories=[history for one in every for history in one.histories], **sets
        )


def train(
    ensemble: Ensemble,
    task: Task,
    model: Model,
    training: Training,
    regularizer: Regularizer,
    *,
    on_wait: Callable[[], None] = lambda: None,
    on_epoch: Callable[[Ensemble, Ensemble], None] = lambda running, done: None,
) -> None:
    """Train every member to its end.

    On a CPU each member is computed by itself, so its numbers are bit for bit those it has when trained
    alone, and the members are spread over the cores. On a GPU all are one batch; members agree with those
    trained alone to rounding.

    Args:
        on_wait: called at least every tenth of a second or before each Adam step; may raise to interrupt.
        on_epoch: called after each epoch with the members still in training and those done in it.
    """

    def trained(members: Ensemble, on_wait: Callable[[], None]) -> Ensemble:
        _train_epoch(members, task, model, training, regularizer, on_wait)
        return members

    while len(ensemble):
        on_cpu = next(iter(ensemble.parameters.values())).device.type == "cpu"
        parts = [ensemble.select([i]) for i in range(len(ensemble))] if on_cpu else [ensemble]
        first, *rest = spread(trained, parts, on_wait)
        ensemble = first.join(*rest)
        running = [status(history.loss, training) == "running" for history in ensemble.histories]
        done = ensemble.select([i for i, still in enumerate(running) if not still])
        ensemble = ensemble.select([i for i, still in enumerate(running) if still])
        on_epoch(ensemble, done)


def _train_epoch(
    ensemble: Ensemble,
    task: Task,
    model: Model,
    training: Training,
    regularizer: Regularizer,
    on_wait: Callable[[], None],
) -> None:
    """One epoch of every member, each at its own; the members are changed in place."""
    like = next(iter(ensemble.parameters.values()))
    epochs = [len(history.loss) for history in ensemble.histories]
    factors = [training.schedule.factor(history.loss) for history in ensemble.histories]
    rates = [factor * model.learning_rate(training.learning_rate) for factor in factors]
    rate = torch.tensor(rates, dtype=like.dtype, device=like.device)
    loss_sum, penalty_sum = torch.zeros_like(rate), torch.zeros_like(rate)
    for step, trials in enumerate(_epoch_trials(ensemble.seeds, epochs, task, training, like)):
        on_wait()
        losses, penalties, gradients = loss_and_gradients(model, regularizer, ensemble.parameters, trials)
        loss_sum += losses
        penalty_sum += penalties
        counts = [epoch * training.steps_per_epoch + step + 1 for epoch in epochs]
        _adam_step(ensemble, gradients, rate, counts, training, model.adam_epsilon)
    means = (loss_sum / training.steps_per_epoch).tolist(), (penalty_sum / training.steps_per_epoch).tolist()
    for history, loss, penalty, learning_rate in zip(ensemble.histories, *means, rates, strict=True):
        history.loss.append(loss)
        history.penalty.append(penalty)
        history.learning_rate.append(learning_rate)


def _epoch_trials(
    seeds: list[int], epochs: list[int], task: Task, training: Training, like: Tensor
) -> Iterator[Trials]:
    """Yield the trials of each step (seeds, trials, ...), drawn several steps at a time."""
    block = max(1, _TRIALS_PER_DRAW // training.batch)
    used = epochs if training.fresh_trials else [0] * len(epochs)
    for first in range(0, training.steps_per_epoch, block):
        steps = range(first, min(first + block, training.steps_per_epoch))
        keys = [
            [key(seed, "training trials", epoch, step) for seed, epoch in zip(seeds, used, strict=True)]
            for step in steps
        ]
        stream = Stream(torch.tensor(keys, dtype=torch.int64, device=like.device), like.dtype)
        trials: Trials = task.generate(training.batch, stream)
        yield from (trials.map(operator.itemgetter(i)) for i in range(len(steps)))


def _adam_step(
    ensemble: Ensemble,
    gradients: Parameters,
    rate: Tensor,
    counts: list[int],
    training: Training,
    epsilon: float,
) -> None:
    """Adam (Kingma & Ba 2015, algorithm 1), in place, with each member's own rate (seeds,) and step count."""
    beta1, beta2 = training.first_moment_decay, training.second_moment_decay
    count = torch.tensor(counts, dtype=torch.float64)
    bias1 = (1 - beta1**count).to(rate)
    bias2 = (1 - beta2**count).to(rate)
    for name, gradient in gradients.items():
        members = (-1,) + (1,) * (gradient.ndim - 1)
        first, second = ensemble.first_moment[name], ensemble.second_moment[name]
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        scale = (second / bias2.view(members)).sqrt_().add_(epsilon)
        ensemble.parameters[name].sub_((rate / bias1).view(members) * first / scale)
