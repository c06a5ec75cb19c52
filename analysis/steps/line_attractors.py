"""Whether networks hold what they must remember on a line of slow points, in numbers (Fig. 4C)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor

from analysis.results import Results, fingerprint, read_table, write_csv, write_table
from analysis.steps.activations import converged
from analysis.steps.networks import load_run
from degen.condition import Condition
from degen.metrics.fixed_points import FixedPoints, fixed_points
from degen.models import Parameters
from degen.tasks import DelayedDiscrimination
from launch.experiment import Experiment

TOLERANCE = 1e-4
"""Of the speed q of slow points [chosen]: in a delay of 20 steps such a state moves by 0.28 at most."""
NEUTRAL = 0.98
"""Modulus from which an eigenvalue counts as one along a line: 2/3 are left after 20 steps [chosen]."""
STRAIGHT, ORDERED, REACHED = 0.8, 0.9, 0.9
"""At least: variance on a line's first axis (half a circle: 0.84), rank correlation, starts [chosen]."""


@dataclasses.dataclass(frozen=True)
class Period:
    """A part of trials in which a value has to be remembered.

    Attributes:
        states: (points, n), at which it may be asked for.
        values: (points,), what is remembered.
        wait: steps from the end of the pulse to its last use.
    """

    states: Tensor
    values: Tensor
    wait: int


def line_attractors(
    experiment: Experiment, runs: Path, results: Results, table: pd.DataFrame, weights_at: str
) -> pd.DataFrame | None:
    """A row for each converged network of delayed discrimination with one channel, and each of its periods.

    Columns: condition, label, factor, seed, period, and the measures of `measure`.

    Returns:
        None where no condition is of that task.
    """
    chosen = [c for c in experiment.conditions if has_periods(c)]
    if not chosen:
        return None
    seeds = {condition.signature: converged(table, condition) for condition in chosen}
    digests = table.set_index(["condition", "seed"])["network"]
    keys = [(signature, seed) for signature, each in seeds.items() for seed in each]
    constants = TOLERANCE, NEUTRAL, STRAIGHT, ORDERED, REACHED
    factors = [experiment.table_value(condition) for condition in chosen]
    made_from = fingerprint([digests[key] for key in keys], factors, *constants)
    stored = read_table(results.line_attractors, made_from)
    if stored is not None:
        write_csv(results.line_attractors, stored)
        print("line attractors: unchanged", flush=True)
        return stored
    rows = []
    for condition in chosen:
        known = {"condition": condition.signature, "label": condition.label}
        known["factor"] = experiment.table_value(condition)
        for network in load_run(runs, condition, weights_at).networks:
            if network.seed not in seeds[condition.signature]:
                continue
            step = without_input(condition, network.weights)
            for name, period in periods(condition, network.weights).items():
                rows.append(known | {"seed": network.seed, "period": name} | measure(step, period))
    found = pd.DataFrame(rows)
    write_csv(results.line_attractors, found)
    write_table(results.line_attractors, found, made_from)
    print(f"line attractors: {len(keys)} networks, new", flush=True)
    return found


def measure(step: Callable[[Tensor], Tensor], period: Period, tolerance: float = TOLERANCE) -> dict[str, Any]:
    """What the slow points that the period's states relax to look like.

    Returns:
        speed: median of ||F(h) - h|| over the states, a step.
        reached: share of the states that relax to a slow point (q at most `tolerance`); the rest is of those.
        moved: median distance from a state to its slow point.
        length: of the slow points along their first principal axis.
        straight: share of their variance on that axis.
        ordered: modulus of the rank correlation between place on that axis and the value remembered.
        drift: median speed at the slow points times the steps of the wait.
        leading, second: medians of the two largest moduli of eigenvalues.
        one, several: shares of the points with exactly one eigenvalue beyond `NEUTRAL`, and with more.
        is_line: enough are reached, they are straight and ordered (`STRAIGHT`, `ORDERED`, `REACHED`), and
            the drift is less than the length's share between one value and the next.
        is_attractor: it is a line, and at most points all eigenvalues but one are below `NEUTRAL`.
    """
    states = period.states
    points = slow_points(step, states, tolerance)
    values: dict[str, Any] = {
        "speed": torch.linalg.vector_norm(step(states) - states, dim=1).median().item(),
        "reached": len(points.states) / len(torch.unique(states, dim=0)),
    }
    if len(points.states) < 3:
        return values | {"is_line": False, "is_attractor": False}
    centred = points.states - points.states.mean(dim=0)
    _, singular, axes = torch.linalg.svd(centred, full_matrices=False)
    place = centred @ axes[0]
    moduli = points.eigenvalues.abs()
    beyond = (moduli > NEUTRAL).sum(dim=1)
    values |= {
        "moved": torch.linalg.vector_norm(points.states - states[points.start], dim=1).median().item(),
        "length": (place.max() - place.min()).item(),
        "straight": (singular[0].square() / singular.square().sum()).item(),
        "ordered": abs(float(spearmanr(place, period.values[points.start]).statistic)),
        "drift": period.wait * (2 * points.speed).sqrt().median().item(),
        "leading": moduli[:, 0].median().item(),
        "second": moduli[:, 1].median().item(),
        "one": (beyond == 1).double().mean().item(),
        "several": (beyond > 1).double().mean().item(),
    }
    is_line = (
        values["reached"] >= REACHED
        and values["straight"] >= STRAIGHT
        and values["ordered"] >= ORDERED
        and values["drift"] < values["length"] / (len(period.values.unique()) - 1)
    )
    return values | {"is_line": is_line, "is_attractor": is_line and values["second"] < NEUTRAL}


def slow_points(
    step: Callable[[Tensor], Tensor], states: Tensor, tolerance: float = TOLERANCE
) -> FixedPoints:
    """Where each of the states (points, n) first is as slow as the tolerance on its way to a fixed point."""
    return fixed_points(step, states, max_speed=tolerance, stop_speed=tolerance, min_distance=0.0)


def has_periods(condition: Condition) -> bool:
    """Whether it is known what its networks remember, and when."""
    return isinstance(condition.task, DelayedDiscrimination) and condition.task.channels == 1


def periods(condition: Condition, weights: Parameters) -> dict[str, Period]:
    """The periods of a network of delayed discrimination, over all pairs of pulses at the longest delay.

    `delay`: f1, at the steps after which f2 may come. `response`: f2 - f1, at the first step of the response.
    """
    task = condition.task
    assert isinstance(task, DelayedDiscrimination)
    amplitudes = torch.arange(task.min_amplitude, task.max_amplitude + 1)
    pairs = torch.cartesian_prod(amplitudes, amplitudes)
    first, second = pairs[pairs[:, 0] != pairs[:, 1]].T.contiguous()
    delay = torch.full((len(first), 1), task.max_delay)
    trials = task.trials(first.unsqueeze(1), second.unsqueeze(1), delay, torch.float64)
    double = {name: tensor.double() for name, tensor in weights.items()}
    hidden = condition.model.unroll(double, trials.map(lambda array: array.unsqueeze(0)))[0]
    # State t is the one after input t.
    last = task.first_onset + task.pulse_steps - 1
    held = slice(last + task.min_delay, last + task.max_delay + 1)
    response = last + 1 + task.max_delay + task.response_onset
    # Before f2 the trials of one f1 are the same.
    one_each = torch.searchsorted(first, amplitudes)
    n_steps = held.stop - held.start
    return {
        "delay": Period(
            hidden[one_each, held].flatten(0, 1), amplitudes.repeat_interleave(n_steps), task.max_delay
        ),
        "response": Period(
            hidden[:, response],
            second - first,
            task.response_onset - task.pulse_steps + task.response_steps,
        ),
    }


def without_input(condition: Condition, weights: Parameters) -> Callable[[Tensor], Tensor]:
    """F of a network of the condition: a step without input, states (points, n)."""
    double = {name: tensor.double() for name, tensor in weights.items()}
    silent = torch.zeros(1, 1, condition.task.n_inputs, dtype=torch.float64)

    def step(states: Tensor) -> Tensor:
        return condition.model.step(double, states.unsqueeze(0), silent)[0]

    return step
