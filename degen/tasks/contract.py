"""A check of user-defined tasks: shapes of trials, and dependence on the stream only."""

from __future__ import annotations

import torch
from torch import Tensor

from degen.errors import require
from degen.streams import Stream
from degen.tasks.base import Task, Trials

_KEYS, _TRIALS = (0, 1), 32


def require_valid(task: Task, dtype: torch.dtype = torch.float32) -> None:
    """Raise `BadInputError` unless a task's trials have the declared shapes and depend on the stream only.

    A few trials are drawn and compared, which takes milliseconds.

    Args:
        task: the task to check.
        dtype: dtype of the trials.

    Examples:
        >>> from degen.tasks import FlipFlop
        >>> require_valid(FlipFlop(channels=1, n_steps=20, pulse_probability=0.3))
    """
    name = type(task).__name__
    trials = _draw(task, _KEYS, dtype)
    is_trials = isinstance(trials, Trials)
    require(is_trials, f"{name}.generate", type(trials).__name__, "a function that returns Trials")
    _require_shapes(name, task, trials)
    again, separate = _draw(task, _KEYS, dtype), _draw(task, _KEYS[1:], dtype)
    for field, array in _arrays(trials).items():
        is_finite = bool(torch.isfinite(array).all())
        got = f"NaN or infinity in {field}"
        require(is_finite, f"{name}.generate", got, "a function that returns finite trials")
        allowed = "a function of its stream alone (use stream.uniform and stream.normal for random numbers)"
        got = f"other {field} from the same stream"
        require(torch.equal(_arrays(again)[field], array), f"{name}.generate", got, allowed)
        got = f"other {field} for a seed drawn together with another"
        is_separable = torch.allclose(_arrays(separate)[field][0], array[1], rtol=1e-4, atol=1e-6)
        require(
            is_separable, f"{name}.generate", got, f"{allowed}; index trials, time and units from the end"
        )


def _draw(task: Task, seeds: tuple[int, ...], dtype: torch.dtype) -> Trials:
    return task.generate(_TRIALS, Stream.named(seeds, "contract", dtype=dtype))


def _arrays(trials: Trials) -> dict[str, Tensor]:
    fields = ("inputs", "targets", "mask", "start")
    return {name: getattr(trials, name) for name in fields if getattr(trials, name) is not None}


def _require_shapes(name: str, task: Task, trials: Trials) -> None:
    leading = (len(_KEYS), _TRIALS)
    allowed = "of shape (seeds, trials, time, n_inputs)"
    require(trials.inputs.ndim == 4, f"inputs of {name}", tuple(trials.inputs.shape), allowed)
    time = trials.inputs.shape[-2]
    expected: dict[str, tuple[str, tuple[int, ...]]] = {
        "inputs": ("(seeds, trials, time, n_inputs)", (*leading, time, task.n_inputs)),
        "targets": ("(seeds, trials, time, n_outputs)", (*leading, time, task.n_outputs)),
        "mask": ("(seeds, trials, time)", (*leading, time)),
        "start": ("(seeds, trials, n_start)", (*leading, task.n_start)),
    }
    for field, array in _arrays(trials).items():
        words, shape = expected[field]
        allowed = f"of shape {words} = {shape} for {leading[0]} seeds and {leading[1]} trials"
        require(tuple(array.shape) == shape, f"{field} of {name}", tuple(array.shape), allowed)
    allowed = f"given, since {name}.n_start is {task.n_start}"
    require(task.n_start == 0 or trials.start is not None, f"start of {name}", None, allowed)
