"""The finished networks of a run folder, one file per network."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from torch import Tensor

from degen.condition import Condition
from degen.errors import require
from degen.files import read_tensors, write_tensors
from degen.networks import TrainedNetwork, network_tensors
from degen.storage.paths import RunPaths
from degen.training import Ensemble, status


@dataclasses.dataclass(frozen=True)
class NetworkFiles:
    """The finished networks of a run folder."""

    paths: RunPaths
    condition: Condition

    def write(self, ensemble: Ensemble, member: int) -> None:
        """Store the network at position `member` of an ensemble as finished."""
        seed = ensemble.seeds[member]
        final_status = status(ensemble.histories[member], self.condition.training)
        metadata = {"signature": self.condition.signature, "seed": seed, "status": final_status}
        write_tensors(self.paths.network(seed), network_tensors(ensemble, member, final_status), metadata)

    def read(self, seed: int) -> TrainedNetwork:
        """Return a finished network.

        Raises:
            BadInputError: the file is damaged or altered, or belongs to another condition or seed.
        """
        file = self.paths.network(seed)
        tensors, metadata = read_signed_tensors(file, self.condition.signature)
        require(metadata.get("seed") == seed, str(file), metadata.get("seed"), f"the network of seed {seed}")
        return TrainedNetwork.from_tensors(tensors, metadata)


def read_signed_tensors(file: Path, signature: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and metadata of a file that belongs to the condition with this signature.

    Raises:
        BadInputError: the file is damaged or altered, or belongs to another condition.
    """
    tensors, metadata = read_tensors(file)
    stored = metadata.get("signature")
    require(stored == signature, str(file), stored, f"of signature {signature}")
    return tensors, metadata
