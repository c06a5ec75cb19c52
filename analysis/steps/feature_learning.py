"""Feature learning: how far training changed the tangent kernel and the representation of each network."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from analysis.cache import cached, cached_rows, fingerprint
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.steps.activations import converged_seeds
from analysis.steps.networks import load_run
from analysis.trials import TrialSet
from degen.condition import Condition
from degen.errors import require, require_integer
from degen.metrics.feature_learning import representation_alignment
from degen.metrics.ntk import kernel_alignment
from degen.models import Parameters
from degen.networks import TrainedNetwork
from degen.streams import Stream
from launch.experiment import Experiment

ALIGNMENTS = ("kernel_alignment", "representation_alignment")

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class KernelProbe:
    """Outputs whose tangent kernel is computed, and the weights that the kernel refers to.

    Args:
        n_trials: number of trials, common to all networks of a task.
        n_times: number of time steps per trial, evenly spaced, including the last one.
        weights: names of weights of a network.
        seed: selects the trials.
    """

    n_trials: int
    n_times: int
    weights: list[str]
    seed: int

    def __post_init__(self) -> None:
        for name, minimum in (("n_trials", 2), ("n_times", 1), ("seed", 0)):
            require_integer(f"feature_learning.{name}", getattr(self, name), minimum)
        is_list = isinstance(self.weights, list) and len(self.weights) > 0
        is_list = is_list and all(isinstance(name, str) for name in self.weights)
        require(is_list, "feature_learning.weights", self.weights, "a list of at least one name")

    def times(self, n_steps: int) -> list[int]:
        """Return the time steps of a trial with `n_steps` steps."""
        return [round((i + 1) * n_steps / self.n_times) - 1 for i in range(self.n_times)]

    def require_fits(self, condition: Condition) -> None:
        """Check that a condition's networks have the weights, and its trials enough time steps.

        Raises:
            BadInputError: a weight is unknown, or the trials are too short.
        """
        parameters = condition.model.initialize(condition.task, Stream.named([0], "weights"))
        for name in self.weights:
            require(name in parameters, "feature_learning.weights", name, "one of " + ", ".join(parameters))
        n_steps = condition.task.generate(2, Stream.named([0], "probe")).inputs.shape[-2]
        allowed = f"at most the {n_steps} time steps of {condition.task_name}"
        require(self.n_times <= n_steps, "feature_learning.n_times", self.n_times, allowed)


def compute_feature_learning(
    experiment: Experiment,
    runs: Path,
    results: ResultsFolder,
    table: pd.DataFrame,
    probe: KernelProbe,
    weights_at: str,
) -> pd.DataFrame:
    """Store both alignments between the initial and the trained network, for every converged network.

    Args:
        table: the table of `analysis.steps.networks.collect_networks`.

    Returns:
        `table` with the columns kernel_alignment (KA; section 3.2 of the paper) and representation_alignment
        (RA; App. L; hidden states at all time steps of the probe's trials). They are empty for networks that
        did not converge.
    """
    tables, n_computed = [], 0
    for condition in track("feature learning", experiment.conditions):
        networks = table[table["condition"] == condition.signature].set_index("seed")["network_fingerprint"]
        seeds = converged_seeds(table, condition)
        keys = {seed: fingerprint(networks.loc[seed], dataclasses.asdict(probe)) for seed in seeds}
        compute = functools.partial(_rows, runs, condition, probe, weights_at)
        rows, n_new = cached_rows(results.condition_feature_learning(condition.signature), keys, compute)
        tables.append(rows)
        n_computed += n_new
    alignments = pd.concat(tables, ignore_index=True)
    cached(results.feature_learning, fingerprint(alignments["fingerprint"].tolist()), lambda: alignments)
    logger.info("feature learning: %d networks, %d of them new", len(alignments), n_computed)
    columns = ["condition", "seed", *ALIGNMENTS]
    return table.merge(alignments[columns], on=["condition", "seed"], how="left")


def _rows(
    runs: Path, condition: Condition, probe: KernelProbe, weights_at: str, seeds: list[int]
) -> list[dict[str, Any]]:
    """Compute the rows of some seeds."""
    run = load_run(runs, condition, weights_at)
    networks = [network for network in run.networks if network.seed in seeds]
    alignments = compute_alignments(condition, networks, probe)
    return [
        {"condition": condition.signature, "seed": network.seed} | values
        for network, values in zip(networks, alignments, strict=True)
    ]


def compute_alignments(
    condition: Condition, networks: Sequence[TrainedNetwork], probe: KernelProbe
) -> list[dict[str, float]]:
    """Compute the alignments of each network's initial and trained state, in double precision.

    Returns:
        For each network the kernel alignment and the representation alignment, by the names in `ALIGNMENTS`.
    """
    trial_set = TrialSet(n_trials=probe.n_trials, seed=probe.seed)
    trials = trial_set.draw(condition.task, "kernel probe", torch.float64)
    model = condition.model
    # `kernel_alignment` passes one copy of a network per trial, so the first dimension becomes the trials.
    by_trial = trials.map(lambda array: array.transpose(0, 1).contiguous())
    initial = _stack([network.initial for network in networks])
    final = _stack([network.weights for network in networks])
    kernels = kernel_alignment(
        lambda copies: model(copies, by_trial).squeeze(1),
        initial,
        final,
        n_trials=probe.n_trials,
        weights=probe.weights,
        times=probe.times(trials.inputs.shape[-2]),
    )
    values = []
    for index, kernel in enumerate(kernels.tolist()):
        with torch.no_grad():
            before, after = (
                model.unroll({name: value[index : index + 1] for name, value in weights.items()}, trials)
                for weights in (initial, final)
            )
        representation = representation_alignment(before.flatten(1, 2), after.flatten(1, 2)).item()
        values.append(dict(zip(ALIGNMENTS, (kernel, representation), strict=True)))
    return values


def _stack(parameters: list[Parameters]) -> Parameters:
    """Return parameters (networks, ...) in double precision."""
    return {name: torch.cat([weights[name].double() for weights in parameters]) for name in parameters[0]}
