"""Line attractors (Fig. 4C): do slow points lie on a line ordered by the remembered stimulus?"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor

from analysis.cache import cached, fingerprint, require_table, write_csv
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.steps.activations import converged_seeds
from analysis.steps.networks import load_run
from analysis.trends.factors import factor_columns
from degen.condition import Condition
from degen.metrics.fixed_points import FixedPoints, fixed_points
from degen.models import Parameters
from degen.tasks import DelayedDiscrimination
from launch.experiment import Experiment

MAX_SPEED = 1e-4
"""Largest speed q of a slow point [chosen]. In a delay of 20 steps such a state moves by at most 0.28."""
NEUTRAL_MODULUS = 0.98
"""Smallest modulus of an eigenvalue along a line [chosen]. After 20 steps, 2/3 of a perturbation remain."""
MIN_STRAIGHTNESS, MIN_RANK_CORRELATION, MIN_FRACTION_REACHED = 0.8, 0.9, 0.9
"""Bounds of a line [chosen]. The straightness of half a circle is 0.84."""

Step = Callable[[Tensor], Tensor]
"""F, one time step of a network without input, from states (points, n) to states (points, n)."""

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Period:
    """A part of trials in which a value has to be remembered.

    Attributes:
        states: (points, n), hidden states in the period.
        values: (points,), the remembered value.
        wait: time steps from the end of the pulse to the last use of the value.
    """

    states: Tensor
    values: Tensor
    wait: int


def measure_line_attractors(
    experiment: Experiment, runs: Path, results: ResultsFolder, table: pd.DataFrame, weights_at: str
) -> pd.DataFrame | None:
    """Store measures of line attractors, of all converged networks of delayed discrimination.

    Only conditions with one channel are measured.

    Args:
        table: the table of `analysis.steps.networks.collect_networks`.

    Returns:
        One row per network and period of a trial (delay or response, see `compute_periods`). Columns:
        condition, label, factor_name, factor_value, seed, period and the measures of `measure_period`. None
        if the experiment has no such condition.
    """
    conditions = [condition for condition in experiment.conditions if has_periods(condition)]
    if not conditions:
        return None
    seeds = {condition.signature: converged_seeds(table, condition) for condition in conditions}
    networks = table.set_index(["condition", "seed"])["network_fingerprint"]
    keys = [(signature, seed) for signature, condition_seeds in seeds.items() for seed in condition_seeds]
    bounds = MAX_SPEED, NEUTRAL_MODULUS, MIN_STRAIGHTNESS, MIN_RANK_CORRELATION, MIN_FRACTION_REACHED
    factors = [factor_columns(experiment, condition) for condition in conditions]

    def compute() -> pd.DataFrame:
        rows: list[dict[str, Any]] = []
        pairs = list(zip(conditions, factors, strict=True))
        for condition, factor in track("line attractors", pairs):
            identity = {"condition": condition.signature, "label": condition.label} | factor
            measured = _rows(runs, condition, seeds[condition.signature], weights_at)
            rows += [identity | row for row in measured]
        return pd.DataFrame(rows)

    inputs = fingerprint([networks[key] for key in keys], factors, *bounds)
    is_new = cached(results.line_attractors, inputs, compute)
    line_table = require_table(results.line_attractors)
    write_csv(results.line_attractors, line_table)
    logger.info("line attractors: %s", f"{len(keys)} networks, new" if is_new else "unchanged")
    return line_table


def _rows(runs: Path, condition: Condition, seeds: list[int], weights_at: str) -> list[dict[str, Any]]:
    """Measure every period of some networks of a condition."""
    rows: list[dict[str, Any]] = []
    for network in load_run(runs, condition, weights_at).networks:
        if network.seed in seeds:
            step = step_without_input(condition, network.weights)
            for name, period in compute_periods(condition, network.weights).items():
                rows.append({"seed": network.seed, "period": name} | measure_period(step, period))
    return rows


def measure_period(step: Step, period: Period, max_speed: float = MAX_SPEED) -> dict[str, Any]:
    """Measure the slow points that the states of a period relax to.

    Returns:
        speed: median of ||F(h) - h|| over the states.
        fraction_reached: fraction of the states that relax to a slow point. The other measures refer to the
            slow points.
        displacement: median distance from a state to its slow point.
        length: extent of the slow points along their first principal axis.
        straightness: fraction of their variance along that axis.
        rank_correlation: modulus of the rank correlation of position on the axis and remembered value.
        drift: median speed at the slow points, times the steps of the wait.
        first_modulus, second_modulus: medians of the two largest moduli of eigenvalues.
        one_neutral, several_neutral: fractions of the points with exactly one, and with more than one,
            eigenvalue beyond `NEUTRAL_MODULUS`.
        is_line: the bounds of a line hold, and the drift is smaller than the distance between two values.
        is_attractor: the points are a line, and the median second eigenvalue is below `NEUTRAL_MODULUS`.
    """
    states = period.states
    points = slow_points(step, states, max_speed)
    measures: dict[str, Any] = {
        "speed": torch.linalg.vector_norm(step(states) - states, dim=1).median().item(),
        "fraction_reached": len(points.states) / len(torch.unique(states, dim=0)),
    }
    if len(points.states) < 3:
        return measures | {"is_line": False, "is_attractor": False}
    displacement = torch.linalg.vector_norm(points.states - states[points.start], dim=1)
    measures |= {
        "displacement": displacement.median().item(),
        **_measure_shape(points, period),
        "drift": period.wait * (2 * points.speed).sqrt().median().item(),
        **_measure_eigenvalues(points),
    }
    is_line = _is_line(measures, period)
    return measures | {
        "is_line": is_line,
        "is_attractor": is_line and measures["second_modulus"] < NEUTRAL_MODULUS,
    }


def _measure_shape(points: FixedPoints, period: Period) -> dict[str, float]:
    centered = points.states - points.states.mean(dim=0)
    _, singular, axes = torch.linalg.svd(centered, full_matrices=False)
    position = centered @ axes[0]
    return {
        "length": (position.max() - position.min()).item(),
        "straightness": (singular[0].square() / singular.square().sum()).item(),
        "rank_correlation": abs(float(spearmanr(position, period.values[points.start]).statistic)),
    }


def _measure_eigenvalues(points: FixedPoints) -> dict[str, float]:
    moduli = points.eigenvalues.abs()
    n_neutral = (moduli > NEUTRAL_MODULUS).sum(dim=1)
    return {
        "first_modulus": moduli[:, 0].median().item(),
        "second_modulus": moduli[:, 1].median().item(),
        "one_neutral": (n_neutral == 1).double().mean().item(),
        "several_neutral": (n_neutral > 1).double().mean().item(),
    }


def _is_line(measures: dict[str, Any], period: Period) -> bool:
    return bool(
        measures["fraction_reached"] >= MIN_FRACTION_REACHED
        and measures["straightness"] >= MIN_STRAIGHTNESS
        and measures["rank_correlation"] >= MIN_RANK_CORRELATION
        and measures["drift"] < measures["length"] / (len(period.values.unique()) - 1)
    )


def slow_points(step: Step, states: Tensor, max_speed: float = MAX_SPEED) -> FixedPoints:
    """Follow each state (points, n) towards a fixed point, up to its first state of at most `max_speed`."""
    return fixed_points(step, states, max_speed=max_speed, stop_speed=max_speed, min_distance=0.0)


def has_periods(condition: Condition) -> bool:
    """Return whether `compute_periods` supports the task of a condition."""
    return isinstance(condition.task, DelayedDiscrimination) and condition.task.channels == 1


def compute_periods(condition: Condition, weights: Parameters) -> dict[str, Period]:
    """Compute the periods of a network, over all pairs of pulses at the longest delay.

    Returns:
        delay: f1 is remembered, at the steps after which f2 may start.
        response: f2 - f1 is remembered, at the first step of the response.
    """
    task = condition.task
    assert isinstance(task, DelayedDiscrimination)
    amplitudes = torch.arange(task.min_amplitude, task.max_amplitude + 1)
    pairs = torch.cartesian_prod(amplitudes, amplitudes)
    first, second = pairs[pairs[:, 0] != pairs[:, 1]].T.contiguous()
    delay = torch.full((len(first), 1), task.max_delay)
    trials = task.trials(first.unsqueeze(1), second.unsqueeze(1), delay, torch.float64)
    double = {name: tensor.double() for name, tensor in weights.items()}
    hidden = condition.model.unroll_states(double, trials.map(lambda array: array.unsqueeze(0)))[0]
    # State t follows input t.
    end_of_pulse = task.first_onset + task.pulse_steps - 1
    delay_steps = slice(end_of_pulse + task.min_delay, end_of_pulse + task.max_delay + 1)
    response_step = end_of_pulse + 1 + task.max_delay + task.response_onset
    # Trials with equal f1 do not differ before f2: take the first trial of each f1.
    trial_of_amplitude = torch.searchsorted(first, amplitudes)
    n_steps = delay_steps.stop - delay_steps.start
    states = hidden[trial_of_amplitude, delay_steps].flatten(0, 1)
    response_wait = task.response_onset - task.pulse_steps + task.response_steps
    return {
        "delay": Period(states, amplitudes.repeat_interleave(n_steps), task.max_delay),
        "response": Period(hidden[:, response_step], second - first, response_wait),
    }


def step_without_input(condition: Condition, weights: Parameters) -> Step:
    """Return F of a network of the condition, in double precision."""
    double = {name: tensor.double() for name, tensor in weights.items()}
    silent = torch.zeros(1, 1, condition.task.n_inputs, dtype=torch.float64)

    def step(states: Tensor) -> Tensor:
        return condition.model.step(double, states.unsqueeze(0), silent)[0]

    return step
