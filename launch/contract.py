"""Checks of the user's tasks and networks, before anything is trained."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging

import torch

import degen.models.contract
import degen.tasks.contract
from degen import models, tasks, training
from degen.condition import Condition, snake_case
from degen.errors import require
from degen.streams import Stream
from degen.training.gradients import loss_and_gradients

logger = logging.getLogger(__name__)

_SEEDS, _TRIALS = (0, 1), 4

_checked: set[str] = set()
"""Tasks and networks that this process has checked, as a sweep has few of them in many conditions."""


def require_contracts(condition: Condition) -> None:
    """Check the task and the network of a condition, and that losses of untrained networks are finite.

    The contracts of degen's own classes are checked by its tests.

    Raises:
        BadInputError: a class does not keep its contract or has the name of a class of degen, or no loss is
            finite.
    """
    for part, package in (
        (condition.task, tasks),
        (condition.model, models),
        (condition.regularizer, training),
    ):
        cls = type(part)
        is_free = _is_ours(part) or snake_case(cls.__name__) not in map(snake_case, package.__all__)
        allowed = "a class with a name that degen does not use, because run folders and tables contain it"
        require(is_free, "_target_", f"{cls.__module__}.{cls.__name__}", allowed)
    parts = ("task", "parameterization", "regularizer", "dtype")
    noise = condition.training.input_noise
    key = json.dumps([*(condition.config[name] for name in parts), noise])
    if key not in _checked:
        _require_valid(condition)
        _require_finite_loss(condition)
        _checked.add(key)


def _require_valid(condition: Condition) -> None:
    task, model = condition.task, condition.model
    if not _is_ours(task):
        degen.tasks.contract.require_valid(task, condition.dtype)
        name = type(task).__name__
        if task.ood() is None and name not in _checked:
            _checked.add(name)
            logger.info("%s has no ood(): losses out of distribution will not be measured", name)
    if not _is_ours(model):
        degen.models.contract.require_valid(model, task, condition.dtype)


def _require_finite_loss(condition: Condition) -> None:
    """Raise `BadInputError` if values of a condition are too large or too small for its dtype.

    All networks would diverge in the first step, without a reason that the user could find.
    """
    task, model = condition.task, condition.model
    stream = functools.partial(Stream.named, _SEEDS, dtype=condition.dtype)
    weights = model.initialize(task, stream("contract, weights"))
    trials = model.add_noise(task.generate(_TRIALS, stream("contract")), stream("contract, noise"))
    # Input noise of this size.
    trials = dataclasses.replace(trials, inputs=trials.inputs + condition.training.input_noise)
    losses, penalties, gradients = loss_and_gradients(model, condition.regularizer, weights, trials)
    values = [losses, penalties, *(gradient.flatten(1).abs().amax(dim=1) for gradient in gradients.values())]
    allowed = "finite: values of task, parameterization, regularizer or noise are too large or too small"
    # A single network may diverge.
    is_finite = bool(torch.isfinite(torch.stack(values)).all(dim=0).any())
    got = [f"{loss:g}" for loss in losses.tolist()]
    require(is_finite, "losses and gradients of untrained networks", got, allowed)


def _is_ours(part: object) -> bool:
    return type(part).__module__.startswith("degen.")
