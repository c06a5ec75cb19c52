"""Finished networks, and the named tensors in network files and checkpoints."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from degen.errors import require_choice
from degen.models import Parameters
from degen.training import Ensemble, History
from degen.training.ensemble import WEIGHT_SETS

WEIGHTS_AT = ("converged", "settled")
"""Stages of training whose weights a network file contains."""


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
    """A finished network.

    Attributes:
        seed: seed of the network.
        status: `converged`, `unconverged` or `diverged`.
        digest: SHA-256 checksum of the file's contents.
        initial: weights before training by name, each (1, ...), the format of `degen.models` for one network.
        weights: weights at convergence, or at the end of training for a network that has not converged.
        settled: weights after the settling epochs. Equal to `weights` if there are none.
        history: losses, penalty and learning rate of each epoch.
    """

    seed: int
    status: str
    digest: str
    initial: Parameters
    weights: Parameters
    settled: Parameters
    history: History

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> TrainedNetwork:
        """Create a network from the tensors and metadata of its file."""
        initial, weights, settled = (
            {name: array.unsqueeze(0) for name, array in _below(kind, tensors).items()}
            for kind in ("initial", "weights", "settled")
        )
        return cls(
            seed=metadata["seed"],
            status=metadata["status"],
            digest=metadata["sha256"],
            initial=initial,
            weights=weights,
            settled=settled or weights,
            history=_history(tensors),
        )

    def with_weights_at(self, stage: str) -> TrainedNetwork:
        """Return the network with `weights` at this stage, `converged` or `settled`.

        Raises:
            BadInputError: `stage` is neither.
        """
        require_choice("weights_at", stage, WEIGHTS_AT)
        return self if stage == "converged" else dataclasses.replace(self, weights=self.settled)


def network_tensors(ensemble: Ensemble, index: int, status: str) -> dict[str, Tensor]:
    """Return the tensors of a finished network.

    Their names are `initial/<name>`, `weights/<name>`, `history/<field>`, and for a converged network
    `settled/<name>`.

    Args:
        ensemble: the ensemble that contains the network.
        index: position of the network in the ensemble.
        status: status of the network.
    """
    sets = {"initial": ensemble.initial, "weights": ensemble.parameters}
    if status == "converged":
        sets |= {"weights": ensemble.converged, "settled": ensemble.parameters}
    tensors = {
        f"{kind}/{name}": array[index] for kind, arrays in sets.items() for name, array in arrays.items()
    }
    return tensors | _history_tensors(ensemble.histories[index])


def snapshot_tensors(ensemble: Ensemble, index: int) -> dict[str, Tensor]:
    """Return the tensors of a network in training: `weights/<name>` and `history/<field>`.

    Args:
        ensemble: the ensemble that contains the network.
        index: position of the network in the ensemble.
    """
    tensors = {f"weights/{name}": weights[index] for name, weights in ensemble.parameters.items()}
    return tensors | _history_tensors(ensemble.histories[index])


def snapshot_from(tensors: Mapping[str, Tensor]) -> tuple[Parameters, History]:
    """Return weights, each (1, ...), and history of these `snapshot_tensors`."""
    weights = {name: array.unsqueeze(0) for name, array in _below("weights", tensors).items()}
    return weights, _history(tensors)


def checkpoint_tensors(ensemble: Ensemble) -> dict[str, Tensor]:
    """Return the tensors of networks in training.

    Their names are `<weight set>/<name>` and `history/<seed>/<field>`.
    """
    tensors = {
        f"{kind}/{name}": weights
        for kind, parameters in ensemble.tensors.items()
        for name, weights in parameters.items()
    }
    for seed, history in zip(ensemble.seeds, ensemble.histories, strict=True):
        tensors |= _history_tensors(history, prefix=f"{seed}/")
    return tensors


def ensemble_from(tensors: Mapping[str, Tensor], seeds: list[int]) -> Ensemble:
    """Return the ensemble of these `checkpoint_tensors`."""
    return Ensemble(
        seeds=seeds,
        histories=[_history(tensors, prefix=f"{seed}/") for seed in seeds],
        **{kind: _below(kind, tensors) for kind in WEIGHT_SETS},
    )


def _history_tensors(history: History, prefix: str = "") -> dict[str, Tensor]:
    fields = dataclasses.asdict(history)
    return {
        f"history/{prefix}{name}": torch.tensor(values, dtype=torch.float64)
        for name, values in fields.items()
    }


def _history(tensors: Mapping[str, Tensor], prefix: str = "") -> History:
    names = [field.name for field in dataclasses.fields(History)]
    return History(**{name: tensors[f"history/{prefix}{name}"].tolist() for name in names})


def _below(kind: str, tensors: Mapping[str, Tensor]) -> Parameters:
    """Return the tensors whose names start with `kind/`, without this prefix."""
    return {
        name.removeprefix(f"{kind}/"): value for name, value in tensors.items() if name.startswith(f"{kind}/")
    }
