"""Influence of single networks on a trend, by leaving out each network in turn.

A network is left out as a whole: a row and a column of a distance matrix, or a value (Efron & Tibshirani
1993, chapters 10 and 11). Bootstrap samples contain the remaining networks equally often as with it, unless
no other condition has its seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from degen.statistics.bootstrap import MIN_NETWORKS, Bootstrap
from degen.statistics.factor_curve import FactorCurve
from degen.statistics.permutation import PermutationTest
from degen.statistics.trend import Trend, fit_trend


def leave_one_out_curves(
    seeds: Mapping[str, Sequence[int]], build: Callable[[Mapping[str, int | None]], FactorCurve]
) -> dict[str, FactorCurve | None]:
    """Build the curve of one task once per network, with that network left out.

    A trend needs at least `MIN_NETWORKS` networks per condition. If a condition has no more, the whole
    condition is left out together with the network.

    Args:
        seeds: the seeds of each condition's networks, by name of the condition. The condition with the lowest
            factor value comes first.
        build: builds a curve. Its argument contains the name of each condition of the curve, and the seed to
            leave out of it (None to use all networks).

    Returns:
        The curve without each network, by the name "<condition> seed <seed>". The name ends with "and its
        condition" if the condition is left out too. The curve is None if fewer than two conditions remain.
    """
    curves: dict[str, FactorCurve | None] = {}
    for condition, condition_seeds in seeds.items():
        keeps_condition = len(condition_seeds) > MIN_NETWORKS
        for seed in condition_seeds:
            remaining: dict[str, int | None] = dict.fromkeys(seeds)
            if keeps_condition:
                remaining[condition] = seed
            else:
                del remaining[condition]
            name = f"{condition} seed {seed}" + ("" if keeps_condition else " and its condition")
            curves[name] = build(remaining) if len(remaining) >= 2 else None
    return curves


def decisive_networks(
    whole: Trend,
    curves: Mapping[str, FactorCurve],
    without: Mapping[str, Mapping[str, FactorCurve | None]],
    bootstrap: Bootstrap,
    test: PermutationTest,
) -> dict[str, Trend]:
    """Find the networks that change the direction of a trend when any one of them is left out.

    Args:
        whole: trend of all networks.
        curves: for each task the curve of all networks, from which `whole` is computed.
        without: for each task the curves of `leave_one_out_curves`. Further tasks are ignored.
        bootstrap: settings of the intervals.
        test: settings of the permutation tests.

    Returns:
        For each such network the trend without it, sorted by how far the effect moves, largest first. A
        network is skipped if no curve remains without it.
    """
    direction = whole.direction(test.significance)
    decisive = {}
    for task in curves:
        for network, reduced in without[task].items():
            remaining = [curve for curve in {**curves, task: reduced}.values() if curve is not None]
            if not remaining:
                continue
            trend = fit_trend(remaining, bootstrap, test.n_permutations)
            if trend.direction(test.significance) != direction:
                decisive[network] = trend
    return dict(sorted(decisive.items(), key=lambda item: -abs(item[1].effect - whole.effect)))
