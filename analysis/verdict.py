"""Table 1 of the paper, recomputed: does each factor move degeneracy at each level as the paper says?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from analysis.results import Results, read_table
from analysis.statistics import Bootstrap
from analysis.trends import Array, Axis, Trend, deviation_axis, distance_axis, mean_axis, trend
from degen.condition import Condition
from degen.errors import require, require_integer, require_number
from degen.files import read_tensors
from launch.conditions import Experiment

LEVELS = ("dynamics", "weights", "behaviour")
FACTORS = {
    "task complexity": (("task_complexity", "memory_demand", "auxiliary_loss"), "\u2193\u2191\u2193"),
    "feature learning": (("feature_learning", "standard_feature_learning"), "\u2193\u2191\u2191"),
    "network size": (("network_size", "standard_network_size"), "\u2193\u2193\u2193"),
    "regularization": (("low_rank", "sparsity"), "\u2193\u2193\u2193"),
}
"""For each factor of Table 1 its experiments and the paper's arrows, in the order of `LEVELS`."""

_FEWEST = 3
"""Networks of a condition that a trend takes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Permutations:
    """Permutation tests of trends.

    Args:
        n_permutations: of the networks' labels.
        significance: p below which a trend counts as one.
    """

    n_permutations: int
    significance: float

    def __post_init__(self) -> None:
        require_integer("permutations.n_permutations", self.n_permutations, 19)
        require_number("permutations.significance", self.significance, above=0.0, maximum=1.0)


@dataclasses.dataclass(frozen=True)
class Source:
    """What a condition's degeneracies are computed from: converged networks only."""

    condition: Condition
    networks: pd.DataFrame
    results: Results

    def matrix(self, metric: str) -> Array:
        """Pairwise distances of a metric.

        Raises:
            BadInputError: they are not there, or not of these networks.
        """
        path = self.results.matrix(metric, self.condition.signature)
        arrays, metadata = read_tensors(path) if path.exists() else ({}, {})
        seeds = self.networks["seed"].tolist()
        allowed = f"of seeds {seeds}, as in the table of networks (python -m analysis makes it)"
        require(metadata.get("seeds") == seeds, str(path), metadata.get("seeds"), allowed)
        return arrays["distances"].numpy()

    def column(self, name: str) -> Array:
        """One value a network, by seed."""
        return self.networks[name].to_numpy(np.float64)


Measure = Callable[[Sequence[Source], Bootstrap], Axis]


def _distances(
    metric: str, scale: Callable[[Source, Array], Array] = lambda source, matrix: matrix
) -> Measure:
    def axis(sources: Sequence[Source], bootstrap: Bootstrap) -> Axis:
        return distance_axis([scale(source, source.matrix(metric)) for source in sources], bootstrap)

    return axis


def _per_parameter(source: Source, matrix: Array) -> Array:
    return matrix / source.condition.model.width**2


def _relative(source: Source, matrix: Array) -> Array:
    squares = source.column("weight_norm") ** 2
    return matrix / np.sqrt(squares[:, None] + squares[None, :])


def _over_initial(source: Source, matrix: Array) -> Array:
    """Times the distance of initial weights: 1 is what training left as far apart as it was."""
    initial = source.matrix("pif_initial")
    return matrix / (initial.sum() / (len(initial) * (len(initial) - 1)))


def _sigma(sources: Sequence[Source], bootstrap: Bootstrap) -> Axis:
    return deviation_axis([source.column("ood_loss") for source in sources], bootstrap)


def _coefficient(sources: Sequence[Source], bootstrap: Bootstrap) -> Axis:
    losses = [source.column("ood_loss") for source in sources]
    return deviation_axis([values / values.mean() for values in losses], bootstrap)


def _mean(column: str) -> Measure:
    def axis(sources: Sequence[Source], bootstrap: Bootstrap) -> Axis:
        return mean_axis([source.column(column) for source in sources], bootstrap)

    return axis


MEASURES: dict[str, dict[str, Measure]] = {
    "dynamics": {"DSA": _distances("dsa")},
    "weights": {
        "PIF": _distances("pif"),
        "PIF / n^2": _distances("pif", _per_parameter),
        "PIF / norms": _distances("pif", _relative),
        "PIF / initial PIF": _distances("pif", _over_initial),
    },
    "behaviour": {"sigma OOD": _sigma, "sigma / mean OOD": _coefficient, "mean OOD": _mean("ood_loss")},
    "representation": {"1 - SVCCA": _distances("svcca")},
}
"""For each level the paper's measure first, then other normalizations of it."""


def paper_measure(experiment: str, level: str) -> str:
    """The measure on which the paper's arrow stands: PIF is divided by n^2 where widths are compared."""
    across_widths = experiment.endswith("network_size") and level == "weights"
    return "PIF / n^2" if across_widths else next(iter(MEASURES[level]))


def verdict(
    experiments: Sequence[Experiment],
    folder: Callable[[str], Results],
    bootstrap: Bootstrap,
    permutations: Permutations,
) -> pd.DataFrame:
    """One row for a factor, experiment, task (or `pooled`), level and measure.

    Columns: factor, experiment, task, level, measure, is_paper_measure, conditions, networks, effect, low,
    high (relative change over the axis, 1 for twice), p, spearman, left_out (networks that did not converge,
    of all conditions of the axis), missing (not trained yet), direction (an arrow, or `-` where p or the
    interval shows none), paper (its arrow) and agreement (yes, no or undecided).

    Conditions with fewer than three converged networks are left out of an axis, tasks with fewer than two
    such conditions out of the table.

    Args:
        folder: the results folder of an experiment.
    """
    by_name = {experiment.name: experiment for experiment in experiments}
    rows = []
    for factor, (names, arrows) in FACTORS.items():
        for name in names:
            if name in by_name:
                rows += _rows(
                    by_name[name],
                    folder(name),
                    dict(zip(LEVELS, arrows, strict=True)),
                    bootstrap,
                    permutations,
                    factor,
                )
    return pd.DataFrame(rows)


def _rows(
    experiment: Experiment,
    results: Results,
    arrows: dict[str, str],
    bootstrap: Bootstrap,
    permutations: Permutations,
    factor: str,
) -> list[dict[str, object]]:
    table = read_table(results.networks)
    if table is None:
        return []
    groups = axes_of(experiment, results, table)
    rows = []
    for level, measures in MEASURES.items():
        for measure, make in measures.items():
            axes = {task: make(sources, bootstrap) for task, sources in groups.items()}
            pools = {**{task: [axis] for task, axis in axes.items()}, "pooled": list(axes.values())}
            for task, pool in pools.items():
                if not pool:
                    continue
                found = trend(pool, bootstrap, permutations.n_permutations)
                rows.append(
                    {
                        "factor": factor,
                        "experiment": experiment.name,
                        "task": task,
                        "level": level,
                        "measure": measure,
                        "is_paper_measure": measure == paper_measure(experiment.name, level),
                        "conditions": sum(len(axis.values) for axis in pool),
                        "networks": found.networks,
                        "effect": np.expm1(found.effect),
                        "low": np.expm1(found.low),
                        "high": np.expm1(found.high),
                        "p": found.p,
                        "spearman": found.spearman,
                    }
                    | _left_out(experiment, table, list(groups) if task == "pooled" else [task])
                    | _judged(found, arrows.get(level, ""), permutations.significance)
                )
    return rows


def axes_of(experiment: Experiment, results: Results, table: pd.DataFrame) -> dict[str, list[Source]]:
    """For each task the conditions with enough converged networks, in the order of the factor."""
    good = table[table["status"] == "converged"].sort_values("seed")
    groups = {}
    ordered = sorted(
        experiment.conditions, key=lambda condition: (condition.task_name, experiment.value(condition))
    )
    for task, conditions in groupby(ordered, key=lambda condition: condition.task_name):
        sources = [Source(c, good[good["condition"] == c.signature], results) for c in conditions]
        enough = [source for source in sources if len(source.networks) >= _FEWEST]
        if len(enough) >= 2:
            groups[task] = enough
    return groups


def _left_out(experiment: Experiment, table: pd.DataFrame, tasks: Sequence[str]) -> dict[str, int]:
    signatures = {c.signature for c in experiment.conditions if c.task_name in tasks}
    found = table[table["condition"].isin(signatures)]
    missing = len(signatures) * len(experiment.seeds) - len(found)
    return {"left_out": int((found["status"] != "converged").sum()), "missing": missing}


def _judged(found: Trend, arrow: str, significance: float) -> dict[str, str]:
    """A trend is one where the test says so and the interval leaves out zero."""
    shown = found.p < significance and (found.low > 0 or found.high < 0)
    direction = ("\u2191" if found.effect > 0 else "\u2193") if shown else "-"
    agreement = (
        "" if not arrow else "undecided" if direction == "-" else "yes" if direction == arrow else "no"
    )
    return {"direction": direction, "paper": arrow, "agreement": agreement}
