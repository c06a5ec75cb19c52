"""Ensembles: the weights, optimizer states and histories of all networks of a condition."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from degen.models import Model, Parameters
from degen.streams import Stream
from degen.tasks import Task


@dataclasses.dataclass
class History:
    """Record of the training of a network, with one entry per epoch.

    Attributes:
        loss, penalty: task loss and penalty, averaged over the steps of the epoch.
        learning_rate: learning rate of the first step of the epoch.
        validation_loss: task loss on the validation trials at the end of the epoch.
        confirmation_loss, confirmation_error: task loss on the confirmation trials and its standard error.
            NaN in epochs without a confirmation.

    Examples:
        >>> history = History(loss=[0.5, 0.2], validation_loss=[0.4, 0.1])
        >>> len(history)
        2
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
        """Return a copy that shares no list with the original."""
        return History(**{field.name: list(getattr(self, field.name)) for field in dataclasses.fields(self)})

    def starts_with(self, other: History) -> bool:
        """Return whether the first epochs have exactly the values of another history."""
        return all(
            np.array_equal(
                getattr(self, field.name)[: len(other)], getattr(other, field.name), equal_nan=True
            )
            for field in dataclasses.fields(self)
        )


WEIGHT_SETS = ("initial", "parameters", "first_moment", "second_moment", "converged")
"""Fields of `Ensemble` with one array per weight."""


@dataclasses.dataclass
class Ensemble:
    """Networks in training.

    Attributes:
        seeds: seed of each network.
        initial, parameters: initial and current weights by name, each (seeds, ...).
        first_moment, second_moment: running averages of the optimizer, shaped like the weights.
        converged: weights at convergence. Zero for networks that have not converged.
        histories: history of each network.

    Examples:
        >>> from degen.models import Standard
        >>> from degen.tasks import FlipFlop
        >>> task = FlipFlop(channels=3, n_steps=20, pulse_probability=0.3)
        >>> ensemble = Ensemble.new([0, 1, 2], task, Standard(width=8, gamma=1.0))
        >>> ensemble.parameters["recurrent"].shape
        torch.Size([3, 8, 8])
        >>> ensemble.select([2, 0]).seeds
        [2, 0]
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
        """Return untrained networks. Initial weights do not depend on the device or on other seeds."""
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
        """An array with the device and dtype of the ensemble, for `new_zeros` and similar methods."""
        return next(iter(self.parameters.values()))

    @property
    def tensors(self) -> dict[str, Parameters]:
        """All arrays: by the names in `WEIGHT_SETS`, then by the name of the weight."""
        return {name: getattr(self, name) for name in WEIGHT_SETS}

    def store_converged(self, index: int) -> None:
        """Store the current weights of the network at position `index` as its weights at convergence."""
        for name, weights in self.parameters.items():
            self.converged[name][index] = weights[index]

    def select(self, positions: Sequence[int]) -> Ensemble:
        """Return a copy of the networks at these positions."""
        # Create the index once. A list would be copied to a GPU for every array.
        index = torch.tensor(list(positions), dtype=torch.long, device=self.like.device)
        sets = {
            name: {key: weights[index] for key, weights in parameters.items()}
            for name, parameters in self.tensors.items()
        }
        histories = [self.histories[i].copy() for i in positions]
        return Ensemble(seeds=[self.seeds[i] for i in positions], histories=histories, **sets)

    def to(self, device: torch.device | str) -> Ensemble:
        """Return the ensemble on another device."""
        sets = {
            name: {key: weights.to(device) for key, weights in parameters.items()}
            for name, parameters in self.tensors.items()
        }
        return dataclasses.replace(self, **sets)  # type: ignore[arg-type]

    def load(self, other: Ensemble) -> None:
        """Copy another ensemble of equal size into the arrays of this ensemble, without new memory."""
        for name, parameters in self.tensors.items():
            for key, weights in parameters.items():
                weights.copy_(other.tensors[name][key])
        self.seeds, self.histories = list(other.seeds), [history.copy() for history in other.histories]

    def join(self, *others: Ensemble) -> Ensemble:
        """Return an ensemble with the networks of this and of the other ensembles."""
        ensembles = (self, *others)
        sets = {
            name: {key: torch.cat([e.tensors[name][key] for e in ensembles]) for key in parameters}
            for name, parameters in self.tensors.items()
        }
        seeds = [seed for ensemble in ensembles for seed in ensemble.seeds]
        histories = [history for ensemble in ensembles for history in ensemble.histories]
        return Ensemble(seeds=seeds, histories=histories, **sets)
