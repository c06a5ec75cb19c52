"""Memory demand of a task: length of the input history needed to predict the next target (App. C)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from degen.errors import require, require_integer, require_number
from degen.metrics.arrays import Array, to_tensor
from degen.metrics.pairs import thread_map


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predictor:
    """Settings of the two-layer perceptron that predicts the next target, and of its training.

    The hidden layer is rectified. Adam minimizes the mean squared error, with a learning rate that follows
    half a cosine to zero. Inputs and targets are standardized.

    Args:
        hidden: number of hidden units.
        n_steps: number of Adam steps.
        batch: number of samples per step.
        learning_rate: initial learning rate.
        held_out: fraction of trials on which the error is evaluated, in (0, 0.9]. These are the last trials.
        seeds: number of random initializations. Their seeds are 0 to seeds - 1.
        tolerance: largest reduction of the error that is ignored, as a fraction of the error of the shortest
            history (see `memory_demand`).

    Raises:
        BadInputError: an argument out of range.
    """

    hidden: int
    n_steps: int
    batch: int
    learning_rate: float
    held_out: float
    seeds: int
    tolerance: float

    def __post_init__(self) -> None:
        for name in ("hidden", "n_steps", "batch", "seeds"):
            require_integer(f"predictor.{name}", getattr(self, name), 1)
        require_number("predictor.learning_rate", self.learning_rate, above=0.0)
        require_number("predictor.held_out", self.held_out, above=0.0, maximum=0.9)
        require_number("predictor.tolerance", self.tolerance, above=0.0, maximum=1.0)


@dataclasses.dataclass(frozen=True)
class MemoryDemand:
    """Memory demand h* of a task and the error curve it was read from.

    Attributes:
        history: h*, in time steps.
        is_lower_bound: true if h* is the longest history tested, so that the task may need a longer one.
        curve: one row per history length and initialization, with the columns `history`, `seed` and `error`.
            The error is the mean squared error on held-out trials, in squared units of the targets.
    """

    history: int
    is_lower_bound: bool
    curve: pd.DataFrame


def memory_demand(
    inputs: Array, targets: Array, *, histories: Sequence[int], predictor: Predictor
) -> MemoryDemand:
    r"""Compute the shortest input history beyond which the next target is not predicted better (App. C).

    .. math:: s_t^{(h)} = [x_{t-h+1}, \dots, x_t; y_t] \mapsto y_{t+1}

    A perceptron is trained for each history length h. All lengths predict one set of time steps, for which
    the longest window lies within the trial. The longest history must therefore exceed the expected demand.
    It must also end before the response begins, because during the response y_t already contains the answer.

    The demand h* is the shortest history such that no longer history reduces the error, averaged over
    initializations, by more than `tolerance` times the error of the shortest history. The paper reads h* off
    the curve by eye.

    Args:
        inputs: x, (trials, time, n_inputs).
        targets: y, (trials, time, n_outputs).
        histories: history lengths h in time steps, strictly increasing.
        predictor: settings of the perceptron.

    Raises:
        BadInputError: inputs or targets that are not finite or differ in trials or time steps; fewer than two
            trials; histories that leave no step to predict, or only steps with constant targets; or training
            that diverges.

    Examples:
        >>> x = torch.randn(40, 20, 1, generator=torch.Generator().manual_seed(0))
        >>> y = torch.zeros(40, 20, 1)
        >>> y[:, 3:] = x[:, :-3]  # the target is the input 3 steps earlier
        >>> predictor = Predictor(
        ...     hidden=16, n_steps=30, batch=64, learning_rate=0.05, held_out=0.25, seeds=1, tolerance=0.2
        ... )
        >>> memory_demand(x, y, histories=[1, 3, 4], predictor=predictor).history
        3
    """
    x, y = to_tensor("inputs", inputs, 3).float(), to_tensor("targets", targets, 3).float()
    allowed = f"equal to the (trials, time) of inputs, {tuple(x.shape[:2])}"
    require(x.shape[:2] == y.shape[:2], "targets shape", tuple(y.shape[:2]), allowed)
    require(len(x) >= 2, "trials", len(x), "at least 2, to hold out at least 1")
    _require_histories(histories, y)
    # Start the longest histories first: they take the most time.
    lengths = sorted(histories, reverse=True)
    errors = thread_map(
        lambda h: _held_out_errors(_windows(x, y, h, lengths[0]), predictor), lengths, x.device
    )
    table = np.array(errors)[::-1]
    rate = predictor.learning_rate
    require(bool(np.isfinite(table).all()), "predictor.learning_rate", rate, "small enough for finite errors")
    rows = [
        (history, seed, error)
        for history, values in zip(histories, table.tolist(), strict=True)
        for seed, error in enumerate(values)
    ]
    curve = pd.DataFrame(rows, columns=["history", "seed", "error"])
    index = plateau_start(table.mean(axis=1), predictor.tolerance)
    return MemoryDemand(histories[index], index == len(histories) - 1, curve)


def plateau_start(errors: np.ndarray, tolerance: float) -> int:
    """Return the first index after which the error falls by at most `tolerance` times the first error.

    Args:
        errors: (lengths,), one error per history length.
        tolerance: tolerated reduction, as a fraction of `errors[0]`.

    Examples:
        >>> plateau_start(np.array([1.0, 0.5, 0.11, 0.1]), tolerance=0.02)
        2
    """
    lowest_later = np.minimum.accumulate(errors[::-1])[::-1]
    return int((errors - lowest_later <= tolerance * errors[0]).argmax())


def _require_histories(histories: Sequence[int], targets: Tensor) -> None:
    """Raise `BadInputError` unless the histories are valid and leave steps with varying targets."""
    require(len(histories) > 0, "histories", list(histories), "a list of at least one length")
    for history in histories:
        require_integer("histories", history, 1)
    increasing = list(histories) == sorted(set(histories))
    require(increasing, "histories", list(histories), "strictly increasing")
    n_steps = targets.shape[1]
    require(histories[-1] < n_steps, "histories", histories[-1], f"below the {n_steps} time steps of a trial")
    predicted = targets[:, histories[-1] :]
    allowed = "short enough that the targets of the predicted steps vary"
    require(bool((predicted != predicted[0, 0]).any()), "the longest history", histories[-1], allowed)


def _windows(x: Tensor, y: Tensor, history: int, longest: int) -> tuple[Tensor, Tensor]:
    """Return the samples of all predicted steps.

    Returns:
        Features (trials, steps, history * n_inputs + n_outputs): input windows and current targets; and the
        next targets (trials, steps, n_outputs).
    """
    ends = slice(longest - history, -1)
    input_windows = x.unfold(1, history, 1)[:, ends].flatten(2)
    return torch.cat([input_windows, y[:, longest - 1 : -1]], dim=-1), y[:, longest:]


def _held_out_errors(samples: tuple[Tensor, Tensor], predictor: Predictor) -> list[float]:
    """Train a perceptron from each initialization; return its held-out mean squared error.

    Args:
        samples: features and targets of `_windows`.
    """
    n_trials = len(samples[0])
    split = min(max(1, round(n_trials * (1 - predictor.held_out))), n_trials - 1)
    features, _ = _standardize(samples[0], split)
    targets, scale = _standardize(samples[1], split)
    train, test = (
        [values[part].flatten(0, 1) for values in (features, targets)]
        for part in (slice(split), slice(split, None))
    )
    layers = _initialize(train[0].shape[1], train[1].shape[1], predictor, train[0].device)
    _train(layers, train[0], train[1], predictor)
    with torch.no_grad():
        residuals = (_predict(layers, test[0]) - test[1]) * scale
        return residuals.square().mean(dim=(1, 2)).tolist()


def _train(layers: list[Tensor], features: Tensor, targets: Tensor, predictor: Predictor) -> None:
    """Train the layers in place by Adam on random batches of samples (samples, ...)."""
    optimizer = torch.optim.Adam(layers, lr=predictor.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, predictor.n_steps)
    generator = torch.Generator().manual_seed(0)
    for _ in range(predictor.n_steps):
        batch = torch.randint(len(features), (predictor.batch,), generator=generator).to(features.device)
        # Sum over initializations, so that gradients do not depend on their number.
        loss = (_predict(layers, features[batch]) - targets[batch]).square().mean(dim=(1, 2)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _standardize(values: Tensor, split: int) -> tuple[Tensor, Tensor]:
    """Standardize each channel to zero mean and unit variance over the first `split` trials.

    Returns:
        Standardized values (trials, steps, channels), and the scale (channels,). The scale is 1 for a channel
        that is constant over these trials.
    """
    training = values[:split].flatten(0, 1)
    deviation = training.std(dim=0, correction=0)
    scale = torch.where(deviation > 0, deviation, 1.0)
    return (values - training.mean(dim=0)) / scale, scale


def _initialize(n_inputs: int, n_outputs: int, predictor: Predictor, device: torch.device) -> list[Tensor]:
    """Draw the weights and biases of both layers, (seeds, ...) each: He et al. 2015, with zero biases."""
    shapes = ((predictor.hidden, n_inputs, 2.0), (n_outputs, predictor.hidden, 1.0))
    weights = []
    for seed in range(predictor.seeds):
        generator = torch.Generator().manual_seed(seed)
        weights.append([torch.randn(a, b, generator=generator) * math.sqrt(c / b) for a, b, c in shapes])
    first, second = (torch.stack(layer).to(device) for layer in zip(*weights, strict=True))
    layers = [first, torch.zeros_like(first[..., 0]), second, torch.zeros_like(second[..., 0])]
    return [layer.requires_grad_() for layer in layers]


def _predict(layers: list[Tensor], features: Tensor) -> Tensor:
    """Compute predictions (seeds, samples, n_outputs) from features (samples, n_inputs)."""
    first, first_bias, second, second_bias = layers
    # All initializations share the features, so the first layer is a single matrix product.
    preactivation = torch.addmm(first_bias.flatten(), features, first.flatten(0, 1).T)
    hidden = torch.relu(preactivation).unflatten(1, first_bias.shape).transpose(0, 1)
    return torch.baddbmm(second_bias.unsqueeze(1), hidden, second.mT)
