"""A condition: everything that determines a trained network except its seed.

A condition is built from plain dictionaries, in which `_target_` names a class and the other keys are its
arguments. The signature of a condition is a hash of its configuration without the options that are off
(`degen.fields.neutral`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import inspect
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, get_type_hints

import torch

from degen.errors import BadInputError, require, require_choice
from degen.fields import neutral_fields
from degen.models import Model
from degen.tasks import Task
from degen.training import NoPenalty, Regularizer, Training

PARTS: dict[str, type] = {
    "task": Task,
    "parameterization": Model,
    "training": Training,
    "regularizer": Regularizer,
}
_SHORT_PATHS = {"width": "parameterization.width", "gamma": "parameterization.gamma"}
DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclasses.dataclass(frozen=True)
class Condition:
    """A task, model, training and regularizer, fully resolved. Seeds are not part of a condition.

    Attributes:
        config: complete configuration of all parts, with defaults filled in.
        task, model, training, regularizer: the parts.
        dtype: dtype of weights and trials.
    """

    config: dict[str, Any]
    task: Task
    model: Model
    training: Training
    regularizer: Regularizer
    dtype: torch.dtype

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Condition:
        """Build and check every part.

        Args:
            config: mapping with the keys `task`, `parameterization`, `training`, `regularizer` and `dtype`.
                Other keys, such as seeds and folders, are ignored.

        Raises:
            BadInputError: a part is missing, misspelt or out of range.
        """
        neutral = {name: _neutral_part(base) for name, base in PARTS.items()}
        config = {name: node for name, node in neutral.items() if node is not None} | dict(config)
        for name in (*PARTS, "dtype"):
            require(name in config, name, None, "given: it is a part of every condition")
        require_choice("dtype", config["dtype"], tuple(DTYPES))
        built = {name: build(config[name], base, name) for name, base in PARTS.items()}
        complete = {name: node for name, (node, _) in built.items()} | {"dtype": config["dtype"]}
        task, model, training, regularizer = (built[name][1] for name in PARTS)
        return cls(complete, task, model, training, regularizer, DTYPES[config["dtype"]])

    @cached_property
    def signature(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of `config` without the options that are off."""
        neutral = {name: _neutral_part(base) for name, base in PARTS.items()}
        parts = {
            name: _without_neutral_fields(node)
            for name, node in self.config.items()
            if node != neutral.get(name, ...)
        }
        canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def task_name(self) -> str:
        """Name of the task's class in snake case."""
        return snake_case(type(self.task).__name__)

    @property
    def label(self) -> str:
        """Readable name from the task to the regularizer, which conditions may share."""
        words = [self.task.variant, snake_case(type(self.model).__name__)]
        words += [f"n{self.model.width}", f"gamma{self.model.gamma:g}"]
        if not isinstance(self.regularizer, NoPenalty):
            strength = getattr(self.regularizer, "strength", "")
            words.append(f"{snake_case(type(self.regularizer).__name__)}{strength}")
        return "-".join(word for word in words if word)

    @property
    def name(self) -> str:
        """Name of the run folder: `label` and `signature`."""
        return f"{self.label}-{self.signature}"

    def value(self, path: str) -> Any:
        """Return the value at a dotted path of `config`, such as `task.channels`, `width` or `gamma`.

        The value of a part, such as `parameterization`, is the name of its class.

        Raises:
            BadInputError: there is no such value.
        """
        node: Any = self.config
        for word in _SHORT_PATHS.get(path, path).split("."):
            require(
                isinstance(node, dict) and word in node, "factor", path, f"a field of condition {self.name}"
            )
            node = node[word]
        is_part = isinstance(node, dict) and "_target_" in node
        return node["_target_"].rpartition(".")[2] if is_part else node

    def has(self, path: str) -> bool:
        """Return whether there is a value at a dotted path of `config`."""
        try:
            self.value(path)
        except BadInputError:
            return False
        return True


def snake_case(name: str) -> str:
    """Convert a class name to snake case.

    Examples:
        >>> snake_case("FlipFlop"), snake_case("MuP")
        ('flip_flop', 'mup')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name).lower()


def build(node: Any, base: type, field: str) -> tuple[dict[str, Any], Any]:
    """Build an object and return it with its complete configuration.

    Args:
        node: mapping with the dotted name of a class as `_target_` and the arguments of the class. An
            argument may be a mapping of this form too.
        base: base class of the object.
        field: path of the node, for error messages.

    Returns:
        The configuration with default values filled in, and the object.

    Raises:
        BadInputError: the class or an argument is not allowed, missing or misspelled.

    Examples:
        >>> from degen.training import Regularizer
        >>> build({"_target_": "degen.training.L1", "strength": 1}, Regularizer, "regularizer")
        ({'_target_': 'degen.training.L1', 'strength': 1.0}, L1(strength=1.0))
    """
    require(isinstance(node, Mapping) and "_target_" in node, field, node, "a mapping with the key _target_")
    target = _import_class(node["_target_"], base, field)
    parameters = inspect.signature(target).parameters
    try:
        hints = get_type_hints(target.__init__)  # type: ignore[misc]
    except NameError as error:
        raise BadInputError(
            f"{field}._target_ must be a class whose type hints use names that its module imports, got "
            f"{node['_target_']!r} ({error})."
        ) from error
    given = {name: value for name, value in node.items() if name != "_target_"}
    for name in given:
        allowed = f"one of {', '.join(parameters)} (no such field)"
        if not parameters:
            allowed = f"absent (~{field}.{name}): {target.__name__} has no fields"
        require(name in parameters, f"{field}.{name}", given[name], allowed)
    complete: dict[str, Any] = {"_target_": node["_target_"]}
    arguments: dict[str, Any] = {}
    for name, parameter in parameters.items():
        value = given.get(name, parameter.default)
        path = f"{field}.{name}"
        if value is inspect.Parameter.empty or value == "???":
            raise BadInputError(f"{path} is missing: {target.__name__} needs a value for it.")
        complete[name] = arguments[name] = _plain(value, path)
        hint = hints.get(name, object)
        if inspect.isabstract(hint) or (isinstance(value, Mapping) and "_target_" in value):
            complete[name], arguments[name] = build(value, hint, path)
        elif hint is float:
            complete[name] = arguments[name] = _as_float(complete[name])
        elif hint == tuple[float, float]:
            complete[name] = arguments[name] = _as_float(complete[name])
            arguments[name] = tuple(complete[name]) if isinstance(complete[name], list) else complete[name]
    return complete, target(**arguments)


def _as_float(value: Any) -> Any:
    """Convert an integer, or the integers in a list, to float: 1 and 1.0 must give equal signatures."""
    if isinstance(value, list):
        return [_as_float(entry) for entry in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _neutral_part(base: type) -> dict[str, str] | None:
    """Return the configuration that means "this part is absent", or None if the part is required."""
    target = getattr(base, "neutral_target", None)
    return None if target is None else {"_target_": target}


def _without_neutral_fields(node: Any) -> Any:
    """Return a configuration without the fields whose value means "this option is off"."""
    if not isinstance(node, dict):
        return node
    fields = (
        neutral_fields(_import_class(node["_target_"], object, "condition")) if "_target_" in node else {}
    )
    neutral = {name: _plain(value, name) for name, value in fields.items()}
    return {
        name: _without_neutral_fields(value)
        for name, value in node.items()
        if name not in neutral or value != neutral[name]
    }


def _import_class(name: Any, base: type, field: str) -> type:
    """Import a class by its dotted name and check that it is a concrete subclass of `base`."""
    package = base.__module__.partition(".")[0]
    allowed = f"the dotted name of an importable subclass of {package}'s {base.__name__}, itself not abstract"
    module_name, _, class_name = str(name).rpartition(".")
    try:
        target: type = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise BadInputError(f"{field}._target_ must be {allowed}, got {name!r} ({error}).") from error
    fits = isinstance(target, type) and issubclass(target, base) and not inspect.isabstract(target)
    require(fits, f"{field}._target_", name, allowed)
    return target


def _plain(value: Any, path: str) -> Any:
    """Return `value` if JSON can represent it."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise BadInputError(
            f"{path} must be a plain value (finite number, text, list or mapping), got {value!r}."
        ) from None
