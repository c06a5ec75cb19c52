"""What a degeneracy is computed from: the networks of a condition, and the measures of each level."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.results import Results
from degen.condition import Condition
from degen.errors import require
from degen.files import read_tensors
from degen.statistics import Bootstrap, FactorCurve, deviation_curve, distance_curve, mean_curve, ratio_curve
from degen.statistics.bootstrap import Array

LEVELS = ("dynamics", "weights", "behaviour")
"""Those of Table 1, in the order of its columns."""

DISTANCES = ("dynamics", "weights", "representation")
"""Those measured by distances between two networks."""


@dataclasses.dataclass(frozen=True)
class Source:
    """What a condition's degeneracies are computed from.

    Attributes:
        condition: the condition.
        networks: its converged networks, one row each, by seed.
        results: where its matrices are.
        left_out: the seed of a network that is left out of all of it, None for none.
    """

    condition: Condition
    networks: pd.DataFrame
    results: Results
    left_out: int | None = None

    @property
    def seeds(self) -> list[int]:
        """Of the networks that are not left out."""
        return [seed for seed in self.networks["seed"] if seed != self.left_out]

    def matrix(self, metric: str) -> Array:
        """Pairwise distances (networks, networks) of a metric.

        Raises:
            BadInputError: they are not there, or not of these networks.
        """
        path = self.results.matrix(metric, self.condition.signature)
        arrays, metadata = read_tensors(path) if path.exists() else ({}, {})
        seeds = self.networks["seed"].tolist()
        allowed = f"of seeds {seeds}, as in the table of networks (python -m analysis makes it)"
        require(metadata.get("seeds") == seeds, str(path), metadata.get("seeds"), allowed)
        return arrays["distances"].numpy()[np.ix_(self._kept, self._kept)]

    def column(self, name: str) -> Array:
        """One value a network, (networks,), by seed.

        Raises:
            BadInputError: the table has no such column.
        """
        allowed = f"with the column {name}, as the table of degeneracy (python -m analysis makes both)"
        require(name in self.networks, str(self.results.networks), list(self.networks), allowed)
        return self.networks[name].to_numpy(np.float64)[self._kept]

    @property
    def _kept(self) -> NDArray[np.bool_]:
        return (self.networks["seed"] != self.left_out).to_numpy(bool)


Make = Callable[[Sequence[Source], Bootstrap], FactorCurve]
"""From a task's conditions, lowest first, to the axis of a measure."""


@dataclasses.dataclass(frozen=True)
class Measure:
    """A degeneracy along a factor.

    Attributes:
        axis: finds it.
        metrics: whose matrices it takes.
        has_arrow: whether the paper's arrow is of it, in whatever normalization.
    """

    axis: Make
    metrics: tuple[str, ...] = ()
    has_arrow: bool = True


def _drawn(sources: Sequence[Source], bootstrap: Bootstrap) -> tuple[list[list[int]], Bootstrap, str]:
    return [source.seeds for source in sources], bootstrap, sources[0].condition.task_name


def _distances(metric: str, scale: Callable[[Source, Array], Array] = lambda source, matrix: matrix) -> Make:
    def axis(sources: Sequence[Source], bootstrap: Bootstrap) -> FactorCurve:
        matrices = [scale(source, source.matrix(metric)) for source in sources]
        return distance_curve(matrices, *_drawn(sources, bootstrap))

    return axis


def _per_parameter(source: Source, matrix: Array) -> Array:
    return matrix / source.condition.model.width**2


def _relative(source: Source, matrix: Array) -> Array:
    squares = source.column("weight_norm") ** 2
    return matrix / np.sqrt(squares[:, None] + squares[None, :])


def _over_initial(sources: Sequence[Source], bootstrap: Bootstrap) -> FactorCurve:
    """Times the distance of initial weights: 1 is what training left as far apart as it was."""
    trained, initial = (_distances(metric)(sources, bootstrap) for metric in ("pif", "pif_initial"))
    return ratio_curve(trained, initial)


def _deviation(column: str) -> Make:
    def axis(sources: Sequence[Source], bootstrap: Bootstrap) -> FactorCurve:
        return deviation_curve([source.column(column) for source in sources], *_drawn(sources, bootstrap))

    return axis


def _mean(column: str) -> Make:
    def axis(sources: Sequence[Source], bootstrap: Bootstrap) -> FactorCurve:
        return mean_curve([source.column(column) for source in sources], *_drawn(sources, bootstrap))

    return axis


def _coefficient(sources: Sequence[Source], bootstrap: Bootstrap) -> FactorCurve:
    deviation, mean = (kind("ood_loss")(sources, bootstrap) for kind in (_deviation, _mean))
    return ratio_curve(deviation, mean)


MEASURES: dict[str, dict[str, Measure]] = {
    "dynamics": {"DSA": Measure(_distances("dsa"), ("dsa",))},
    "weights": {
        "PIF": Measure(_distances("pif"), ("pif",)),
        "PIF / n^2": Measure(_distances("pif", _per_parameter), ("pif",)),
        "PIF / norms": Measure(_distances("pif", _relative), ("pif",)),
        "PIF / initial PIF": Measure(_over_initial, ("pif", "pif_initial")),
    },
    "behaviour": {
        "sigma OOD": Measure(_deviation("ood_loss")),
        "sigma / mean OOD": Measure(_coefficient),
        "mean OOD": Measure(_mean("ood_loss"), has_arrow=False),
    },
    "representation": {"1 - SVCCA": Measure(_distances("svcca"), ("svcca",))},
}
"""For each level the paper's measure first, then other normalizations of it."""


def measures(degeneracies: pd.DataFrame) -> dict[str, dict[str, Measure]]:
    """For each level those of `MEASURES` that an analysis has measured, then by their names what it has more.

    That is every further distance, such as DSA with other settings or a metric of one's own, and sigma OOD on
    every further condition.

    Args:
        degeneracies: as `analysis.steps.degeneracy.degeneracy` returns it.
    """
    levels = dict(degeneracies[["measure", "level"]].drop_duplicates().to_numpy())
    # Matrices of other metrics may lie there, from an earlier analysis on another probe.
    found = {
        level: {name: one for name, one in known.items() if levels.keys() >= set(one.metrics)}
        for level, known in MEASURES.items()
    }
    taken = {metric for known in MEASURES.values() for one in known.values() for metric in one.metrics}
    for name, level in levels.items():
        if level in DISTANCES and name not in taken and not name.endswith("_null"):
            found[level][name] = Measure(_distances(name), (name,))
        elif name.startswith("sigma_ood_"):
            found[level][name] = Measure(_deviation(f"ood_loss_{name.removeprefix('sigma_ood_')}"))
    return found


def paper_measure(experiment: str, level: str) -> str:
    """The measure on which the paper's arrow stands: PIF is divided by n^2 where widths are compared."""
    across_widths = experiment.endswith("network_size") and level == "weights"
    return "PIF / n^2" if across_widths else next(iter(MEASURES[level]))
