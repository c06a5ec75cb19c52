"""Trajectories and slow points of one network a condition, in its two principal components (Fig. 4C)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

import degen
from analysis.activations import converged
from analysis.gather import Trialset
from analysis.results import Results, fingerprint, read_table, write_table
from degen.condition import Condition
from degen.metrics.fixed_points import fixed_points
from degen.models import Model, Parameters
from degen.storage import Network, RunFolder
from launch.conditions import Experiment

_SLOWEST = 1e-5
"""Of the speed q of what is drawn: states on a line attractor drift, if slowly [chosen]."""
_STARTS = 200
"""States on trials from which slow points are looked for [chosen]."""


def trajectories(
    experiment: Experiment, runs: Path, results: Results, table: pd.DataFrame, probe: Trialset
) -> pd.DataFrame:
    """Trials of each condition's first converged network, and its slow points without input.

    Columns: condition, seed, trial (-1 for slow points), step, x, y (principal components of the states on
    the probe), value (mean target of a trial while it is not zero; the largest modulus of the eigenvalues at
    a slow point), speed (of slow points).
    """
    chosen = [(c, converged(table, c)[0]) for c in experiment.conditions if converged(table, c)]
    digests = [table.set_index(["condition", "seed"])["made_from"][c.signature, seed] for c, seed in chosen]
    made_from = fingerprint(digests, dataclasses.asdict(probe), _SLOWEST, _STARTS)
    stored = read_table(results.trajectories, made_from)
    if stored is not None:
        print("trajectories: unchanged", flush=True)
        return stored
    tables = []
    for condition, seed in chosen:
        run = degen.load(RunFolder.of(runs, condition).path)
        network = next(network for network in run.networks if network.seed == seed)
        tables.append(_table(condition, network, probe).assign(condition=condition.signature, seed=seed))
    found = pd.concat(tables, ignore_index=True)
    write_table(results.trajectories, found, made_from)
    print(f"trajectories: {len(chosen)} networks, new", flush=True)
    return found


def _table(condition: Condition, network: Network, probe: Trialset) -> pd.DataFrame:
    trials = probe.draw(condition.task, "probe", condition.dtype)
    with torch.no_grad():
        hidden = condition.model.unroll(network.weights, trials)[0].double()
    states = hidden.flatten(0, 1)
    mean = states.mean(dim=0)
    axes = torch.linalg.svd(states - mean, full_matrices=False)[2][:2].T
    sequence = states[torch.linspace(0, len(states) - 1, _STARTS).long()]
    slow = fixed_points(_without_input(condition.model, network.weights), sequence, slowest=_SLOWEST)
    places = (hidden - mean) @ axes
    target = trials.targets[0, ..., 0].double()
    values = target.sum(dim=1) / (target != 0).sum(dim=1).clamp(min=1)
    n_trials, n_steps = places.shape[:2]
    on_trials = pd.DataFrame(
        {
            "trial": torch.arange(n_trials).repeat_interleave(n_steps).numpy(),
            "step": torch.arange(n_steps).repeat(n_trials).numpy(),
            "x": places[..., 0].flatten().numpy(),
            "y": places[..., 1].flatten().numpy(),
            "value": values.repeat_interleave(n_steps).numpy(),
        }
    )
    points = (slow.states - mean) @ axes
    moduli = slow.eigenvalues.abs()[:, 0]
    at_rest = pd.DataFrame(
        {"trial": -1, "step": -1, "x": points[:, 0], "y": points[:, 1], "value": moduli, "speed": slow.speed}
    )
    return pd.concat([on_trials, at_rest], ignore_index=True)


def _without_input(model: Model, weights: Parameters) -> Callable[[Tensor], Tensor]:
    """F of the network: a step without input, states (points, n)."""
    double = {name: tensor.double() for name, tensor in weights.items()}
    silent = torch.zeros(1, 1, double["input"].shape[-1], dtype=torch.float64)

    def step(states: Tensor) -> Tensor:
        return model.step(double, states.unsqueeze(0), silent)[0]

    return step
