"""Finished runs: `degen.load` and `degen.Run`."""

from __future__ import annotations

import dataclasses
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from degen.condition import Condition
from degen.errors import require_integer
from degen.models import Model, Parameters
from degen.networks import TrainedNetwork
from degen.storage import RunFolder
from degen.tasks import Task
from degen.training import History


@dataclasses.dataclass(frozen=True)
class Run:
    """The finished networks of a condition.

    Attributes:
        path: the run folder.
        condition: task, model, training and regularizer.
        networks: the finished networks of any status, ordered by seed.
        sessions: records of the training sessions: versions, device, seconds.

    Examples:
        >>> run = load("runs/flip_flop/3bit-standard-n64-gamma1-90b2166f7dae")  # doctest: +SKIP
        >>> run.converged.weights["recurrent"].shape  # doctest: +SKIP
        torch.Size([8, 64, 64])
    """

    path: Path
    condition: Condition
    networks: list[TrainedNetwork]
    sessions: list[dict[str, Any]]

    @property
    def task(self) -> Task:
        """Task on which the networks were trained."""
        return self.condition.task

    @property
    def model(self) -> Model:
        """Model that computes hidden states and outputs from the weights."""
        return self.condition.model

    @property
    def seeds(self) -> list[int]:
        """Seeds of the networks, in the order of `networks` and of the first axis of `weights`."""
        return [network.seed for network in self.networks]

    @property
    def converged(self) -> Run:
        """The run with its converged networks only."""
        networks = [network for network in self.networks if network.status == "converged"]
        return dataclasses.replace(self, networks=networks)

    def with_weights_at(self, stage: str | int) -> Run:
        """Return the run with the weights of another stage of training.

        Args:
            stage: `converged` for the epoch of convergence (the default of `load`), `settled` for the end of
                the settling epochs, or the number of an epoch. For an epoch, networks whose training ended
                before it are left out.

        Raises:
            BadInputError: `stage` has another value, or a network has no snapshot of the epoch.
        """
        if isinstance(stage, int):
            return self._at_epoch(stage)
        networks = [network.with_weights_at(stage) for network in self.networks]
        return dataclasses.replace(self, networks=networks)

    def _at_epoch(self, epoch: int) -> Run:
        require_integer("epoch", epoch, 0)
        folder = RunFolder(self.path, self.condition)
        networks = []
        for network in self.networks:
            weights = folder.snapshots.read(folder.networks.read(network.seed), epoch)
            if weights is not None:
                networks.append(dataclasses.replace(network, weights=weights))
        return dataclasses.replace(self, networks=networks)

    @cached_property
    def weights(self) -> Parameters:
        """Weights by name, each (seeds, ...): at convergence, or at the stage of `with_weights_at`."""
        return _stack([network.weights for network in self.networks])

    @cached_property
    def initial(self) -> Parameters:
        """Initial weights by name, each (seeds, ...)."""
        return _stack([network.initial for network in self.networks])

    @cached_property
    def history(self) -> pd.DataFrame:
        """Row per network and epoch: seed, epoch (from 1) and the fields of `degen.training.History`."""
        columns = ["seed", "epoch", *(field.name for field in dataclasses.fields(History))]
        tables = [
            pd.DataFrame(dataclasses.asdict(network.history)).assign(seed=network.seed)
            for network in self.networks
        ]
        if not tables:
            return pd.DataFrame(columns=columns)
        table = pd.concat(tables).rename_axis("epoch").reset_index()
        table["epoch"] += 1
        return table[columns]


def load(path: str | os.PathLike[str]) -> Run:
    """Return the finished networks of a run folder.

    Args:
        path: a folder `runs/<task>/<name>-<signature>`.

    Raises:
        BadInputError: there is no run folder at `path`, or its files are damaged, altered or belong to
            another condition.
    """
    folder = RunFolder.open(Path(path))
    networks = [folder.networks.read(seed) for seed in folder.finished_seeds()]
    return Run(folder.path, folder.condition, networks, folder.manifest.read())


def _stack(parameters: list[Parameters]) -> Parameters:
    """Concatenate the weights of single networks, (1, ...) each, to (seeds, ...)."""
    if not parameters:
        return {}
    return {name: torch.cat([weights[name] for weights in parameters]) for name in parameters[0]}
