"""A check of user-defined metrics, on untrained networks, before anything is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np
import pandas as pd
import torch

from analysis.metrics import Distances, Hyperparameters, Metric, States
from analysis.steps.activations import ARRAYS
from analysis.trends.measures import DISTANCES
from degen.calls import FailedCallError, call
from degen.condition import Condition
from degen.errors import BadInputError, require
from degen.streams import Stream

P = ParamSpec("P")
R = TypeVar("R")

_SEEDS, _TRIALS = (0, 1, 2), 8


def require_valid(metric: Metric, condition: Condition) -> None:
    """Raise `BadInputError` unless a metric keeps the contract of `analysis.metrics.Metric`.

    Three untrained networks of a condition are compared on a few trials. A metric may reject them, for
    example because it needs more trials.

    Args:
        metric: the metric to check.
        condition: a condition of the experiment.
    """
    name, states = type(metric).__name__, _untrained_states(condition)
    require(metric.level in DISTANCES, f"{name}.level", metric.level, f"one of {', '.join(DISTANCES)}")
    hyperparameters: Hyperparameters | None = {}
    if metric.selection_options is not None:
        curve = _attempt(f"{name}.select", metric.select, list(states["hidden"]))
        if curve is None:
            return
        is_table = isinstance(curve, pd.DataFrame) and "selected" in curve and curve["selected"].sum() == 1
        allowed = "a function that returns a table whose column selected is True in one row"
        require(is_table, f"{name}.select", type(curve).__name__, allowed)
        hyperparameters = _attempt(f"{name}.selected", metric.selected, curve)
    distances = _attempt(f"{name}.distances", metric.distances, states, hyperparameters or {})
    if distances is not None:
        _require_distances(f"{name}.distances", distances)


def _attempt(name: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """Return the value of a function, or None if the metric says that it cannot measure the networks."""
    try:
        return call(name, function, *args, **kwargs)
    except FailedCallError:
        raise
    except BadInputError:
        return None


def _untrained_states(condition: Condition) -> States:
    """Return the arrays of `analysis.steps.activations` for untrained networks."""
    task, model, dtype = condition.task, condition.model, condition.dtype
    weights = model.initialize(task, Stream.named(_SEEDS, "initial weights", dtype=dtype))
    trials = task.generate(_TRIALS, Stream.named([0], "probe", dtype=dtype))
    with torch.no_grad():
        hidden = torch.cat(
            [
                model.unroll({name: value[i : i + 1] for name, value in weights.items()}, trials)
                for i in range(len(_SEEDS))
            ]
        )
        recurrent = model.recurrent(weights)
    arrays = hidden, recurrent, recurrent.clone(), trials.inputs[0]
    return dict(zip(ARRAYS, arrays, strict=True))


def _require_distances(name: str, distances: Distances) -> None:
    """Check the return value of a metric."""
    n = len(_SEEDS)
    require(
        isinstance(distances, Distances), name, type(distances).__name__, "a function that returns Distances"
    )
    matrix = distances.matrix
    is_matrix = isinstance(matrix, np.ndarray) and matrix.shape == (n, n)
    got = getattr(matrix, "shape", type(matrix).__name__)
    require(
        is_matrix, name, got, f"a function that returns a NumPy matrix of shape ({n}, {n}) for {n} networks"
    )
    allowed = "a function that returns finite distances of at least 0"
    require(bool(np.isfinite(matrix).all() and (matrix >= 0).all()), name, matrix.tolist(), allowed)
    is_distance = np.allclose(matrix, matrix.T) and np.allclose(np.diagonal(matrix), 0, atol=1e-4)
    allowed = "a function that returns a symmetric matrix with a diagonal of 0"
    require(bool(is_distance), name, matrix.tolist(), allowed)
    for values in distances.halves or ():
        allowed = f"a function whose distances of halves have shape ({n},) for {n} networks"
        require(values.shape == (n,), name, values.shape, allowed)
