"""Memory demand of a task: how far back must one look to tell the next target? (App. C of the paper)"""

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
from degen.metrics.pairs import spread


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predictor:
    """A two-layer perceptron, ReLU between the layers, and how it is trained and judged.

    Adam with a rate that falls to zero as a half cosine; inputs and targets are standardized.

    Args:
        hidden: units of the first layer.
        n_steps: Adam steps.
        batch: samples a step.
        learning_rate: of the first step.
        held_out: share of the trials that the error is of; the last ones.
        seeds: how many random initializations, 0 to seeds - 1.
        tolerance: share of the shortest history's error that counts as nothing (see `memory_demand`).

    Raises:
        BadInputError: an argument is out of its range.
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
    """What a task asks for, and the curve that tells.

    Attributes:
        history: h*, in time steps.
        is_lower_bound: h* is the longest history that was tried: the task may ask for more.
        curve: one row for each history length and initialization: `history`, `seed`, `error`, the mean
            squared error on held-out trials in units of the targets.
    """

    history: int
    is_lower_bound: bool
    curve: pd.DataFrame


def memory_demand(
    inputs: Array, targets: Array, *, histories: Sequence[int], predictor: Predictor
) -> MemoryDemand:
    r"""Error of the next target predicted from the last h inputs, and the h at which its curve is flat.

    .. math:: s_t^{(h)} = [x_{t-h+1}, \dots, x_t; y_t] \mapsto y_{t+1}

    All history lengths predict the same steps: those for which the longest window lies within the trial.
    So the longest must reach beyond the demand that is looked for, and end before the answer begins: where
    y_t is part of it already, there is nothing left to remember. h* is the shortest history to which no
    longer one comes with a mean error over initializations that is lower by more than `tolerance` of the
    shortest history's error. (The paper reads the plateau off the curve.)

    Args:
        inputs: x, (trials, time, n_inputs).
        targets: y, (trials, time, n_outputs).
        histories: h in time steps, rising.
        predictor: the perceptron.

    Raises:
        BadInputError: not finite, not of the same trials and steps, fewer than two trials, a history that
            leaves no step to predict or only steps with the same targets, or training that diverges.
    """
    x, y = to_tensor("inputs", inputs, 3).float(), to_tensor("targets", targets, 3).float()
    require(x.shape[:2] == y.shape[:2], "targets shape", tuple(y.shape), f"that of inputs, {tuple(x.shape)}")
    require(len(x) >= 2, "trials", len(x), "at least 2, one of them held out")
    require(len(histories) > 0, "histories", list(histories), "a list of at least one length")
    for history in histories:
        require_integer("histories", history, 1)
    require(list(histories) == sorted(set(histories)), "histories", list(histories), "rising")
    require(histories[-1] < x.shape[1], "histories", histories[-1], f"below the {x.shape[1]} time steps")
    told = y[:, histories[-1] :]
    allowed = "so short that the targets of the later steps differ"
    require(bool((told != told[0, 0]).any()), "the longest history", histories[-1], allowed)
    # Long histories first: their windows take the longest.
    lengths = sorted(histories, reverse=True)
    errors = spread(lambda h: _errors(_windows(x, y, h, lengths[0]), predictor), lengths, x.device)
    found = np.array(errors)[::-1]
    rate = predictor.learning_rate
    require(bool(np.isfinite(found).all()), "predictor.learning_rate", rate, "one that training bears")
    rows = [
        (history, seed, error)
        for history, values in zip(histories, found.tolist(), strict=True)
        for seed, error in enumerate(values)
    ]
    curve = pd.DataFrame(rows, columns=["history", "seed", "error"])
    index = plateau(found.mean(axis=1), predictor.tolerance)
    return MemoryDemand(histories[index], index == len(histories) - 1, curve)


def plateau(errors: np.ndarray, tolerance: float) -> int:
    """The first index after which errors (lengths,) fall by no more than `tolerance` of the first one."""
    lowest_ahead = np.minimum.accumulate(errors[::-1])[::-1]
    return int((errors - lowest_ahead <= tolerance * errors[0]).argmax())


def _windows(x: Tensor, y: Tensor, history: int, longest: int) -> tuple[Tensor, Tensor]:
    """Windows and last targets (trials, steps, history * n_inputs + n_outputs), and the next targets."""
    ends = slice(longest - history, -1)
    seen = x.unfold(1, history, 1)[:, ends].flatten(2)
    return torch.cat([seen, y[:, longest - 1 : -1]], dim=-1), y[:, longest:]


def _errors(samples: tuple[Tensor, Tensor], predictor: Predictor) -> list[float]:
    """Held-out error of each initialization."""
    trials = len(samples[0])
    split = min(max(1, round(trials * (1 - predictor.held_out))), trials - 1)
    features, _ = _standardized(samples[0], split)
    wanted, scale = _standardized(samples[1], split)
    train, test = (
        [values[part].flatten(0, 1) for values in (features, wanted)]
        for part in (slice(split), slice(split, None))
    )
    layers = _initial(train[0].shape[1], train[1].shape[1], predictor, train[0].device)
    optimizer = torch.optim.Adam(layers, lr=predictor.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, predictor.n_steps)
    order = torch.Generator().manual_seed(0)
    for _ in range(predictor.n_steps):
        drawn = torch.randint(len(train[0]), (predictor.batch,), generator=order).to(train[0].device)
        # A sum: no initialization's gradient depends on how many there are.
        loss = (_predict(layers, train[0][drawn]) - train[1][drawn]).square().mean(dim=(1, 2)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        misses = (_predict(layers, test[0]) - test[1]) * scale
        return misses.square().mean(dim=(1, 2)).tolist()


def _standardized(values: Tensor, split: int) -> tuple[Tensor, Tensor]:
    """Zero mean and unit variance of each unit over the first `split` trials, and by what it was divided.

    What is constant there is not divided.
    """
    known = values[:split].flatten(0, 1)
    deviation = known.std(dim=0, correction=0)
    scale = torch.where(deviation > 0, deviation, 1.0)
    return (values - known.mean(dim=0)) / scale, scale


def _initial(n_inputs: int, n_outputs: int, predictor: Predictor, device: torch.device) -> list[Tensor]:
    """Weights and biases of both layers, initializations in front (He et al. 2015; biases zero)."""
    shapes = ((predictor.hidden, n_inputs, 2.0), (n_outputs, predictor.hidden, 1.0))
    drawn = []
    for seed in range(predictor.seeds):
        generator = torch.Generator().manual_seed(seed)
        drawn.append([torch.randn(a, b, generator=generator) * math.sqrt(c / b) for a, b, c in shapes])
    first, second = (torch.stack(weights).to(device) for weights in zip(*drawn, strict=True))
    layers = [first, torch.zeros_like(first[..., 0]), second, torch.zeros_like(second[..., 0])]
    return [layer.requires_grad_() for layer in layers]


def _predict(layers: list[Tensor], features: Tensor) -> Tensor:
    """Predictions (seeds, samples, n_outputs) from features (samples, n_inputs)."""
    first, first_bias, second, second_bias = layers
    # One product for all initializations: they read the same features.
    drive = torch.addmm(first_bias.flatten(), features, first.flatten(0, 1).T)
    hidden = torch.relu(drive).unflatten(1, first_bias.shape).transpose(0, 1)
    return torch.baddbmm(second_bias.unsqueeze(1), hidden, second.mT)
