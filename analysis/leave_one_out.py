"""Does a trend hang on one network? Each is left out in turn, and the trend found anew.

Influence by leaving one out (Efron & Tibshirani 1993, chapters 10 and 11), of whole networks: a row and a
column of a distance matrix, or a value. An interval does not show it: a network that lies far off is in two
of three samples of the bootstrap. What is left is in the same samples as before, as long as another condition
has the seed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from analysis.measures import ConditionData, CurveBuilder
from degen.statistics.bootstrap import FEWEST, Bootstrap
from degen.statistics.factor_curve import Axis
from degen.statistics.trend import Trend, trend


def axes_without(
    sources: Sequence[ConditionData], make: CurveBuilder, bootstrap: Bootstrap
) -> dict[str, Axis | None]:
    """The axis of one task without each of its networks in turn, by network: task, condition and seed.

    It is what the axis would be had that network not converged. A condition of three networks goes with any
    one of them, since a trend takes three, and the name says so. Where one condition is left, the axis goes,
    too (None).

    Raises:
        BadInputError: as `make` does where a distance matrix is missing.
    """
    axes = {}
    for place, source in enumerate(sources):
        for seed in source.seeds:
            without = dataclasses.replace(source, left_out=seed)
            is_enough = len(without.seeds) >= FEWEST
            kept = [*sources[:place], *([without] if is_enough else []), *sources[place + 1 :]]
            network = f"{source.condition.task_name} {source.condition.name} seed {seed}"
            name = network if is_enough else f"{network} and its condition"
            axes[name] = make(kept, bootstrap) if len(kept) >= 2 else None
    return axes


def deciding(
    whole: Trend,
    axes: Mapping[str, Axis],
    without: Mapping[str, Mapping[str, Axis | None]],
    bootstrap: Bootstrap,
    n_permutations: int,
    significance: float,
) -> dict[str, Trend]:
    """The networks that each by itself decide the direction of a trend: without it, it is another.

    Args:
        whole: the trend of all networks.
        axes: of each task, all networks, from which `whole` is.
        without: of each task at least what `axes_without` returns.
        n_permutations: as in `trend`, as is `bootstrap`.
        significance: as in `Trend.direction`.

    Returns:
        For each of them the trend without it; first comes the one without which the effect moves farthest. A
        network without which no axis is left, and so no trend, is none of them.
    """
    direction = whole.direction(significance)
    found = {}
    for task in axes:
        for network, reduced in without[task].items():
            pool = [axis for axis in {**axes, task: reduced}.values() if axis is not None]
            if not pool:
                continue
            rest = trend(pool, bootstrap, n_permutations)
            if rest.direction(significance) != direction:
                found[network] = rest
    return dict(sorted(found.items(), key=lambda item: -abs(item[1].effect - whole.effect)))
