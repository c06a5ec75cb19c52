"""Reading of run folders: `degen.load`."""

from __future__ import annotations

import dataclasses
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from degen.condition import Condition
from degen.models import Model, Parameters
from degen.networks import Network
from degen.storage import RunFolder
from degen.tasks import Task
from degen.training import History


@dataclasses.dataclass(frozen=True)
class Run:
    """The finished networks of a condition.

    Attributes:
        path: the run folder.
        condition: what was trained.
        networks: the finished networks of any status, ordered by seed.
        sessions: records of the training sessions: versions, device, seconds.
    """

    path: Path
    condition: Condition
    networks: list[Network]
    sessions: list[dict[str, Any]]

    @property
    def task(self) -> Task:
        return self.condition.task

    @property
    def model(self) -> Model:
        return self.condition.model

    @property
    def seeds(self) -> list[int]:
        return [network.seed for network in self.networks]

    @property
    def converged(self) -> Run:
        """The run with its converged networks only."""
        networks = [network for network in self.networks if network.status == "converged"]
        return dataclasses.replace(self, networks=networks)

    def with_weights_at(self, stage: str) -> Run:
        """Return the run with each network's `weights` at that stage.

        Args:
            stage: `converged`, at the end of the epoch of convergence (as loaded), or `settled`, after the
                settling epochs.
        """
        networks = [network.with_weights_at(stage) for network in self.networks]
        return dataclasses.replace(self, networks=networks)

    @cached_property
    def weights(self) -> Parameters:
        """Weights at convergence unless `with_weights_at` chose others, stacked: (seeds, ...)."""
        return _stacked([network.weights for network in self.networks])

    @cached_property
    def initial(self) -> Parameters:
        """Initial weights, stacked: (seeds, ...)."""
        return _stacked([network.initial for network in self.networks])

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row per network and epoch: seed, epoch (from 1) and the fields of `degen.training.History`."""
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
    """Return the condition and the finished networks of a run folder.

    Raises:
        BadInputError: there is no run folder, or it is damaged, altered or of another condition.
    """
    folder = RunFolder.open(Path(path))
    networks = [folder.networks.read(seed) for seed in folder.finished_seeds()]
    return Run(folder.path, folder.condition, networks, folder.manifest.read())


def _stacked(parameters: list[Parameters]) -> Parameters:
    return (
        {name: torch.cat([weights[name] for weights in parameters]) for name in parameters[0]}
        if parameters
        else {}
    )
