"""Fields of conditions by their paths, and the fields in which conditions of equal labels differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from degen.condition import Condition


def flatten(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield path and value of every field of a configuration.

    The field of a class (`_target_`) has the path of its part, and the name of the class as its value.

    Example:
        >>> dict(flatten({"regularizer": {"_target_": "degen.training.L1", "strength": 0.1}}))
        {'regularizer': 'L1', 'regularizer.strength': 0.1}
    """
    for name, value in node.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{path}.")
        elif name == "_target_":
            yield prefix.removesuffix("."), value.rpartition(".")[2]
        else:
            yield path, value


def differing_paths(configurations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the paths whose values differ between flattened configurations. A missing value is None.

    Example:
        >>> differing_paths([{"gamma": 1, "width": 8}, {"gamma": 2, "width": 8}])
        ['gamma']
    """
    paths = dict.fromkeys(path for fields in configurations for path in fields)
    return [path for path in paths if len({json.dumps(fields.get(path)) for fields in configurations}) > 1]


def distinguish(conditions: Iterable[Condition]) -> dict[str, str]:
    """Describe the conditions that share their task and label with another one, by signature.

    Returns:
        The fields in which they differ, such as "task.n_steps=12, training.threshold=0.1". Conditions with a
        label of their own are left out.
    """
    by_label: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for condition in conditions:
        same = by_label.setdefault((condition.task_name, condition.label), {})
        same[condition.signature] = dict(flatten(condition.config))
    descriptions = {}
    for same in by_label.values():
        paths = differing_paths(list(same.values()))
        for signature, fields in same.items():
            if paths:
                texts = [f"{path}={fields[path]}" for path in paths if path in fields]
                descriptions[signature] = ", ".join(texts)
    return descriptions
