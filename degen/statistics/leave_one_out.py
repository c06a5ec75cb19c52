"""Influence of single networks on a test, by leaving out each network in turn.

A network is left out as a whole: a row and a column of a distance matrix, or a value (Efron & Tibshirani
1993, chapters 10 and 11). Bootstrap samples contain the remaining networks equally often as with it, unless
no other condition has its seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from degen.statistics.bootstrap import MIN_NETWORKS
from degen.statistics.factor_curve import FactorCurve
from degen.statistics.joint_test import JointTest

Result = TypeVar("Result", bound=JointTest)


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
    whole: Result,
    curves: Mapping[str, FactorCurve],
    without: Mapping[str, Mapping[str, FactorCurve | None]],
    fit: Callable[[Sequence[FactorCurve]], Result],
    significance: float,
) -> dict[str, Result]:
    """Find the networks that change the direction of a test when any one of them is left out.

    Args:
        whole: test of all networks.
        curves: for each task the curve of all networks, from which `whole` is computed.
        without: for each task the curves of `leave_one_out_curves`. Further tasks are ignored.
        fit: computes the test of some curves, such as `fit_trend` with its settings.
        significance: p below which a test is significant.

    Returns:
        For each such network the test without it, sorted by how far an effect moves, largest first. A network
        is skipped if no curve remains without it.
    """
    direction = whole.direction(significance)
    decisive = {}
    for task in curves:
        for network, reduced in without[task].items():
            remaining = [curve for curve in {**curves, task: reduced}.values() if curve is not None]
            if not remaining:
                continue
            test = fit(remaining)
            if test.direction(significance) != direction:
                decisive[network] = test
    return dict(sorted(decisive.items(), key=lambda item: -_largest_move(item[1], whole)))


def _largest_move(test: JointTest, whole: JointTest) -> float:
    """Return the largest difference between corresponding effects."""
    pairs = zip(test.effects, whole.effects, strict=True)
    return max(abs(effect.value - reference.value) for effect, reference in pairs)
