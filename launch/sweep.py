"""The experiment of a sweep: all conditions of `launch.train -m`, without an experiment file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from degen.condition import Condition
from degen.errors import require
from launch.config import compose_all, expand_sweep, quote_numbers
from launch.experiment import Experiment
from launch.settings import parse_seeds

_MAX_NAME_LENGTH = 120


def sweep_experiment(overrides: Sequence[str]) -> Experiment:
    """Return the experiment of all conditions of a sweep.

    The factor is the first field with several values. The task is the factor only if nothing else varies,
    because analyses compare networks of one task. Seeds of all values are combined.

    Args:
        overrides: overrides of `launch.train -m`, each of which may have several values.

    Raises:
        BadInputError: a condition is not allowed, or an override names an experiment.
    """
    for text in overrides:
        require(
            not text.startswith("experiment="), "an override of a sweep", text, "one of a single condition"
        )
    lines = expand_sweep(list(overrides))
    configs = compose_all("train", lines)
    conditions = [Condition.from_config(config) for config in configs]
    seeds = {seed for config in configs for seed in parse_seeds(config["seeds"])}
    factors = _factors(overrides, lines, conditions)
    path, label = next((item for item in factors if item[1] != "task"), (factors or [("width", "width")])[0])
    # As for an experiment, whose scale says which overrides were given in addition.
    fixed = [
        text for text in _without_hydra(overrides) if not _is_sweep(text) and not text.startswith("scale=")
    ]
    scale = configs[0]["scale"]["name"]
    return Experiment(
        name=_name(overrides),
        factor=[path],
        label=label.rpartition(".")[2].replace("_", " "),
        baseline=[],
        swept=list({condition.signature: condition for condition in conditions}.values()),
        seeds=sorted(seeds),
        scale=f"{scale} with {', '.join(fixed)}" if fixed else scale,
        trajectories=False,
        is_sweep=True,
    )


def _factors(
    overrides: Sequence[str], lines: Sequence[list[str]], conditions: Sequence[Condition]
) -> list[tuple[str, str]]:
    """Return the path of a value that each override with several values changes, and the override's name."""
    factors = []
    for i, text in enumerate(overrides):
        # Conditions that differ in this override only.
        others = [[*line[:i], *line[i + 1 :]] for line in lines]
        varied = [
            dict(_leaves(c.config)) for c, rest in zip(conditions, others, strict=True) if rest == others[0]
        ]
        changed = [path for path in varied[0] if len({json.dumps(leaves.get(path)) for leaves in varied}) > 1]
        name = _parse(text).key_or_group
        if changed:
            first = conditions[0]
            is_value = first.has(name) and not isinstance(first.value(name), Mapping)
            factors.append((name if is_value else changed[0], name))
    return factors


def _leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and the value of every field. The class of a part (`_target_`) comes first."""
    for name, value in node.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _parse(override: str) -> Override:
    (parsed,) = OverridesParser.create().parse_overrides(quote_numbers([override]))
    return parsed


def _is_sweep(override: str) -> bool:
    """Return whether an override has several values."""
    return _parse(override).is_sweep_override()


def _without_hydra(overrides: Sequence[str]) -> list[str]:
    return [text for text in overrides if not text.startswith("hydra.")]


def _name(overrides: Sequence[str]) -> str:
    """Return the name of the results folder: the overrides, those with several values first.

    Seeds are left out, because they may be added later.
    """
    texts = [text for text in _without_hydra(overrides) if not text.startswith("seeds=")]
    text = "+".join(sorted(texts, key=_is_sweep, reverse=True))
    name = re.sub(r"[^\w.,=+-]", "_", text)
    if name == text and len(name) <= _MAX_NAME_LENGTH:
        return name
    return f"{name[:_MAX_NAME_LENGTH]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
