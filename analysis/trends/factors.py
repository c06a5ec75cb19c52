"""Columns that describe the swept values of a condition."""

from __future__ import annotations

import json
from typing import Any

from degen.condition import Condition
from launch.condition_fields import differing_paths, flatten
from launch.experiment import Experiment


def factor_columns(experiment: Experiment, condition: Condition) -> dict[str, Any]:
    """Return `factor_name`, the path of the swept field of a condition, and `factor_value`, its value."""
    paths = [path for path in experiment.factor if condition.has(path)]
    name = (paths or experiment.factor)[0]
    return {"factor_name": name, "factor_value": experiment.table_value(condition)}


def swept_columns(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """Return the value of every swept field, by condition signature and path of the field.

    A field is swept if its value differs between two conditions of a task. A condition without the field has
    the value None.
    """
    fields = {condition.signature: dict(flatten(condition.config)) for condition in experiment.conditions}
    swept: set[str] = set()
    for task in {condition.task_name for condition in experiment.conditions}:
        swept.update(
            differing_paths([fields[c.signature] for c in experiment.conditions if c.task_name == task])
        )
    columns = {path: _column([values.get(path) for values in fields.values()]) for path in sorted(swept)}
    return {
        signature: {path: column[row] for path, column in columns.items()}
        for row, signature in enumerate(fields)
    }


def _column(values: list[Any]) -> list[Any]:
    """Return values of one type, which a table can store: as JSON where types differ."""
    kinds = {float if type(value) is int else type(value) for value in values if value is not None}
    if len(kinds) == 1 and kinds <= {float, bool, str}:
        return values
    return [None if value is None else json.dumps(value) for value in values]
