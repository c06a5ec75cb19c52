"""Table 1 of the paper, recomputed: does each factor move degeneracy at each level as the paper says?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from analysis.cache import read_table
from analysis.leave_one_out import axes_without, deciding
from analysis.measures import LEVELS, ConditionData, DegeneracyMeasure, available_measures, paper_measure
from analysis.results import ResultsFolder
from degen.errors import require_integer, require_number
from degen.statistics.bootstrap import FEWEST, Bootstrap
from degen.statistics.factor_curve import Axis
from degen.statistics.trend import Trend, trend
from launch.experiment import Experiment

FACTORS = {
    "task complexity": (("task_complexity", "memory_demand", "auxiliary_loss"), "\u2193\u2191\u2193"),
    "feature learning": (
        ("feature_learning", "standard_feature_learning", "dense_feature_learning"),
        "\u2193\u2191\u2191",
    ),
    "network size": (
        ("network_size", "standard_network_size", "dense_network_size"),
        "\u2193\u2193\u2193",
    ),
    "regularization": (("low_rank", "sparsity", "dense_low_rank", "dense_sparsity"), "\u2193\u2193\u2193"),
}
"""For each factor of Table 1 its experiments and the paper's arrows, in the order of `LEVELS`."""

WORDS = {"yes": "agrees", "no": "disagrees", "undecided": "undecided"}
"""An agreement for a reader."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Permutations:
    """Permutation tests of trends.

    Args:
        n_permutations: of each seed's networks between conditions.
        significance: p below which a trend counts as one.
    """

    n_permutations: int
    significance: float

    def __post_init__(self) -> None:
        require_integer("permutations.n_permutations", self.n_permutations, 19)
        require_number("permutations.significance", self.significance, above=0.0, maximum=1.0)


def verdict(
    experiments: Sequence[Experiment],
    folder: Callable[[str], ResultsFolder],
    bootstrap: Bootstrap,
    permutations: Permutations,
) -> pd.DataFrame:
    """One row for a factor, experiment, task (or `pooled`), level and measure.

    Columns: factor, experiment, task, level, measure, is_paper_measure, conditions, networks, effect, low,
    high (relative change over the axis, 1 for twice), p, slope (what p is of: `Trend.slope`), spearman,
    left_out (trained networks of the task, or of all tasks, that are not behind the line: those that did not
    converge and those of conditions and tasks left out), missing (not trained yet),
    over_floor (the smallest of the conditions' distances over the mean distance of a network from itself on
    other trials; empty where that is not measured),
    direction (an arrow, or `-` where `Trend.direction` sees none), paper (its arrow, none for mean OOD),
    agreement (yes, no or undecided), deciding (networks that each by itself decide direction and agreement:
    both change when it alone is left out) and decided_by (the one of them that moves the effect farthest:
    task, condition and seed, then agreement, effect and interval without it, and p if the interval is without
    zero; empty where there is none). The last two are of the paper's measures in `LEVELS`, and empty
    elsewhere; conditions of three networks: see `influence.axes_without`.

    Conditions with fewer than three converged networks are left out of an axis, tasks with fewer than two
    such conditions out of the table. The measures are those of the last analysis
    (`analysis.measures.available_measures`).

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
    results: ResultsFolder,
    arrows: dict[str, str],
    bootstrap: Bootstrap,
    permutations: Permutations,
    factor: str,
) -> list[dict[str, object]]:
    table, degeneracies = read_table(results.networks), read_table(results.degeneracy)
    if table is None or degeneracies is None:
        return []
    groups = axes_of(experiment, results, table)
    rows = []
    for level, named in available_measures(degeneracies).items():
        for measure, definition in named.items():
            make = definition.build_curve
            axes = {task: make(sources, bootstrap) for task, sources in groups.items()}
            is_paper_measure = measure == paper_measure(experiment.name, level)
            # Of Table 1 only: it takes most of the time.
            tested = groups if is_paper_measure and level in LEVELS else {}
            without = {task: axes_without(sources, make, bootstrap) for task, sources in tested.items()}
            pools = {**{task: {task: axis} for task, axis in axes.items()}, "pooled": axes}
            for task, pool in pools.items():
                if not pool:
                    continue
                found = trend(list(pool.values()), bootstrap, permutations.n_permutations)
                direction = found.direction(permutations.significance)
                arrow = arrows.get(level, "") if definition.has_arrow else ""
                rows.append(
                    {
                        "factor": factor,
                        "experiment": experiment.name,
                        "task": task,
                        "level": level,
                        "measure": measure,
                        "is_paper_measure": is_paper_measure,
                        "conditions": sum(len(axis.values) for axis in pool.values()),
                        "networks": found.networks,
                        "effect": np.expm1(found.effect),
                        "low": np.expm1(found.low),
                        "high": np.expm1(found.high),
                        "p": found.p,
                        "slope": found.slope,
                        "spearman": found.spearman,
                    }
                    | _left_out(experiment, table, task, found.networks)
                    | {"over_floor": _over_floor(degeneracies, definition, [groups[one] for one in pool])}
                    | {"direction": direction, "paper": arrow, "agreement": _agreement(direction, arrow)}
                    | _influence(found, pool, without, arrow, bootstrap, permutations)
                )
    return rows


def axes_of(
    experiment: Experiment, results: ResultsFolder, table: pd.DataFrame
) -> dict[str, list[ConditionData]]:
    """For each task the conditions with enough converged networks, in the order of the factor."""
    good = table[table["status"] == "converged"].sort_values("seed")
    groups = {}
    ordered = sorted(experiment.sorted_by_factor(experiment.conditions), key=lambda each: each.task_name)
    for task, conditions in groupby(ordered, key=lambda condition: condition.task_name):
        sources = [ConditionData(c, good[good["condition"] == c.signature], results) for c in conditions]
        enough = [source for source in sources if len(source.seeds) >= FEWEST]
        if len(enough) >= 2:
            groups[task] = enough
    return groups


def _left_out(experiment: Experiment, table: pd.DataFrame, task: str, behind: int) -> dict[str, int]:
    signatures = {c.signature for c in experiment.conditions if task in ("pooled", c.task_name)}
    found = table[table["condition"].isin(signatures)]
    missing = len(signatures) * len(experiment.seeds) - len(found)
    return {"left_out": len(found) - behind, "missing": missing}


def _over_floor(
    degeneracies: pd.DataFrame, measure: DegeneracyMeasure, axes: Sequence[Sequence[ConditionData]]
) -> float:
    """NaN for a measure without a null."""
    signatures = [source.condition.signature for sources in axes for source in sources]
    table = degeneracies[degeneracies["condition"].isin(signatures)]
    values, nulls = (
        table[table["measure"].isin([f"{name}{ending}" for name in measure.metrics])].set_index("condition")[
            "value"
        ]
        for ending in ("", "_null")
    )
    return float((values / nulls).min()) if len(nulls) else np.nan


def _agreement(direction: str, arrow: str) -> str:
    if not arrow:
        return ""
    return "undecided" if direction == "-" else "yes" if direction == arrow else "no"


def _influence(
    whole: Trend,
    axes: Mapping[str, Axis],
    without: Mapping[str, Mapping[str, Axis | None]],
    arrow: str,
    bootstrap: Bootstrap,
    permutations: Permutations,
) -> dict[str, object]:
    """The columns deciding and decided_by."""
    if not without:
        return {"deciding": pd.NA, "decided_by": ""}
    significance = permutations.significance
    found = deciding(whole, axes, without, bootstrap, permutations.n_permutations, significance)
    if not found:
        return {"deciding": 0, "decided_by": ""}
    network, rest = next(iter(found.items()))
    words = WORDS[_agreement(rest.direction(significance), arrow)]
    effect, low, high = (f"{np.expm1(value):+.0%}" for value in (rest.effect, rest.low, rest.high))
    p = f", p = {rest.p:.2g}" if rest.excludes_zero else ""
    return {"deciding": len(found), "decided_by": f"{network}: {words}, {effect} [{low}, {high}]{p}"}
