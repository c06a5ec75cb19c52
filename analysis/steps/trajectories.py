"""Trajectories, fixed and slow points of one network a condition, in its principal components (Fig. 4C)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import torch

from analysis.results import Results, fingerprint, read_table, write_table
from analysis.steps.activations import converged
from analysis.steps.line_attractors import TOLERANCE, has_periods, periods, slow_points, without_input
from analysis.steps.networks import Trialset, load_run
from degen.condition import Condition
from degen.metrics.fixed_points import fixed_points
from degen.networks import Network
from launch.experiment import Experiment

_STARTS = 200
"""States on trials from which fixed points are looked for [chosen]."""


def trajectories(
    experiment: Experiment,
    runs: Path,
    results: Results,
    table: pd.DataFrame,
    probe: Trialset,
    lines: pd.DataFrame | None,
    weights_at: str,
) -> pd.DataFrame:
    """Trials of one converged network of each condition, and its fixed and slow points without input.

    The network is the first whose slow points lie on a line in the delay (`lines`, of
    `analysis.steps.line_attractors.line_attractors`), the first one where none do.

    Fixed points are looked for from states on the trials, slow points from states in the delay of delayed
    discrimination, of other tasks from those on the trials, too.

    Columns: condition, seed, kind (trial, fixed or slow), trial and step (-1 for points), x, y (principal
    components of the states on the probe), value (mean target of a trial while it is not zero; the largest
    modulus of the eigenvalues at a point), q (speed of points).
    """
    chosen = [
        (c, _shown(converged(table, c), c, lines)) for c in experiment.conditions if converged(table, c)
    ]
    digests = [table.set_index(["condition", "seed"])["network"][c.signature, seed] for c, seed in chosen]
    made_from = fingerprint(
        digests, [seed for _, seed in chosen], dataclasses.asdict(probe), TOLERANCE, _STARTS
    )
    stored = read_table(results.trajectories, made_from)
    if stored is not None:
        print("trajectories: unchanged", flush=True)
        return stored
    tables = []
    for condition, seed in chosen:
        run = load_run(runs, condition, weights_at)
        network = next(network for network in run.networks if network.seed == seed)
        tables.append(_table(condition, network, probe).assign(condition=condition.signature, seed=seed))
    found = pd.concat(tables, ignore_index=True)
    write_table(results.trajectories, found, made_from)
    print(f"trajectories: {len(chosen)} networks, new", flush=True)
    return found


def _shown(seeds: list[int], condition: Condition, lines: pd.DataFrame | None) -> int:
    if lines is None:
        return seeds[0]
    held = lines[
        (lines["condition"] == condition.signature) & (lines["period"] == "delay") & lines["is_line"]
    ]
    return min(held["seed"], default=seeds[0])


def _table(condition: Condition, network: Network, probe: Trialset) -> pd.DataFrame:
    trials = probe.draw(condition.task, "probe", condition.dtype)
    with torch.no_grad():
        hidden = condition.model.unroll(network.weights, trials)[0].double()
    states = hidden.flatten(0, 1)
    mean = states.mean(dim=0)
    axes = torch.linalg.svd(states - mean, full_matrices=False)[2][:2].T
    sequence = states[torch.linspace(0, len(states) - 1, _STARTS).long()]
    step = without_input(condition, network.weights)
    held = periods(condition, network.weights)["delay"].states if has_periods(condition) else sequence
    places = (hidden - mean) @ axes
    target = trials.targets[0, ..., 0].double()
    values = target.sum(dim=1) / (target != 0).sum(dim=1).clamp(min=1)
    n_trials, n_steps = places.shape[:2]
    on_trials = pd.DataFrame(
        {
            "kind": "trial",
            "trial": torch.arange(n_trials).repeat_interleave(n_steps).numpy(),
            "step": torch.arange(n_steps).repeat(n_trials).numpy(),
            "x": places[..., 0].flatten().numpy(),
            "y": places[..., 1].flatten().numpy(),
            "value": values.repeat_interleave(n_steps).numpy(),
        }
    )
    tables = [on_trials]
    for kind, found in (("slow", slow_points(step, held)), ("fixed", fixed_points(step, sequence))):
        points = (found.states - mean) @ axes
        tables.append(
            pd.DataFrame(
                {
                    "kind": kind,
                    "trial": -1,
                    "step": -1,
                    "x": points[:, 0],
                    "y": points[:, 1],
                    "value": found.eigenvalues.abs()[:, 0],
                    "q": found.speed,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
