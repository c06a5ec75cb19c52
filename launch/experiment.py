"""Conditions of a configuration, of an experiment file, or of a sweep."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from degen.condition import Condition
from degen.errors import require
from degen.training import NoPenalty
from launch.config import compose, compose_all, expand_sweep
from launch.experiment_file import require_valid_file
from launch.settings import parse_seeds


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Conditions that differ in one factor (`conf/experiment/`).

    Attributes:
        name: name of the experiment file.
        factor: dotted paths of the swept field, such as `task.channels`. The first path that a condition has
            is used.
        label: name of the factor in figures.
        baseline: conditions at the start of the factor's axis that belong to another experiment
            (`shared` in the file).
        swept: the experiment's own conditions, in the order of the file.
        seeds: seeds of each condition.
        scale: name of the scale (`conf/scale/`) and the overrides that change it.
        trajectories: whether to draw trajectories of single networks.
        is_sweep: whether the conditions come from a command line (`launch.sweep`), not from a file.
    """

    name: str
    factor: list[str]
    label: str
    baseline: list[Condition]
    swept: list[Condition]
    seeds: list[int]
    scale: str
    trajectories: bool
    is_sweep: bool = False

    @property
    def arguments(self) -> list[str]:
        """Arguments that select the conditions on a command line, before the overrides of every condition."""
        return ["-m"] if self.is_sweep else [f"experiment={self.name}"]

    @property
    def conditions(self) -> list[Condition]:
        """All conditions, the baseline first."""
        return [*self.baseline, *self.swept]

    def sorted_by_factor(self, conditions: Sequence[Condition]) -> list[Condition]:
        """Sort conditions by the factor's value, or by their order in the file if a value is not a number.

        Values of all conditions of the experiment count, not only those of the argument.
        """
        if all(isinstance(self.value(condition), int | float) for condition in self.conditions):
            return sorted(conditions, key=self.value)
        order = [condition.signature for condition in self.conditions]
        return sorted(conditions, key=lambda condition: order.index(condition.signature))

    def table_value(self, condition: Condition) -> Any:
        """Return the factor's value for a column of a table.

        Values are returned as JSON unless those of all conditions are numbers, all booleans, or all strings.
        """
        kinds = {float if type(value) is int else type(value) for value in map(self.value, self.conditions)}
        value = self.value(condition)
        return value if len(kinds) == 1 and kinds <= {float, bool, str} else json.dumps(value)

    def value(self, condition: Condition) -> Any:
        """Return the factor's value in a condition. A condition without a penalty has strength 0.

        Raises:
            BadInputError: the condition does not have the factor.
        """
        if self.factor == ["regularizer.strength"] and isinstance(condition.regularizer, NoPenalty):
            return 0.0
        paths = [path for path in self.factor if condition.has(path)]
        return condition.value((paths or self.factor)[0])


def experiments(name: str, overrides: Sequence[str] = ()) -> list[Experiment]:
    """Return the experiment of `conf/experiment/<name>.yaml`, or the experiments that the file lists.

    Args:
        overrides: further overrides of every condition, as on the command line of `launch.train`.

    Raises:
        BadInputError: a condition is not allowed, or two conditions of an experiment are equal.
    """
    base = compose("train", [f"experiment={name}", *overrides])
    require_valid_file(name, base)
    if "experiments" in base["experiment"]:
        return [experiment(listed, overrides) for listed in base["experiment"]["experiments"]]
    return [_build_experiment(name, base, overrides)]


def experiment(name: str, overrides: Sequence[str] = ()) -> Experiment:
    """Return the experiment of a file that lists no others. Arguments and errors as for `experiments`."""
    base = compose("train", [f"experiment={name}", *overrides])
    settings = base["experiment"]
    require_valid_file(name, base)
    require("experiments" not in settings, "experiment", name, "a single experiment, not a list")
    return _build_experiment(name, base, overrides)


def _build_experiment(name: str, base: dict[str, Any], overrides: Sequence[str]) -> Experiment:
    """Build the conditions of an experiment from its composed file."""
    settings = base["experiment"]
    factor = settings["factor"]
    loaded = Experiment(
        name=name,
        factor=[factor] if isinstance(factor, str) else factor,
        label=settings["label"],
        baseline=_expand_grids(name, settings.get("shared", []), overrides),
        swept=_expand_grids(name, settings["grids"], overrides),
        seeds=parse_seeds(base["seeds"]),
        scale=_describe_scale(base["scale"]["name"], overrides),
        trajectories=settings.get("trajectories", False),
    )
    are_different = len(unique_conditions([loaded])) == len(loaded.conditions)
    labels = [condition.label for condition in loaded.conditions]
    require(are_different, "experiment.grids", labels, "conditions that differ")
    # `value` raises if a condition does not have the factor.
    values = {json.dumps(loaded.value(condition), sort_keys=True) for condition in loaded.conditions}
    is_swept = len(values) > 1 or len(loaded.conditions) == 1
    allowed = f"a field that the conditions differ in (all {len(loaded.conditions)} have {''.join(values)})"
    require(is_swept, f"experiment.factor of experiment/{name}.yaml", factor, allowed)
    return loaded


def _expand_grids(name: str, grids: list[list[str]], overrides: Sequence[str]) -> list[Condition]:
    """Return every condition of an experiment's grids. The user's overrides come last, so they win."""
    combinations = [combination for grid in grids for combination in expand_sweep(grid)]
    lines = [[f"experiment={name}", *combination, *overrides] for combination in combinations]
    return [Condition.from_config(config) for config in compose_all("train", lines)]


def _describe_scale(scale: str, overrides: Sequence[str]) -> str:
    changes = [text for text in overrides if not text.startswith(("scale=", "hydra."))]
    return f"{scale} with {', '.join(changes)}" if changes else scale


def unique_conditions(experiments: Sequence[Experiment]) -> list[Condition]:
    """Return the conditions of several experiments, each once."""
    conditions = [condition for experiment in experiments for condition in experiment.conditions]
    return list({condition.signature: condition for condition in conditions}.values())


def conditions(config: dict[str, Any], overrides: Sequence[str]) -> list[Condition]:
    """Return the condition of a configuration, or all conditions of its experiment.

    Args:
        config: `conf/train.yaml`, resolved.
        overrides: the overrides that `config` was composed with.

    Raises:
        BadInputError: a condition is not allowed.
    """
    if config.get("experiment") is None:
        return [Condition.from_config(config)]
    others = [text for text in overrides if not text.startswith("experiment=")]
    return unique_conditions(experiments(_experiment_names(overrides)[-1], others))


def _experiment_names(overrides: Sequence[str]) -> list[str]:
    return [text.removeprefix("experiment=") for text in overrides if text.startswith("experiment=")]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Conditions and seeds that a command line with several values requests.

    Attributes:
        name: name of the experiment, or `sweep`.
        config: the configuration composed with the first of the values.
        requested: each condition and its seeds, by signature.
    """

    name: str
    config: dict[str, Any]
    requested: dict[str, tuple[Condition, list[int]]]

    @property
    def conditions(self) -> list[Condition]:
        return [condition for condition, _ in self.requested.values()]


def compose_first(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the configuration of overrides, composed with the first of several values."""
    return compose("train", expand_sweep(list(overrides))[0])


def compose_sweep(overrides: Sequence[str]) -> Sweep:
    """Return all conditions of overrides, each of which may have several values.

    Raises:
        BadInputError: a condition is not allowed.
    """
    lines = expand_sweep(list(overrides))
    configs = compose_all("train", lines)
    requested: dict[str, tuple[Condition, list[int]]] = {}
    for line, config in zip(lines, configs, strict=True):
        seeds = parse_seeds(config["seeds"])
        for condition in conditions(config, line):
            _, earlier = requested.get(condition.signature, (condition, []))
            requested[condition.signature] = condition, sorted({*earlier, *seeds})
    return Sweep(",".join(_experiment_names(overrides)) or "sweep", configs[0], requested)
