"""An ensemble: all seeds of a condition, each with its own weights, optimizer state and history."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from degen.models import Model, Parameters
from degen.streams import Stream
from degen.tasks import Task


@dataclasses.dataclass
class History:
    """A network's training, one entry per epoch.

    Attributes:
        loss, penalty: means over the steps of the epoch.
        learning_rate: of the first step of the epoch.
        validation_loss: task loss at the end of the epoch, on the validation trials.
        confirmation_loss, confirmation_error: task loss on the confirmation trials and its standard error;
            NaN where they were not computed.
    """

    loss: list[float] = dataclasses.field(default_factory=list)
    penalty: list[float] = dataclasses.field(default_factory=list)
    learning_rate: list[float] = dataclasses.field(default_factory=list)
    validation_loss: list[float] = dataclasses.field(default_factory=list)
    confirmation_loss: list[float] = dataclasses.field(default_factory=list)
    confirmation_error: list[float] = dataclasses.field(default_factory=list)

    def __len__(self) -> int:
        return len(self.loss)

    def copy(self) -> History:
        """Return a copy whose lists are its own."""
        return History(**{field.name: list(getattr(self, field.name)) for field in dataclasses.fields(self)})


WEIGHT_SETS = ("initial", "parameters", "first_moment", "second_moment", "converged")
"""The fields of `Ensemble` that hold an array for each weight."""


@dataclasses.dataclass
class Ensemble:
    """Networks in training.

    Attributes:
        seeds: one per network.
        initial, parameters: weights at the start and now, each (seeds, ...).
        first_moment, second_moment: the optimizer's running averages, like the weights.
        converged: weights at convergence, zero for networks that have not converged.
        histories: one per network.
    """

    seeds: list[int]
    initial: Parameters
    parameters: Parameters
    first_moment: Parameters
    second_moment: Parameters
    converged: Parameters
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
        """Return untrained networks; initial weights depend neither on the device nor on other seeds."""
        drawn = model.initialize(task, Stream.named(seeds, "initial weights", dtype=dtype))
        initial = {name: weights.to(device) for name, weights in drawn.items()}
        return cls(
            seeds=list(seeds),
            initial=initial,
            parameters={name: weights.clone() for name, weights in initial.items()},
            first_moment={name: torch.zeros_like(weights) for name, weights in initial.items()},
            second_moment={name: torch.zeros_like(weights) for name, weights in initial.items()},
            converged={name: torch.zeros_like(weights) for name, weights in initial.items()},
            histories=[History() for _ in seeds],
        )

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def like(self) -> torch.Tensor:
        """An array of the ensemble's device and dtype, for `new_zeros` and similar methods."""
        return next(iter(self.parameters.values()))

    @property
    def tensors(self) -> dict[str, Parameters]:
        """The sets of stacked weights, by name."""
        return {name: getattr(self, name) for name in WEIGHT_SETS}

    def store_converged(self, index: int) -> None:
        """Store the present weights of the network at that position as those at convergence."""
        for name, weights in self.parameters.items():
            self.converged[name][index] = weights[index]

    def select(self, positions: Sequence[int]) -> Ensemble:
        """Return a copy of the networks at these positions."""
        # One index for all arrays: a list would be copied to a GPU for each array.
        index = torch.tensor(list(positions), dtype=torch.long, device=self.like.device)
        sets = {
            name: {key: weights[index] for key, weights in parameters.items()}
            for name, parameters in self.tensors.items()
        }
        histories = [self.histories[i].copy() for i in positions]
        return Ensemble(seeds=[self.seeds[i] for i in positions], histories=histories, **sets)

    def to(self, device: torch.device | str) -> Ensemble:
        """Return the ensemble on that device."""
        sets = {
            name: {key: weights.to(device) for key, weights in parameters.items()}
            for name, parameters in self.tensors.items()
        }
        return dataclasses.replace(self, **sets)  # type: ignore[arg-type]

    def load(self, other: Ensemble) -> None:
        """Copy another ensemble of as many networks into this one's arrays, which keep their memory."""
        for name, parameters in self.tensors.items():
            for key, weights in parameters.items():
                weights.copy_(other.tensors[name][key])
        self.seeds, self.histories = list(other.seeds), [history.copy() for history in other.histories]

    def join(self, *others: Ensemble) -> Ensemble:
        """Return one ensemble with the networks of this and the others."""
        ensembles = (self, *others)
        sets = {
            name: {key: torch.cat([e.tensors[name][key] for e in ensembles]) for key in parameters}
            for name, parameters in self.tensors.items()
        }
        seeds = [seed for ensemble in ensembles for seed in ensemble.seeds]
        histories = [history for ensemble in ensembles for history in ensemble.histories]
        return Ensemble(seeds=seeds, histories=histories, **sets)
