"""A check of user-defined networks: shapes, independence of networks and trials, and gradients."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from degen.calls import call
from degen.errors import BadInputError, require
from degen.models.base import Model, Parameters
from degen.streams import Stream
from degen.tasks import Task, Trials

_SEEDS, _TRIALS, _STEPS, _WIDTH = (0, 1), 16, 8, 16
_PERTURBATION = 0.1, 0.001
"""Standard deviations, of the first as a fraction of a weight."""


def require_valid(model: Model, task: Task, dtype: torch.dtype = torch.float32) -> None:
    """Raise `BadInputError` unless a network keeps the contract of `degen.models.Model` on a task.

    Two networks run a few trials, with 16 units, or with all units if the model does not allow 16. Their
    outputs must have the declared shapes, agree between `step`, `unroll` and the call of the model, and
    depend on a network's own weights and trial only.
    The gradient of the loss must be finite, and reach every weight.

    Args:
        model: the model to check.
        task: a task that keeps its contract (`degen.tasks.contract`).
        dtype: dtype of weights and trials. Values are compared in float64, in which analyses run networks.

    Examples:
        >>> from degen.models import Standard
        >>> from degen.tasks import FlipFlop
        >>> task = FlipFlop(channels=1, n_steps=20, pulse_probability=0.3)
        >>> require_valid(Standard(width=8, gamma=1.0), task)
    """
    trials = task.generate(_TRIALS, Stream.named(_SEEDS, "contract", dtype=dtype))
    try:
        width = min(model.width, _WIDTH)
        small = call(f"{type(model).__name__} with width {width}", dataclasses.replace, model, width=width)
        _require_valid(small, task, trials)
    except BadInputError:
        _require_valid(model, task, trials)  # the width may be too small for the model


def _require_valid(model: Model, task: Task, trials: Trials) -> None:
    name, dtype = type(model).__name__, trials.inputs.dtype
    weights = _draw_valid_weights(name, model, task, dtype)
    weights = _perturb(weights)
    _require_gradients(name, model, weights, trials)
    double = {key: value.double() for key, value in weights.items()}
    first_steps = dataclasses.replace(
        trials, inputs=trials.inputs[:, :, :_STEPS], targets=trials.targets[:, :, :_STEPS], mask=None
    )
    _require_consistent(name, model, double, first_steps.map(Tensor.double))


def _draw_valid_weights(name: str, model: Model, task: Task, dtype: torch.dtype) -> Parameters:
    """Draw initial weights and check them."""

    def draw(seeds: tuple[int, ...]) -> Parameters:
        return call(
            f"{name}.initialize", model.initialize, task, Stream.named(seeds, "contract", dtype=dtype)
        )

    weights, again, separate = draw(_SEEDS), draw(_SEEDS), draw(_SEEDS[1:])
    is_dictionary = isinstance(weights, dict) and all(isinstance(value, Tensor) for value in weights.values())
    allowed = "a function that returns a dictionary of tensors"
    require(is_dictionary and bool(weights), f"{name}.initialize", type(weights).__name__, allowed)
    for key, value in weights.items():
        field, got = f"weights {key} of {name}", tuple(value.shape)
        require(
            value.ndim > 0 and len(value) == len(_SEEDS), field, got, f"of shape ({len(_SEEDS)} seeds, ...)"
        )
        require(value.dtype == dtype, field, value.dtype, f"of dtype {dtype}, as the numbers of the stream")
        require(bool(torch.isfinite(value).all()), field, "NaN or infinity", "finite")
        is_pure = torch.equal(value, again[key]) and _is_close(value[1:], separate[key])
        allowed = "a function of its stream alone (use stream.uniform and stream.normal for random numbers)"
        require(is_pure, f"{name}.initialize", f"other weights {key} from the same stream", allowed)
    return weights


def _perturb(weights: Parameters) -> Parameters:
    """Add noise. Otherwise an output that is zero at initialization would hide the rest of the network.

    Positive weights, such as time constants, stay positive.
    """
    relative, absolute = _PERTURBATION
    dtype = next(iter(weights.values())).dtype
    noise = Stream.named(_SEEDS, "contract, perturbation", dtype=dtype)
    return {
        key: value + noise.normal(*value.shape[1:]) * (relative * value.abs() + absolute)
        for key, value in weights.items()
    }


def _require_gradients(name: str, model: Model, weights: Parameters, trials: Trials) -> None:
    """Check that the gradient of the loss reaches every weight."""
    leaves = {key: value.detach().requires_grad_() for key, value in weights.items()}
    outputs = call(f"{name}.__call__", model, leaves, trials)
    _require_shape(f"outputs of {name}", outputs, trials.targets.shape, "(seeds, trials, time, n_outputs)")
    error = (outputs - trials.targets) ** 2
    loss = (error if trials.mask is None else error * trials.mask.unsqueeze(-1)).sum()
    require(loss.requires_grad, f"outputs of {name}", "outputs without gradient", "computed from its weights")
    gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    for key, gradient in zip(leaves, gradients, strict=True):
        field, allowed = f"weights {key} of {name}", "weights that the loss depends on"
        require(
            gradient is not None and bool((gradient != 0).any()), field, "weights without gradient", allowed
        )
        is_finite = gradient is not None and bool(torch.isfinite(gradient).all())
        require(is_finite, field, "a gradient with NaN or infinity", "weights with a finite gradient")


@torch.no_grad()
def _require_consistent(name: str, model: Model, weights: Parameters, trials: Trials) -> None:
    """Check shapes, and that different ways to compute one value agree."""
    n_seeds, n_trials, n_steps = trials.targets.shape[:3]
    recurrent = call(f"{name}.recurrent", model.recurrent, weights)
    # The matrices of a gated cell are stacked.
    rows = max(1, recurrent.shape[1] // model.width) * model.width if recurrent.ndim == 3 else model.width
    blocks = (n_seeds, rows, model.width)
    _require_shape(f"recurrent matrix of {name}", recurrent, blocks, "(seeds, width, width)")
    hidden = call(f"{name}.unroll", model.unroll, weights, trials)
    states = (n_seeds, n_trials, n_steps, model.width)
    _require_shape(f"hidden states of {name}", hidden, states, "(seeds, trials, time, width)")
    state, steps = call(f"{name}.initial_hidden", model.initial_hidden, weights, trials), []
    for inputs in trials.inputs.unbind(dim=-2):
        state = call(f"{name}.step", model.step, weights, state, inputs)
        _require_shape(
            f"hidden state after {name}.step", state, states[:2] + states[3:], "(seeds, trials, width)"
        )
        steps.append(state)
    _require_agreement(f"{name}.unroll", hidden, torch.stack(steps, dim=-2), "steps one after another")
    read = call(f"{name}.readout", model.readout, weights, hidden)
    outputs = call(f"{name}.__call__", model, weights, trials)
    _require_agreement(f"{name}.__call__", outputs, read, f"{name}.readout of the hidden states")
    second = {key: value[1:] for key, value in weights.items()}
    separate = call(f"{name}.__call__", model, second, trials.map(lambda array: array[1:]))
    _require_agreement(f"{name}.__call__", outputs[1:], separate, "the call with one network")
    few = call(f"{name}.__call__", model, weights, trials.map(lambda array: array[:, : n_trials // 2]))
    _require_agreement(
        f"{name}.__call__", outputs[:, : n_trials // 2], few, "the call with half of the trials"
    )


def _require_agreement(name: str, value: Tensor, other: Tensor, way: str) -> None:
    got = "other values" if value.shape == other.shape else f"shape {tuple(other.shape)}"
    require(_is_close(value, other, 1e-6), name, got, f"a function that agrees with {way}")


def _require_shape(field: str, value: object, shape: tuple[int, ...], words: str) -> None:
    got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
    require(got == tuple(shape), field, got, f"of shape {words} = {tuple(shape)}")


def _is_close(value: Tensor, other: Tensor, tolerance: float = 1e-4) -> bool:
    return value.shape == other.shape and torch.allclose(value, other, rtol=tolerance, atol=tolerance)
