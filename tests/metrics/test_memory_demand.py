"""Memory demand of delays of known length and of the four tasks at small size."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from degen.errors import BadInputError
from degen.metrics.memory_demand import Predictor, memory_demand, plateau_start
from degen.streams import Stream
from tests.conftest import task

SMALL = Predictor(
    hidden=32, n_steps=400, batch=128, learning_rate=0.01, held_out=0.25, seeds=2, tolerance=0.02
)


def delayed(lag: int, trials: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noise x (trials, 30, 2) and targets (trials, 30, 1), y_{t+1} = |x_{t-lag+1}| of channel 0."""
    x = torch.randn(trials, 30, 2, generator=torch.Generator().manual_seed(0))
    y = torch.zeros(trials, 30, 1)
    y[:, lag:] = x[:, :-lag, :1].abs()
    return x, y


@pytest.mark.parametrize("lag", [1, 4])
def test_memory_demand_equals_a_known_delay(lag):
    demand = memory_demand(*delayed(lag), histories=[1, 3, 4, 6], predictor=SMALL)
    assert demand.history == lag
    errors = demand.curve.groupby("history")["error"].mean()
    variance = 1 - 2 / np.pi  # of |x|: the error without any information on the target
    assert (errors[errors.index < lag] > 0.8 * variance).all()
    assert (errors[errors.index >= lag] < 0.1 * variance).all()


def test_random_walk_needs_no_history():
    steps = torch.randn(60, 30, 1, generator=torch.Generator().manual_seed(0))
    walk = (0.1 * steps).cumsum(dim=1)
    demand = memory_demand(steps, walk, histories=[1, 6], predictor=SMALL)
    assert demand.history == 1
    # The next increment is unpredictable.
    assert demand.curve["error"].to_numpy() == pytest.approx(0.01, rel=0.25)


def test_plateau_starts_where_errors_stop_decreasing():
    assert plateau_start(np.array([1.0, 0.5, 0.11, 0.1, 0.105, 0.1]), 0.02) == 2
    assert plateau_start(np.array([1.0, 0.5, 0.13, 0.1]), 0.02) == 3
    assert plateau_start(np.array([1.0, 1.01, 0.99]), 0.02) == 0
    assert plateau_start(np.array([1.0, 2.0, 3.0]), 0.02) == 0


def test_longest_history_is_reported_as_a_lower_bound():
    beyond = memory_demand(*delayed(4), histories=[1, 2, 4], predictor=SMALL)
    assert (beyond.history, beyond.is_lower_bound) == (4, True)
    within = memory_demand(*delayed(4), histories=[1, 2, 4, 5], predictor=SMALL)
    assert (within.history, within.is_lower_bound) == (4, False)


def test_errors_are_evaluated_on_held_out_trials():
    x, y = delayed(1)
    y[:45] = 0.0
    demand = memory_demand(x, y, histories=[1, 2], predictor=SMALL)
    assert (demand.curve["error"] > 0.3).all()  # the mean square of |x| is 1


def task_demand(histories: list[int], *overrides: str) -> int:
    trials = task(*overrides).generate(200, Stream.named([0], "memory demand"))
    return memory_demand(trials.inputs[0], trials.targets[0], histories=histories, predictor=SMALL).history


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        # The next pulse is unpredictable, and the current target contains all other information.
        (("task=flip_flop", "task.channels=1", "task.n_steps=30"), 1),
        # The input is constant, so a longer window contains no more information. The paper reports 2.
        (("task=sine_wave", "task.n_steps=40"), 1),
        (("task=path_integration", "task.n_steps=40"), 1),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_tasks_with_informative_targets_need_one_step(overrides, expected):
    assert task_demand([1, 2, 4], *overrides) == expected


def test_delayed_discrimination_needs_the_first_pulse():
    layout = {"first_onset": 8, "pulse_steps": 1, "min_delay": 0, "max_delay": 2}
    layout |= {"response_onset": 2, "response_steps": 2, "n_steps": 16}
    overrides = [f"task.{name}={value}" for name, value in layout.items()]
    # A window that ends before the response contains the pulse of f2, the delay and one step of f1.
    assert task_demand([1, 3, 4, 5, 6, 8], "task=delayed_discrimination", *overrides) == 2 + 2 + 1


def test_errors_do_not_depend_on_the_number_of_seeds():
    options = {"histories": [1, 2], "predictor": dataclasses.replace(SMALL, n_steps=50)}
    first, repeated = (memory_demand(*delayed(1), **options).curve for _ in range(2))
    assert first.equals(repeated)
    options["predictor"] = dataclasses.replace(options["predictor"], seeds=3)
    more = memory_demand(*delayed(1), **options).curve
    assert more["error"][more["seed"] < 2].to_numpy() == pytest.approx(first["error"].to_numpy(), rel=1e-3)


def test_errors_name_invalid_arguments():
    x, y = delayed(1, trials=3)
    options = {"histories": [1, 2], "predictor": SMALL}
    broken = x.clone()
    broken[0, 0, 0] = torch.nan
    with pytest.raises(BadInputError, match="inputs must be finite, got 'NaN or infinity'"):
        memory_demand(broken, y, **options)
    with pytest.raises(BadInputError, match="targets shape must be equal to the"):
        memory_demand(x, y[:, :-1], **options)
    with pytest.raises(BadInputError, match="trials must be at least 2"):
        memory_demand(x[:1], y[:1], **options)
    for histories, sentence in (
        ([], "histories must be a list of at least one length"),
        ([0, 1], "histories must be an integer of at least 1, got 0"),
        ([2, 1], "histories must be strictly increasing"),
        ([30], "histories must be below the 30 time steps of a trial, got 30"),
    ):
        with pytest.raises(BadInputError, match=sentence):
            memory_demand(x, y, histories=histories, predictor=SMALL)
    constant = torch.cat([y[:, :20], torch.zeros_like(y[:, 20:])], dim=1)
    with pytest.raises(BadInputError, match=r"the longest history must be short enough that .* vary, got 20"):
        memory_demand(x, constant, histories=[1, 20], predictor=SMALL)
    diverging = dataclasses.replace(SMALL, learning_rate=1e30)
    with pytest.raises(BadInputError, match=r"predictor.learning_rate must be small enough"):
        memory_demand(x, y, histories=[1, 2], predictor=diverging)
    with pytest.raises(BadInputError, match=r"predictor.hidden must be an integer of at least 1, got 0"):
        dataclasses.replace(SMALL, hidden=0)
    with pytest.raises(BadInputError, match=r"predictor.held_out must be .* above 0 and at most 0.9"):
        dataclasses.replace(SMALL, held_out=1.0)
