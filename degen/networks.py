"""Networks as files hold them: named tensors, of one that is finished or of an ensemble in training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from degen.models import Parameters
from degen.training import Ensemble, History


@dataclasses.dataclass(frozen=True)
class Network:
    """A finished network.

    Attributes:
        seed: its seed.
        status: `converged`, `unconverged` or `diverged`.
        digest: SHA-256 of the file's contents.
        initial, weights: name to array, (1, ...): an ensemble of one, as `degen.models` take it.
        history: loss, penalty and learning rate of each epoch.
    """

    seed: int
    status: str
    digest: str
    initial: Parameters
    weights: Parameters
    history: History

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Network:
        """The inverse of `network_tensors`."""
        return cls(
            seed=metadata["seed"],
            status=metadata["status"],
            digest=metadata["sha256"],
            initial={name: weights.unsqueeze(0) for name, weights in _below("initial", tensors).items()},
            weights={name: weights.unsqueeze(0) for name, weights in _below("weights", tensors).items()},
            history=_history(tensors),
        )


def network_tensors(ensemble: Ensemble, member: int) -> dict[str, Tensor]:
    """A finished member: `initial/<name>`, `weights/<name>` and `history/<field>`."""
    tensors = {f"initial/{name}": weights[member] for name, weights in ensemble.initial.items()}
    tensors |= {f"weights/{name}": weights[member] for name, weights in ensemble.parameters.items()}
    return tensors | _history_tensors(ensemble.histories[member])


def checkpoint_tensors(ensemble: Ensemble) -> dict[str, Tensor]:
    """Networks in training: `<kind>/<name>` for the weights and Adam's, `history/<seed>/<field>`."""
    tensors = {
        f"{kind}/{name}": weights
        for kind, parameters in ensemble.tensors.items()
        for name, weights in parameters.items()
    }
    for seed, history in zip(ensemble.seeds, ensemble.histories, strict=True):
        tensors |= _history_tensors(history, prefix=f"{seed}/")
    return tensors


def ensemble_from(tensors: Mapping[str, Tensor], seeds: list[int]) -> Ensemble:
    """The inverse of `checkpoint_tensors`."""
    kinds = ("initial", "parameters", "first_moment", "second_moment")
    return Ensemble(
        seeds=seeds,
        histories=[_history(tensors, prefix=f"{seed}/") for seed in seeds],
        **{kind: _below(kind, tensors) for kind in kinds},
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
    """The tensors named `kind/...`, by the rest of their names."""
    return {
        name.removeprefix(f"{kind}/"): value for name, value in tensors.items() if name.startswith(f"{kind}/")
    }
