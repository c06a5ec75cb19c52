"""Degeneracy measures of each level, and their values along a factor."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.trends.condition_data import ConditionData
from degen.statistics import Bootstrap, FactorCurve, deviation_curve, distance_curve, mean_curve, ratio_curve
from degen.statistics.jackknife import Array

LEVELS = ("dynamics", "weights", "behavior")
"""Levels of Table 1, in the order of its columns."""

DISTANCES = ("dynamics", "weights", "representation")
"""Levels whose measures are distances between pairs of networks."""


CurveBuilder = Callable[[Sequence[ConditionData], Bootstrap], FactorCurve]
"""Function that computes a measure along a factor from a task's conditions, sorted by the factor."""


@dataclasses.dataclass(frozen=True)
class DegeneracyMeasure:
    """A measure of degeneracy along a factor.

    Attributes:
        build_curve: computes the measure.
        metrics: metrics whose distance matrices the measure reads.
        has_arrow: whether Table 1 of the paper has an arrow for the quantity, in any normalization.
        has_task_units: whether values have the units of a task's loss, so that tasks cannot be compared.
        rows: further measures that the degeneracy table has of every condition with this measure.
    """

    build_curve: CurveBuilder
    metrics: tuple[str, ...] = ()
    has_arrow: bool = True
    has_task_units: bool = False
    rows: tuple[str, ...] = ()


def _curve_arguments(
    data: Sequence[ConditionData], bootstrap: Bootstrap
) -> tuple[list[list[int]], Bootstrap, str]:
    return [condition.seeds for condition in data], bootstrap, data[0].condition.task_name


def _unscaled(data: ConditionData, matrix: Array) -> Array:
    return matrix


def _per_parameter(data: ConditionData, matrix: Array) -> Array:
    model = data.condition.model
    return matrix / (model.blocks * model.width**2)


def _relative_to_norms(data: ConditionData, matrix: Array) -> Array:
    squares = data.column("weight_norm") ** 2
    return matrix / np.sqrt(squares[:, None] + squares[None, :])


def _distance(metric: str, scale: Callable[[ConditionData, Array], Array] = _unscaled) -> CurveBuilder:
    def build_curve(data: Sequence[ConditionData], bootstrap: Bootstrap) -> FactorCurve:
        covered = [condition.covered_by(metric) for condition in data]
        matrices = [scale(condition, condition.matrix(metric)) for condition in covered]
        return distance_curve(matrices, *_curve_arguments(covered, bootstrap))

    return build_curve


def _ratio(trained_metric: str, initial_metric: str) -> CurveBuilder:
    """Divide the distance of trained weights by the distance of initial weights: 1 means unchanged."""

    def build_curve(data: Sequence[ConditionData], bootstrap: Bootstrap) -> FactorCurve:
        trained, initial = (_distance(name)(data, bootstrap) for name in (trained_metric, initial_metric))
        return ratio_curve(trained, initial)

    return build_curve


def _deviation(column: str) -> CurveBuilder:
    def build_curve(data: Sequence[ConditionData], bootstrap: Bootstrap) -> FactorCurve:
        values = [condition.column(column) for condition in data]
        return deviation_curve(values, *_curve_arguments(data, bootstrap))

    return build_curve


def _log_deviation(column: str) -> CurveBuilder:
    def build_curve(data: Sequence[ConditionData], bootstrap: Bootstrap) -> FactorCurve:
        values = [np.log(condition.column(column)) for condition in data]
        return deviation_curve(values, *_curve_arguments(data, bootstrap))

    return build_curve


def _mean(column: str) -> CurveBuilder:
    def build_curve(data: Sequence[ConditionData], bootstrap: Bootstrap) -> FactorCurve:
        values = [condition.column(column) for condition in data]
        return mean_curve(values, *_curve_arguments(data, bootstrap))

    return build_curve


def _coefficient_of_variation(data: Sequence[ConditionData], bootstrap: Bootstrap) -> FactorCurve:
    deviation, mean = (build("ood_loss")(data, bootstrap) for build in (_deviation, _mean))
    return ratio_curve(deviation, mean)


_OOD = ("sigma_ood",)
"""A task without `ood()` has no such row."""

MEASURES: dict[str, dict[str, DegeneracyMeasure]] = {
    "dynamics": {"DSA": DegeneracyMeasure(_distance("dsa"), ("dsa",))},
    "weights": {
        "PIF": DegeneracyMeasure(_distance("pif"), ("pif",)),
        "PIF / n^2": DegeneracyMeasure(_distance("pif", _per_parameter), ("pif",)),
        "PIF / norms": DegeneracyMeasure(_distance("pif", _relative_to_norms), ("pif",)),
        "PIF / initial PIF": DegeneracyMeasure(_ratio("pif", "pif_initial"), ("pif", "pif_initial")),
        "PIF signed": DegeneracyMeasure(_distance("pif_signed"), ("pif_signed",)),
        "PIF signed / norms": DegeneracyMeasure(_distance("pif_signed", _relative_to_norms), ("pif_signed",)),
        "PIF signed / initial": DegeneracyMeasure(
            _ratio("pif_signed", "pif_signed_initial"), ("pif_signed", "pif_signed_initial")
        ),
    },
    "behavior": {
        "sigma OOD": DegeneracyMeasure(_deviation("ood_loss"), has_task_units=True, rows=_OOD),
        "sigma / mean OOD": DegeneracyMeasure(_coefficient_of_variation, rows=_OOD),
        "sigma log OOD": DegeneracyMeasure(_log_deviation("ood_loss"), rows=_OOD),
        "mean OOD": DegeneracyMeasure(_mean("ood_loss"), has_arrow=False, has_task_units=True, rows=_OOD),
    },
    "representation": {"1 - SVCCA": DegeneracyMeasure(_distance("svcca"), ("svcca",))},
}
"""Measures of each level: the paper's measure first, then other normalizations."""


def available_measures(degeneracies: pd.DataFrame) -> dict[str, dict[str, DegeneracyMeasure]]:
    """Return the measures that an analysis computed, by level of degeneracy and by name.

    The measures of `MEASURES` come first. Further distances (DSA with other options, a metric of your own)
    and the standard deviation of each extra OOD loss, or of its logarithm, follow, with the names that they
    have in the table.

    Args:
        degeneracies: the table of `analysis.steps.degeneracy.compute_degeneracy`.
    """
    levels = dict(degeneracies[["measure", "level"]].drop_duplicates().to_numpy())
    # The folder may contain matrices of other metrics, left by an earlier analysis.
    available = {
        level: {
            name: measure
            for name, measure in named.items()
            if levels.keys() >= {*measure.metrics, *measure.rows}
        }
        for level, named in MEASURES.items()
    }
    named_metrics = {
        metric for named in MEASURES.values() for measure in named.values() for metric in measure.metrics
    }
    for name, level in levels.items():
        if level in DISTANCES and name not in named_metrics and not name.endswith("_null"):
            available[level][name] = DegeneracyMeasure(_distance(name), (name,))
        for prefix, build_curve in (("sigma_ood_", _deviation), ("sigma_log_ood_", _log_deviation)):
            if name.startswith(prefix):
                column = f"ood_loss_{name.removeprefix(prefix)}"
                available[level][name] = DegeneracyMeasure(
                    build_curve(column), has_task_units=build_curve is _deviation
                )
    return available


SECOND_HEADLINES = ("dsa_weighted", "PIF signed", "sigma log OOD")
"""Main measures in addition to the paper's, if an analysis has them. The family of q excludes them."""


def main_measures(experiment: str, available: Mapping[str, Mapping[str, DegeneracyMeasure]]) -> list[str]:
    """Return the names of the measures that answer the question of an experiment.

    They are the paper's measure of each level of Table 1, and `SECOND_HEADLINES`.

    Args:
        experiment: name of the experiment.
        available: measures of each level, from `available_measures`.
    """
    names = [*(paper_measure(experiment, level) for level in LEVELS), *SECOND_HEADLINES]
    measured = {name for level in LEVELS for name in available.get(level, {})}
    return [name for name in names if name in measured]


def variants(degeneracies: pd.DataFrame) -> dict[str, str]:
    """Return the measure that each measure is another setting of. Measures of their own are left out.

    Args:
        degeneracies: the table of `analysis.steps.degeneracy.compute_degeneracy`.
    """
    named = degeneracies.dropna(subset="variant_of")[["measure", "variant_of"]]
    return {name: parent for name, parent in named.drop_duplicates().to_numpy() if name.upper() != parent}


def paper_measure(experiment: str, level: str) -> str:
    """Return the measure that the paper's arrow refers to: PIF / n^2 where widths are compared."""
    across_widths = experiment.endswith("network_size") and level == "weights"
    return "PIF / n^2" if across_widths else next(iter(MEASURES[level]))
