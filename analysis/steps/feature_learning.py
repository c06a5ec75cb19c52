"""Feature learning: how far training turned each converged network's tangent kernel and representation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from analysis.results import Results, Rows, fingerprint, read_table, write_table
from analysis.steps.activations import converged
from analysis.steps.networks import Trialset, load_run
from degen.condition import Condition
from degen.errors import require, require_integer
from degen.metrics.feature_learning import representation_alignment
from degen.metrics.ntk import kernel_alignment
from degen.models import Parameters
from degen.networks import Network
from degen.streams import Stream
from launch.experiment import Experiment

MEASURES = ("kernel_alignment", "representation_alignment")


@dataclasses.dataclass(frozen=True, kw_only=True)
class KernelProbe:
    """The outputs whose tangent kernel is taken: time steps of trials, and the weights they depend on.

    Args:
        n_trials: trials, the same for all networks of a task.
        n_times: time steps of a trial, evenly spaced, the last one included.
        weights: names of a network's weights.
        seed: another seed, other trials.
    """

    n_trials: int
    n_times: int
    weights: list[str]
    seed: int

    def __post_init__(self) -> None:
        for name, minimum in (("n_trials", 2), ("n_times", 1), ("seed", 0)):
            require_integer(f"feature_learning.{name}", getattr(self, name), minimum)
        listed = isinstance(self.weights, list) and len(self.weights) > 0
        listed = listed and all(isinstance(name, str) for name in self.weights)
        require(listed, "feature_learning.weights", self.weights, "a list of at least one name")

    def times(self, n_steps: int) -> list[int]:
        """The time steps, of a trial with `n_steps`."""
        return [round((i + 1) * n_steps / self.n_times) - 1 for i in range(self.n_times)]

    def require_fits(self, condition: Condition) -> None:
        """See that a condition's networks have these weights and its trials as many time steps.

        Raises:
            BadInputError: they do not.
        """
        known = condition.model.initialize(condition.task, Stream.named([0], "weights"))
        for name in self.weights:
            require(name in known, "feature_learning.weights", name, "one of " + ", ".join(known))
        n_steps = condition.task.generate(2, Stream.named([0], "probe")).inputs.shape[-2]
        allowed = f"at most the {n_steps} time steps of {condition.task_name}"
        require(self.n_times <= n_steps, "feature_learning.n_times", self.n_times, allowed)


def feature_learning(
    experiment: Experiment,
    runs: Path,
    results: Results,
    table: pd.DataFrame,
    probe: KernelProbe,
    weights_at: str,
) -> pd.DataFrame:
    """Store both alignments of every converged network before and after training.

    Returns:
        `table` with the columns kernel_alignment (KA; section 3.2 of the paper) and representation_alignment
        (RA; App. L; hidden states at all time steps of the probe's trials), empty where not converged.
    """
    known = Rows(results.feature_learning)
    rows: list[dict[str, Any]] = []
    computed = 0
    for condition in experiment.conditions:
        networks = table[table["condition"] == condition.signature].set_index("seed")
        found: dict[int, dict[str, Any] | None] = {}
        marks = {}
        for seed in converged(table, condition):
            marks[seed] = fingerprint(networks.loc[seed, "network"], dataclasses.asdict(probe))
            found[seed] = known.find(marks[seed])
        missing = [seed for seed, row in found.items() if row is None]
        if missing:
            run = load_run(runs, condition, weights_at)
            chosen = [network for network in run.networks if network.seed in missing]
            for network, values in zip(chosen, _alignments(condition, chosen, probe), strict=True):
                key = {"condition": condition.signature, "seed": network.seed}
                found[network.seed] = key | values | {"made_from": marks[network.seed]}
            computed += len(missing)
        rows += [row for row in found.values() if row is not None]
        if missing:
            known.keep(rows)
    aligned = pd.DataFrame(rows)
    made_from = fingerprint(aligned["made_from"].tolist())
    if read_table(results.feature_learning, made_from) is None:
        write_table(results.feature_learning, aligned, made_from)
    known.end()
    print(f"feature learning: {len(aligned)} networks, {computed} of them new", flush=True)
    columns = ["condition", "seed", *MEASURES]
    return table.merge(aligned[columns], on=["condition", "seed"], how="left")


def _alignments(
    condition: Condition, networks: Sequence[Network], probe: KernelProbe
) -> list[dict[str, float]]:
    """KA and RA of each network, in double precision."""
    trialset = Trialset(n_trials=probe.n_trials, seed=probe.seed)
    trials = trialset.draw(condition.task, "kernel probe", torch.float64)
    model, by_trial = condition.model, trials.map(lambda array: array.transpose(0, 1).contiguous())
    initial = _stacked([network.initial for network in networks])
    final = _stacked([network.weights for network in networks])
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
        turned = representation_alignment(before.flatten(1, 2), after.flatten(1, 2)).item()
        values.append(dict(zip(MEASURES, (kernel, turned), strict=True)))
    return values


def _stacked(parameters: list[Parameters]) -> Parameters:
    """(networks, ...) in float64."""
    return {name: torch.cat([weights[name].double() for weights in parameters]) for name in parameters[0]}
