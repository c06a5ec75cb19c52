"""Small ensembles that are trained member by member."""

from __future__ import annotations

import torch

from degen.condition import Condition
from degen.training import Ensemble, train

SMALL = (
    "task.n_steps=10",
    "width=6",
    "training.batch_size=5",
    "training.steps_per_epoch=3",
    "training.max_epochs=3",
)


def trained(condition: Condition, seeds: list[int], ensemble: Ensemble | None = None) -> dict[int, Ensemble]:
    """Seed to the finished member, an ensemble of one."""
    ended: dict[int, Ensemble] = {}

    def on_epoch(running: Ensemble, done: Ensemble) -> None:
        for member, seed in enumerate(done.seeds):
            assert seed not in ended
            ended[seed] = done.select([member])

    ensemble = ensemble or Ensemble.new(seeds, condition.task, condition.model, dtype=condition.dtype)
    train(
        ensemble,
        condition.task,
        condition.model,
        condition.training,
        condition.regularizer,
        on_epoch=on_epoch,
    )
    return ended


def assert_identical(actual: Ensemble, expected: Ensemble) -> None:
    assert actual.seeds == expected.seeds
    for kind, parameters in actual.tensors.items():
        for name, weights in parameters.items():
            assert torch.equal(weights, expected.tensors[kind][name]), (kind, name)
    assert repr(actual.histories) == repr(expected.histories)  # NaN equals NaN
