"""Degeneracy measures of each level, and the data of a condition that they are computed from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.results import ResultsFolder
from degen.condition import Condition
from degen.errors import require
from degen.files import read_tensors
from degen.statistics import Bootstrap, FactorCurve, deviation_curve, distance_curve, mean_curve, ratio_curve
from degen.statistics.jackknife import Array

LEVELS = ("dynamics", "weights", "behavior")
"""Levels of Table 1, in the order of its columns."""

DISTANCES = ("dynamics", "weights", "representation")
"""Levels whose measures are distances between pairs of networks."""


@dataclasses.dataclass(frozen=True)
class ConditionData:
    """Networks and distance matrices of a condition.

    Attributes:
        condition: the condition.
        networks: one row per converged network, sorted by seed.
        results: the folder that contains the matrices.
        left_out: seed of a network that is excluded from all values, or None.
    """

    condition: Condition
    networks: pd.DataFrame
    results: ResultsFolder
    left_out: int | None = None

    @property
    def seeds(self) -> list[int]:
        """Seeds of the included networks."""
        return [seed for seed in self.networks["seed"] if seed != self.left_out]

    def matrix(self, metric: str) -> Array:
        """Return the pairwise distances (networks, networks) of a metric.

        Raises:
            BadInputError: the file is missing or belongs to other networks.
        """
        path = self.results.matrix(metric, self.condition.signature)
        arrays, metadata = read_tensors(path) if path.exists() else ({}, {})
        seeds = self.networks["seed"].tolist()
        allowed = f"of seeds {seeds}, as in the table of networks (python -m analysis makes it)"
        require(metadata.get("seeds") == seeds, str(path), metadata.get("seeds"), allowed)
        return arrays["distances"].numpy()[np.ix_(self._is_included, self._is_included)]

    def column(self, name: str) -> Array:
        """Return a column (networks,) of the table of networks.

        Raises:
            BadInputError: the table has no such column.
        """
        allowed = f"with the column {name}, as the table of degeneracy (python -m analysis makes both)"
        require(name in self.networks, str(self.results.networks), list(self.networks), allowed)
        return self.networks[name].to_numpy(np.float64)[self._is_included]

    @property
    def _is_included(self) -> NDArray[np.bool_]:
        return (self.networks["seed"] != self.left_out).to_numpy(bool)


CurveBuilder = Callable[[Sequence[ConditionData], Bootstrap], FactorCurve]
"""Function that computes a measure along a factor from a task's conditions, sorted by the factor."""


@dataclasses.dataclass(frozen=True)
class DegeneracyMeasure:
    """A measure of degeneracy along a factor.

    Attributes:
        build_curve: computes the measure.
        metrics: metrics whose distance matrices the measure reads.
        has_arrow: whether Table 1 of the paper has an arrow for the quantity, in any normalization.
    """

    build_curve: CurveBuilder
    metrics: tuple[str, ...] = ()
    has_arrow: bool = True


def _curve_arguments(
    data: Sequence[ConditionData], bootstrap: Bootstrap
) -> tuple[list[list[int]], Bootstrap, str]:
    return [condition.seeds for condition in data], bootstrap, data[0].condition.task_name


def _unscaled(data: ConditionData, matrix: Array) -> Array:
    return matrix


def _per_parameter(data: ConditionData, matrix: Array) -> Array:
    return matrix / data.condition.model.width**2


def _relative_to_norms(data: ConditionData, matrix: Array) -> Array:
    squares = data.column("weight_norm") ** 2
    return matrix / np.sqrt(squares[:, None] + squares[None, :])


def _distance(metric: str, scale: Callable[[ConditionData, Array], Array] = _unscaled) -> CurveBuilder:
    def build_curve(data: Sequence[ConditionData], bootstrap: Bootstrap) -> FactorCurve:
        matrices = [scale(condition, condition.matrix(metric)) for condition in data]
        return distance_curve(matrices, *_curve_arguments(data, bootstrap))

    return build_curve


def _relative_to_initial(data: Sequence[ConditionData], bootstrap: Bootstrap) -> FactorCurve:
    """Divide the distance of trained weights by the distance of initial weights: 1 means unchanged."""
    trained, initial = (_distance(metric)(data, bootstrap) for metric in ("pif", "pif_initial"))
    return ratio_curve(trained, initial)


def _deviation(column: str) -> CurveBuilder:
    def build_curve(data: Sequence[ConditionData], bootstrap: Bootstrap) -> FactorCurve:
        values = [condition.column(column) for condition in data]
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


MEASURES: dict[str, dict[str, DegeneracyMeasure]] = {
    "dynamics": {"DSA": DegeneracyMeasure(_distance("dsa"), ("dsa",))},
    "weights": {
        "PIF": DegeneracyMeasure(_distance("pif"), ("pif",)),
        "PIF / n^2": DegeneracyMeasure(_distance("pif", _per_parameter), ("pif",)),
        "PIF / norms": DegeneracyMeasure(_distance("pif", _relative_to_norms), ("pif",)),
        "PIF / initial PIF": DegeneracyMeasure(_relative_to_initial, ("pif", "pif_initial")),
    },
    "behavior": {
        "sigma OOD": DegeneracyMeasure(_deviation("ood_loss")),
        "sigma / mean OOD": DegeneracyMeasure(_coefficient_of_variation),
        "mean OOD": DegeneracyMeasure(_mean("ood_loss"), has_arrow=False),
    },
    "representation": {"1 - SVCCA": DegeneracyMeasure(_distance("svcca"), ("svcca",))},
}
"""Measures of each level: the paper's measure first, then other normalizations."""


def available_measures(degeneracies: pd.DataFrame) -> dict[str, dict[str, DegeneracyMeasure]]:
    """Return the measures of each level that an analysis computed.

    The measures of `MEASURES` come first. Further distances (DSA with other options, a metric of your own)
    and the standard deviation of each extra OOD loss follow, under their names in the table.

    Args:
        degeneracies: the table of `analysis.steps.degeneracy.compute_degeneracy`.
    """
    levels = dict(degeneracies[["measure", "level"]].drop_duplicates().to_numpy())
    # The folder may contain matrices of other metrics, left by an earlier analysis.
    available = {
        level: {name: measure for name, measure in named.items() if levels.keys() >= set(measure.metrics)}
        for level, named in MEASURES.items()
    }
    named_metrics = {
        metric for named in MEASURES.values() for measure in named.values() for metric in measure.metrics
    }
    for name, level in levels.items():
        if level in DISTANCES and name not in named_metrics and not name.endswith("_null"):
            available[level][name] = DegeneracyMeasure(_distance(name), (name,))
        elif name.startswith("sigma_ood_"):
            column = f"ood_loss_{name.removeprefix('sigma_ood_')}"
            available[level][name] = DegeneracyMeasure(_deviation(column))
    return available


def paper_measure(experiment: str, level: str) -> str:
    """Return the measure that the paper's arrow refers to: PIF / n^2 where widths are compared."""
    across_widths = experiment.endswith("network_size") and level == "weights"
    return "PIF / n^2" if across_widths else next(iter(MEASURES[level]))
