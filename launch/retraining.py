"""Networks that are trained again because they lack snapshots. They must end in the same bits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from typing import Any

from degen.errors import BadInputError
from degen.storage import RunFolder
from degen.training import Ensemble
from launch.checkpointer import Checkpointer


class RetrainingCheckpointer(Checkpointer):
    """Stores networks that are trained again, and compares them with the stored networks after every epoch.

    Args:
        finished: the run folder with the stored networks. The other arguments are those of `Checkpointer`.
    """

    trained_again = True

    def __init__(self, finished: RunFolder, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.finished = finished
        seeds = self.record.record["seeds"]
        self.histories = {seed: finished.networks.read(seed).history for seed in seeds}

    def __call__(self, running: Ensemble, done: Ensemble) -> None:
        for ensemble in (running, done):
            for seed, history in zip(ensemble.seeds, ensemble.histories, strict=True):
                if not self.histories[seed].starts_with(history):
                    raise _mismatch(self.finished, seed, f"in the losses of epoch {len(history)}")
        super().__call__(running, done)


def move_snapshots(again: RunFolder, finished: RunFolder) -> None:
    """Move the snapshots of networks that were trained again to the folder of the stored networks.

    Args:
        again: `finished.retraining()`. It is deleted unless it contains networks in training.
        finished: the run folder.

    Raises:
        BadInputError: a network did not end in the same bits. No snapshot of it is moved.
    """
    for seed in again.finished_seeds():
        # The digest covers weights, history and status.
        if again.networks.read(seed).digest != finished.networks.read(seed).digest:
            raise _mismatch(finished, seed, "in the weights at the end")
        finished.paths.snapshots.mkdir(exist_ok=True)
        for epoch in again.paths.snapshot_epochs(seed):
            os.replace(again.paths.snapshot(seed, epoch), finished.paths.snapshot(seed, epoch))
        again.paths.network(seed).unlink()
    if again.checkpoints.read() is None:
        shutil.rmtree(again.path)


def _mismatch(finished: RunFolder, seed: int, difference: str) -> BadInputError:
    """Delete the retrained networks, and return an error with versions and devices of both trainings."""
    shutil.rmtree(finished.retraining().path)
    sessions = [session for session in finished.manifest.read() if seed in session["seeds"]]
    first = _describe(session for session in sessions if not session.get("trained_again"))
    second = _describe(sessions[-1:])
    return BadInputError(
        f"networks that are trained again for snapshots must end in the bits of the stored networks, got "
        f"a difference {difference} for seed {seed} of {finished.path}: stored by {first}, trained again by "
        f"{second}; the stored networks are unchanged."
    )


def _describe(sessions: Iterable[dict[str, Any]]) -> str:
    """Return versions and devices of sessions, each once."""
    texts = []
    for session in sessions:
        versions, is_cpu = session["versions"], session["device"] == "cpu"
        packages = f"numerics {versions.get('numerics')}, torch {versions['torch']}"
        texts.append(f"degen {versions['degen']} ({packages}) on {session['cpu' if is_cpu else 'device']}")
    return " and ".join(dict.fromkeys(texts)) or "an unknown version"
