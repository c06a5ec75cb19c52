"""From configurations to conditions: one, all of an experiment, or those of a sweep over either."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from degen.condition import Condition
from degen.errors import require
from launch.cli import compose, grid


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A factor swept over conditions (`conf/experiment/`).

    Attributes:
        name: the name of its file.
        factor: dotted path of the swept value within a condition.
        label: the factor in words, for figures.
        conditions: in the order of the file.
        seeds: of each condition.
    """

    name: str
    factor: str
    label: str
    conditions: list[Condition]
    seeds: list[int]


def experiment(name: str, overrides: Sequence[str] = ()) -> Experiment:
    """All conditions of `conf/experiment/<name>.yaml`, each built and checked.

    Args:
        overrides: further overrides of every condition, as on the command line of `launch.train`.

    Raises:
        BadInputError: a condition is not allowed, or two are the same.
    """
    base = compose("train", [f"experiment={name}", *overrides])
    settings = base["experiment"]
    conditions = []
    for line in settings["grids"]:
        for combination in grid(line):
            # The user's own overrides come last: they win.
            config = compose("train", [f"experiment={name}", *combination, *overrides])
            conditions.append(Condition.from_config(config))
    signatures = [condition.signature for condition in conditions]
    require(
        len(set(signatures)) == len(signatures),
        "experiment.grids",
        [condition.label for condition in conditions],
        "conditions that differ",
    )
    for condition in conditions:
        condition.value(settings["factor"])
    return Experiment(name, settings["factor"], settings["label"], conditions, parse_seeds(base["seeds"]))


def conditions(settings: dict[str, Any], overrides: Sequence[str]) -> list[Condition]:
    """The condition of a configuration, or all of its experiment.

    Args:
        overrides: those that `settings` were composed with.

    Raises:
        BadInputError: a condition is not allowed.
    """
    if settings.get("experiment") is None:
        return [Condition.from_config(settings)]
    chosen = [text.removeprefix("experiment=") for text in overrides if text.startswith("experiment=")]
    given = [text for text in overrides if not text.startswith("experiment=")]
    return experiment(chosen[-1], given).conditions


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a command line with several values asks for.

    Attributes:
        name: of its experiment, or `sweep`.
        settings: composed with the first of the values.
        wanted: conditions by signature, each once, and the seeds of each.
    """

    name: str
    settings: dict[str, Any]
    wanted: dict[str, tuple[Condition, list[int]]]


def compose_settings(overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration of overrides, with the first of several values."""
    return compose("train", grid(list(overrides))[0])


def sweep(overrides: Sequence[str]) -> Sweep:
    """All conditions of overrides, each of which may have several values.

    Raises:
        BadInputError: a condition is not allowed.
    """
    combinations = [(line, compose("train", line)) for line in grid(list(overrides))]
    wanted: dict[str, tuple[Condition, list[int]]] = {}
    for line, settings in combinations:
        seeds = parse_seeds(settings["seeds"])
        for condition in conditions(settings, line):
            _, known = wanted.get(condition.signature, (condition, []))
            wanted[condition.signature] = condition, sorted({*known, *seeds})
    names = [text.removeprefix("experiment=") for text in overrides if text.startswith("experiment=")]
    return Sweep(",".join(names) or "sweep", combinations[0][1], wanted)


def parse_seeds(seeds: Any) -> list[int]:
    """The seeds 0..n-1 for a number n, or those of a list.

    Raises:
        BadInputError: empty, repeated or negative.
    """
    allowed = "a number of at least 1 or a list of different numbers of at least 0"
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        require(seeds >= 1, "seeds", seeds, allowed)
        return list(range(seeds))
    holds = isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)
    require(holds and 0 < len(seeds) == len(set(seeds)), "seeds", seeds, allowed)
    return seeds
