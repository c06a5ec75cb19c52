"""From configurations to conditions: one, all of an experiment, or those of a sweep over either."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from degen.condition import Condition
from degen.errors import require
from degen.training import NoPenalty
from launch.cli import compose, grid


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A factor swept over conditions (`conf/experiment/`).

    Attributes:
        name: the name of its file.
        factor: dotted paths of the swept value within a condition; each condition has one of them.
        label: the factor in words, for figures.
        shared: conditions that stand at the start of the axis and are another experiment's own.
        swept: its own conditions, in the order of the file.
        seeds: of each condition.
        scale: the name of the scale (`conf/scale/`), and the overrides that change it.
        trajectories: whether single networks' trajectories are to be drawn.
    """

    name: str
    factor: list[str]
    label: str
    shared: list[Condition]
    swept: list[Condition]
    seeds: list[int]
    scale: str
    trajectories: bool

    @property
    def conditions(self) -> list[Condition]:
        """All of them, shared ones first."""
        return [*self.shared, *self.swept]

    def along_the_axis(self, conditions: Sequence[Condition]) -> list[Condition]:
        """Lowest value first where all of the experiment are numbers, else in the order of the file."""
        if all(isinstance(self.value(each), int | float) for each in self.conditions):
            return sorted(conditions, key=self.value)
        order = [each.signature for each in self.conditions]
        return sorted(conditions, key=lambda each: order.index(each.signature))

    def value_in_tables(self, condition: Condition) -> Any:
        """The swept value for a column of a table: as text where not all are numbers, truths or texts."""
        kinds = {float if type(value) is int else type(value) for value in map(self.value, self.conditions)}
        value = self.value(condition)
        return value if len(kinds) == 1 and kinds <= {float, bool, str} else json.dumps(value)

    def value(self, condition: Condition) -> Any:
        """The swept value of a condition; the strength of no penalty is 0.

        Raises:
            BadInputError: it has none.
        """
        if self.factor == ["regularizer.strength"] and isinstance(condition.regularizer, NoPenalty):
            return 0.0
        held = [path for path in self.factor if condition.has(path)]
        return condition.value((held or self.factor)[0])


def experiments(name: str, overrides: Sequence[str] = ()) -> list[Experiment]:
    """The experiments of `conf/experiment/<name>.yaml`: itself, or those that it lists.

    Args:
        overrides: further overrides of every condition, as on the command line of `launch.train`.

    Raises:
        BadInputError: a condition is not allowed, or two of an experiment are the same.
    """
    base = compose("train", [f"experiment={name}", *overrides])
    _require_valid_file(name, base["experiment"])
    if "experiments" in base["experiment"]:
        return [experiment(each, overrides) for each in base["experiment"]["experiments"]]
    return [_expand(name, base, overrides)]


def experiment(name: str, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment of a file that lists no others. Arguments and errors as for `experiments`."""
    base = compose("train", [f"experiment={name}", *overrides])
    settings = base["experiment"]
    _require_valid_file(name, settings)
    require("experiments" not in settings, "experiment", name, "a single one, not a list of them")
    return _expand(name, base, overrides)


def _expand(name: str, base: dict[str, Any], overrides: Sequence[str]) -> Experiment:
    """Build the conditions of an experiment from its composed file."""
    settings = base["experiment"]
    factor = settings["factor"]
    others = [text for text in overrides if not text.startswith(("scale=", "hydra."))]
    own = [", ".join(others)] if others else []

    def expanded(grids: list[list[str]]) -> list[Condition]:
        # The user's own overrides come last: they win.
        combinations = [combination for line in grids for combination in grid(line)]
        given = [[f"experiment={name}", *combination, *overrides] for combination in combinations]
        return [Condition.from_config(compose("train", each)) for each in given]

    chosen = Experiment(
        name=name,
        factor=[factor] if isinstance(factor, str) else factor,
        label=settings["label"],
        shared=expanded(settings.get("shared", [])),
        swept=expanded(settings["grids"]),
        seeds=parse_seeds(base["seeds"]),
        scale=" with ".join([base["scale"]["name"], *own]),
        trajectories=settings.get("trajectories", False),
    )
    signatures = [condition.signature for condition in chosen.conditions]
    require(
        len(set(signatures)) == len(signatures),
        "experiment.grids",
        [condition.label for condition in chosen.conditions],
        "conditions that differ",
    )
    for condition in chosen.conditions:
        chosen.value(condition)
    return chosen


_KEYS = ("factor", "label", "grids", "shared", "trajectories", "experiments")


def _require_valid_file(name: str, settings: Any) -> None:
    """Raise `BadInputError` unless the file of an experiment has the keys it needs, of the right kinds."""
    file = f"experiment/{name}.yaml"
    is_mapping = isinstance(settings, dict) and not isinstance(settings.get("experiment"), dict)
    allowed = "a file that begins with the line # @package _global_ and has a mapping named experiment"
    require(is_mapping, file, settings, allowed)
    for key in settings:
        require(key in _KEYS, f"experiment of {file}", key, f"made of the keys {', '.join(_KEYS)}")
    if "experiments" in settings:
        return
    for key, words in (("factor", "the path of the swept value"), ("label", "the name of the axis")):
        holds = isinstance(settings.get(key), str) or (key == "factor" and _is_texts(settings.get(key)))
        require(holds, f"experiment.{key} of {file}", settings.get(key), f"{words}, a text")
    for key in ("grids", "shared"):
        grids = settings.get(key, [] if key == "shared" else None)
        holds = isinstance(grids, list) and all(map(_is_texts, grids)) and (grids != [] or key == "shared")
        allowed = (
            'a list of lists of overrides, with several values in quotes: [[task=flip_flop, "gamma=0.5,1"]]'
        )
        require(holds, f"experiment.{key} of {file}", grids, allowed)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(isinstance(text, str) for text in value)


def distinct(chosen: Sequence[Experiment]) -> list[Condition]:
    """The conditions of several experiments, each once: what there is to train."""
    return list({condition.signature: condition for one in chosen for condition in one.conditions}.values())


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
    return distinct(experiments(chosen[-1], given))


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
