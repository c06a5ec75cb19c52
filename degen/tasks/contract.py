"""A check of user-defined tasks: shapes of trials, and dependence on the stream only."""

from __future__ import annotations

import torch
from torch import Tensor

from degen.calls import call
from degen.errors import require, require_choice
from degen.streams import Stream
from degen.tasks.base import LOSSES, Task, Trials

_SEEDS, _TRIALS = (0, 1), 32


def require_valid(task: Task, dtype: torch.dtype = torch.float32) -> None:
    """Raise `BadInputError` unless a task and its OOD version keep the contract of `degen.tasks.Task`.

    Trials must have the declared shapes and depend on the stream only. A few trials are drawn and compared,
    which takes milliseconds.

    Args:
        task: the task to check.
        dtype: dtype of the trials.

    Examples:
        >>> from degen.tasks import FlipFlop
        >>> require_valid(FlipFlop(channels=1, n_steps=20, pulse_probability=0.3))
    """
    name = type(task).__name__
    trials = _draw_valid(name, task, dtype)
    _require_separable(name, task, trials, dtype)
    _require_valid_ood(name, task, trials.loss, dtype)


def _require_separable(name: str, task: Task, trials: Trials, dtype: torch.dtype) -> None:
    """Check that the trials of a seed do not depend on the other keys of the stream.

    Training draws the trials of several steps at once, with keys of shape (steps, seeds).
    """
    (first, second), others = _stream(dtype).keys, _stream(dtype, (2, 3)).keys
    keys = torch.stack([first, others[0], others[1], second]).view(2, 2)
    block = _draw(f"{name}.generate for keys of shape (2, 2)", task, Stream(keys, dtype))
    for field, array in _arrays(trials).items():
        together = _arrays(block)[field]
        has_shape = together.shape == (2, *array.shape)
        if has_shape and _is_close(torch.stack([together[0, 0], together[1, 1]]), array):
            continue
        again = _arrays(_draw(f"{name}.generate", task, _stream(dtype)))[field]
        is_pure = torch.equal(again, array)
        allowed = "a function of its stream alone (use stream.uniform and stream.normal for random numbers"
        allowed += "; index trials, time and units from the end)" if is_pure else ")"
        got = (
            f"other {field} for a seed drawn together with another"
            if is_pure
            else f"other {field} from the same stream"
        )
        require(False, f"{name}.generate", got, allowed)


def _require_valid_ood(name: str, task: Task, loss: str, dtype: torch.dtype) -> None:
    """Check the OOD version: networks of the task must be able to run its trials."""
    ood = call(f"{name}.ood", task.ood)
    if ood is None:
        return
    require(
        isinstance(ood, Task), f"{name}.ood", type(ood).__name__, "a function that returns a Task or None"
    )
    for field in ("n_inputs", "n_outputs", "n_start"):
        allowed = f"{getattr(task, field)}, as in {name}"
        require(
            getattr(ood, field) == getattr(task, field),
            f"{field} of {name}.ood()",
            getattr(ood, field),
            allowed,
        )
    ood_loss = _draw_valid(f"{name}.ood()", ood, dtype).loss
    require(ood_loss == loss, f"loss of {name}.ood()", ood_loss, f"{loss}, as in {name}")


def _draw_valid(name: str, task: Task, dtype: torch.dtype) -> Trials:
    """Draw trials and check their shapes and values."""
    trials = _draw(name, task, _stream(dtype))
    is_trials = isinstance(trials, Trials)
    require(is_trials, f"{name}.generate", type(trials).__name__, "a function that returns Trials")
    _require_shapes(name, task, trials)
    for field, array in _arrays(trials).items():
        got = f"NaN or infinity in {field}"
        is_finite = bool(torch.isfinite(array).all())
        require(is_finite, f"{name}.generate", got, "a function that returns finite trials")
        if field in ("inputs", "start"):
            allowed = f"of dtype {dtype}, as the numbers of the stream"
            require(array.dtype == dtype, f"{field} of {name}", array.dtype, allowed)
    require(trials.targets.dtype != torch.bool, f"targets of {name}", trials.targets.dtype, "numbers")
    if trials.mask is not None:
        is_weight = bool((trials.mask >= 0).all() and (trials.mask.flatten(1).sum(dim=1) > 0).all())
        got = f"weights from {trials.mask.min().item():g} to {trials.mask.max().item():g}"
        require(is_weight, f"mask of {name}", got, "0 or above, and above 0 in some time steps")
    require_choice(f"loss of {name}", trials.loss, LOSSES)
    if trials.loss == "cross_entropy":
        _require_probabilities(name, trials)
    return trials


def _require_probabilities(name: str, trials: Trials) -> None:
    """Check that the targets of a cross-entropy are probabilities in every time step that has a weight."""
    counts = torch.ones_like(trials.targets[..., 0]) if trials.mask is None else trials.mask
    targets = trials.targets[counts > 0]
    is_valid = bool((targets >= 0).all()) and _is_close(targets.sum(dim=-1), torch.ones_like(targets[:, 0]))
    got = f"values from {targets.min().item():g} to {targets.max().item():g}"
    allowed = "probabilities that sum to 1 over outputs, because the loss is cross_entropy"
    require(is_valid and targets.shape[-1] > 1, f"targets of {name}", got, allowed)


def _stream(dtype: torch.dtype, seeds: tuple[int, ...] = _SEEDS) -> Stream:
    return Stream.named(seeds, "contract", dtype=dtype)


def _draw(name: str, task: Task, stream: Stream) -> Trials:
    return call(f"{name}.generate", task.generate, _TRIALS, stream)


def _is_close(array: Tensor, other: Tensor) -> bool:
    return torch.allclose(array, other, rtol=1e-4, atol=1e-6)


def _arrays(trials: Trials) -> dict[str, Tensor]:
    fields = ("inputs", "targets", "mask", "start")
    return {name: getattr(trials, name) for name in fields if getattr(trials, name) is not None}


def _require_shapes(name: str, task: Task, trials: Trials) -> None:
    leading = (len(_SEEDS), _TRIALS)
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
