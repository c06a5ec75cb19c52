"""Environments of the package neurogym, seeded so that their trials depend on a key only."""

from __future__ import annotations

import difflib
import importlib
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from degen.calls import call
from degen.errors import BadInputError, require

Trial = tuple[NDArray[Any], NDArray[Any]]
"""Observations (time, n_inputs) and correct actions, (time,) for classes or (time, n_outputs) for numbers."""


class Actions(NamedTuple):
    """The kind of action of an environment.

    Attributes:
        n_outputs: number of classes or of numbers.
        is_class: whether an action is a class.
    """

    n_outputs: int
    is_class: bool


def make_environment(name: str, kwargs: Mapping[str, Any]) -> Any:
    """Return a new environment.

    Args:
        name: name of an environment, such as `GoNogo-v0`, or `module:name` for an environment that a module
            of the user registers.
        kwargs: arguments of the environment.

    Raises:
        BadInputError: neurogym is not installed, there is no such environment, or it does not take these
            arguments.
    """
    try:
        registration = importlib.import_module("neurogym.envs.registration")
        gymnasium = importlib.import_module("gymnasium")
    except ImportError:
        raise BadInputError("neurogym must be installed for task=neurogym: pip install neurogym.") from None
    gymnasium.logger.set_level(gymnasium.logger.ERROR)  # it warns about environments that cannot be drawn
    module, _, registered = name.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        gymnasium.spec(registered)
    except ImportError as error:
        allowed = f"an environment of a module that can be imported ({error})"
        raise BadInputError(f"task.env must be {allowed}, got {name!r}.") from error
    except gymnasium.error.Error as error:
        names = registration.all_envs(collections=True)
        nearest = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
        allowed = f"the name of an environment, such as {', '.join(nearest)}"
        raise BadInputError(f"task.env must be {allowed}, got {name!r}.") from error
    return call(f"{name} with task.kwargs", gymnasium.make, registered, disable_env_checker=True, **kwargs)


def actions(name: str, environment: Any) -> Actions:
    """Return the kind of action.

    Raises:
        BadInputError: actions are neither a class nor an array of numbers.
    """
    space = environment.action_space
    if hasattr(space, "n") and not space.shape:
        return Actions(int(space.n), True)
    is_array = type(space).__name__ == "Box"
    require(is_array, f"action_space of {name}", str(space), "discrete or an array of numbers (Box)")
    return Actions(int(np.prod(space.shape)), False)


def trials(name: str, environment: Any, seed: Sequence[int]) -> Iterator[Trial]:
    """Yield trial after trial of a new environment.

    Raises:
        BadInputError: trials have no observations or no ground truth.
    """
    for number, generator in enumerate(_generators(environment, set())):
        # Generators with equal seeds would make, say, durations and correct choices depend on each other.
        _seed(generator, [*seed, number])
    new_trial = getattr(environment.unwrapped, "new_trial", None)
    require(new_trial is not None, "task.env", name, "an environment with trials (neurogym.core.TrialEnv)")
    new_trial = environment.get_wrapper_attr("new_trial")
    while True:
        call(f"new_trial of {name}", new_trial)
        trial = environment.unwrapped
        observations, ground_truth = getattr(trial, "ob", None), getattr(trial, "gt", None)
        allowed = "an environment whose trials have observations and ground truth (ob and gt)"
        require(observations is not None and ground_truth is not None, "task.env", name, allowed)
        observations, ground_truth = np.asarray(observations), np.asarray(ground_truth)
        yield observations.reshape(len(observations), -1), ground_truth


def _generators(item: Any, seen: set[int]) -> Iterator[np.random.RandomState | np.random.Generator]:
    """Yield the random generators of an environment, its wrappers, schedules and timings, in fixed order."""
    if id(item) in seen or isinstance(item, type | types.ModuleType):
        return
    seen.add(id(item))
    if isinstance(item, np.random.RandomState | np.random.Generator):
        yield item
        return
    attributes = item if isinstance(item, dict) else getattr(item, "__dict__", {})
    for child in item if isinstance(item, list | tuple) else attributes.values():
        yield from _generators(child, seen)


def _seed(generator: np.random.RandomState | np.random.Generator, seed: list[int]) -> None:
    if isinstance(generator, np.random.RandomState):
        generator.seed(seed)
    else:
        generator.bit_generator.state = type(generator.bit_generator)(seed).state
