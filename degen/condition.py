"""A condition: everything that determines a trained network except its seed.

It is built from plain dictionaries (`_target_` names a class, the rest its arguments). Its signature is a
hash of the whole condition, except for options that are off (`degen.fields.neutral`).
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
_SHORT = {"width": "parameterization.width", "gamma": "parameterization.gamma"}
DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclasses.dataclass(frozen=True)
class Condition:
    """A task, model, training and regularizer, fully resolved. Seeds are not part of a condition.

    Attributes:
        config: resolved and complete. Conditions are equal if their configs are.
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
            config: with the keys `task`, `parameterization`, `training`, `regularizer` and `dtype`. Other
                keys such as seeds, device and folders are ignored.

        Raises:
            BadInputError: a part is missing, misspelt or out of range.
        """
        off = {name: _neutral_part(base) for name, base in PARTS.items()}
        config = {name: node for name, node in off.items() if node is not None} | dict(config)
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
        off = {name: _neutral_part(base) for name, base in PARTS.items()}
        parts = {
            name: _without_neutral_fields(node)
            for name, node in self.config.items()
            if node != off.get(name, ...)
        }
        canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def task_name(self) -> str:
        """The task's class in snake case."""
        return snake_case(type(self.task).__name__)

    @property
    def label(self) -> str:
        """A readable name, not necessarily unique."""
        words = [self.task.variant, snake_case(type(self.model).__name__)]
        words += [f"n{self.model.width}", f"gamma{self.model.gamma:g}"]
        if not isinstance(self.regularizer, NoPenalty):
            strength = getattr(self.regularizer, "strength", "")
            words.append(f"{snake_case(type(self.regularizer).__name__)}{strength}")
        return "-".join(word for word in words if word)

    @property
    def name(self) -> str:
        """`label` and `signature`: the name of the run folder."""
        return f"{self.label}-{self.signature}"

    def value(self, path: str) -> Any:
        """Return the value at a dotted path of `config`, such as `task.channels`, `width` or `gamma`.

        Raises:
            BadInputError: there is no such value.
        """
        node: Any = self.config
        for word in _SHORT.get(path, path).split("."):
            require(
                isinstance(node, dict) and word in node, "factor", path, f"a field of condition {self.name}"
            )
            node = node[word]
        return node

    def has(self, path: str) -> bool:
        """Return whether there is a value at a dotted path of `config`."""
        try:
            self.value(path)
        except BadInputError:
            return False
        return True


def snake_case(name: str) -> str:
    """Convert a class name to snake case.

    Example:
        >>> snake_case("FlipFlop"), snake_case("MuP")
        ('flip_flop', 'mup')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name).lower()


def build(node: Any, base: type, field: str) -> tuple[dict[str, Any], Any]:
    """Build an object and return it with its complete configuration.

    Args:
        node: `_target_`, the dotted name of a class, and its arguments, which may be such mappings too.
        base: the class that the object must be an instance of.
        field: path of the node, for messages.

    Returns:
        The configuration, with default values filled in, and the object.

    Raises:
        BadInputError: the class or an argument is not allowed, missing or misspelt.
    """
    require(isinstance(node, Mapping) and "_target_" in node, field, node, "a mapping with the key _target_")
    target = _class(node["_target_"], base, field)
    parameters = inspect.signature(target).parameters
    try:
        hints = get_type_hints(target.__init__)  # type: ignore[misc]
    except NameError as error:
        raise BadInputError(
            f"{field}._target_ must be a class whose type hints are of what its module imports, got "
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
    """Integers, and those in a list, as floats: 1 and 1.0 must name the same condition."""
    if isinstance(value, list):
        return [_as_float(entry) for entry in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _neutral_part(base: type) -> dict[str, str] | None:
    """The configuration that stands for the absence of a part, where its class declares one."""
    target = getattr(base, "neutral_target", None)
    return None if target is None else {"_target_": target}


def _without_neutral_fields(node: Any) -> Any:
    """A configuration without the fields at which its classes declare an option to be off."""
    if not isinstance(node, dict):
        return node
    off = neutral_fields(_class(node["_target_"], object, "condition")) if "_target_" in node else {}
    off = {name: _plain(value, name) for name, value in off.items()}
    return {
        name: _without_neutral_fields(value)
        for name, value in node.items()
        if name not in off or value != off[name]
    }


def _class(name: Any, base: type, field: str) -> type:
    """Import the class of that dotted name and check it before it is called."""
    package = base.__module__.partition(".")[0]
    allowed = f"the dotted name of an importable subclass of {package}'s {base.__name__}, itself not abstract"
    module_name, _, class_name = str(name).rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise BadInputError(f"{field}._target_ must be {allowed}, got {name!r} ({error}).") from error
    fits = isinstance(found, type) and issubclass(found, base) and not inspect.isabstract(found)
    require(fits, f"{field}._target_", name, allowed)
    return found


def _plain(value: Any, path: str) -> Any:
    """Return `value` if JSON can represent it."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise BadInputError(
            f"{path} must be a plain value (finite number, text, list or mapping), got {value!r}."
        ) from None
