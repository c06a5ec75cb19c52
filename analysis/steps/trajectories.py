"""Trajectories with fixed and slow points of one network per condition, in principal components (Fig. 4C)."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from analysis.cache import cached, fingerprint
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.steps.activations import converged_seeds
from analysis.steps.line_attractors import (
    MAX_SPEED,
    compute_periods,
    has_periods,
    slow_points,
    step_without_input,
)
from analysis.steps.networks import load_run
from analysis.trials import TrialSet
from degen.condition import Condition
from degen.metrics.fixed_points import FixedPoints, fixed_points
from degen.networks import TrainedNetwork
from degen.tasks import Trials
from launch.experiment import Experiment

_N_INITIAL_STATES = 200
"""Number of states on trials from which fixed points are searched [chosen]."""

logger = logging.getLogger(__name__)


def compute_trajectories(
    experiment: Experiment,
    runs: Path,
    results: ResultsFolder,
    table: pd.DataFrame,
    probe: TrialSet,
    lines: pd.DataFrame | None,
    weights_at: str,
) -> None:
    """Store trials, fixed points and slow points without input of one converged network per condition.

    The network is the first one with a line of slow points in the delay. If there is no such network, or the
    task has no such line, it is the first converged network. The search for fixed points starts at states on
    trials. The search for slow points starts at states in the delay of delayed discrimination, and at states
    on trials of other tasks.

    Columns: condition, seed, kind (trial, fixed or slow), trial and step (-1 for points), x and y (principal
    components of the states on the probe), value (trials: mean of the nonzero targets or classes; points:
    largest modulus of the eigenvalues), q (speed of points).

    Args:
        table: the table of `analysis.steps.networks.collect_networks`.
        lines: the table of `analysis.steps.line_attractors.measure_line_attractors`.
    """
    selected = [
        (condition, _select_seed(converged_seeds(table, condition), condition, lines))
        for condition in experiment.conditions
        if converged_seeds(table, condition)
    ]
    fingerprints = table.set_index(["condition", "seed"])["network_fingerprint"]
    networks = [fingerprints[condition.signature, seed] for condition, seed in selected]
    settings = dataclasses.asdict(probe), MAX_SPEED, _N_INITIAL_STATES

    def compute() -> pd.DataFrame:
        tables = []
        for condition, seed in track("trajectories", selected):
            run = load_run(runs, condition, weights_at)
            network = next(network for network in run.networks if network.seed == seed)
            rows = _compute_table(condition, network, probe)
            tables.append(rows.assign(condition=condition.signature, seed=seed))
        return pd.concat(tables, ignore_index=True)

    inputs = fingerprint(networks, [seed for _, seed in selected], *settings)
    is_new = cached(results.trajectories, inputs, compute)
    logger.info("trajectories: %s", f"{len(selected)} networks, new" if is_new else "unchanged")


def _select_seed(seeds: list[int], condition: Condition, lines: pd.DataFrame | None) -> int:
    """Return the first seed with a line of slow points in the delay, or the first seed."""
    if lines is None:
        return seeds[0]
    is_here = (lines["condition"] == condition.signature) & (lines["period"] == "delay")
    return min(lines[is_here & lines["is_line"]]["seed"], default=seeds[0])


def _compute_table(condition: Condition, network: TrainedNetwork, probe: TrialSet) -> pd.DataFrame:
    """Compute the rows of one network, without the columns condition and seed."""
    trials = probe.draw(condition.task, "probe", condition.dtype)
    with torch.no_grad():
        hidden = condition.model.unroll(network.weights, trials)[0].double()
    states = hidden.flatten(0, 1)
    mean = states.mean(dim=0)
    axes = torch.linalg.svd(states - mean, full_matrices=False)[2][:2].T
    initial = states[torch.linspace(0, len(states) - 1, _N_INITIAL_STATES).long()]
    remembered = initial
    if has_periods(condition):
        remembered = compute_periods(condition, network.weights)["delay"].states
    step = step_without_input(condition, network.weights)
    slow, fixed = slow_points(step, remembered), fixed_points(step, initial)
    return pd.concat(
        [
            _trial_rows((hidden - mean) @ axes, trials),
            _point_rows("slow", slow, (slow.states - mean) @ axes),
            _point_rows("fixed", fixed, (fixed.states - mean) @ axes),
        ],
        ignore_index=True,
    )


def _trial_rows(components: Tensor, trials: Trials) -> pd.DataFrame:
    """Return one row per trial and step.

    Args:
        components: (trials, time, 2).
    """
    is_classes = trials.loss == "cross_entropy"
    target = trials.targets[0].argmax(dim=-1) if is_classes else trials.targets[0, ..., 0].double()
    values = target.sum(dim=1) / (target != 0).sum(dim=1).clamp(min=1)
    n_trials, n_steps = components.shape[:2]
    return pd.DataFrame(
        {
            "kind": "trial",
            "trial": torch.arange(n_trials).repeat_interleave(n_steps).numpy(),
            "step": torch.arange(n_steps).repeat(n_trials).numpy(),
            "x": components[..., 0].flatten().numpy(),
            "y": components[..., 1].flatten().numpy(),
            "value": values.repeat_interleave(n_steps).numpy(),
        }
    )


def _point_rows(kind: str, points: FixedPoints, components: Tensor) -> pd.DataFrame:
    """Return one row per point.

    Args:
        components: (points, 2).
    """
    return pd.DataFrame(
        {
            "kind": kind,
            "trial": -1,
            "step": -1,
            "x": components[:, 0],
            "y": components[:, 1],
            "value": points.eigenvalues.abs()[:, 0],
            "q": points.speed,
        }
    )
