"""Checks of the user's tasks and networks, before anything is trained."""

from __future__ import annotations

import json
import logging

import degen.models.contract
import degen.tasks.contract
from degen import models, tasks, training
from degen.condition import Condition, snake_case
from degen.errors import require

logger = logging.getLogger(__name__)

_checked: set[str] = set()
"""Tasks and networks that this process has checked, as a sweep has few of them in many conditions."""


def require_contracts(condition: Condition) -> None:
    """Check the task and the network of a condition, unless they belong to degen, whose tests check them.

    Raises:
        BadInputError: a class does not keep its contract, or has the name of a class of degen.
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
    key = json.dumps([condition.config[name] for name in ("task", "parameterization", "dtype")])
    if key not in _checked:
        _require_valid(condition)
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


def _is_ours(part: object) -> bool:
    return type(part).__module__.startswith("degen.")
