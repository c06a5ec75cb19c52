"""Text of estimates, effects and p values in tables and reports."""

from __future__ import annotations

import math
from collections.abc import Iterable

from degen.statistics.bootstrap import MIN_NETWORKS
from degen.statistics.trend import FALLS, NO_DIRECTION, RISES


def format_estimate(value: float, low: float, high: float, n_networks: int) -> str:
    """Format a value with its interval, or with the reason why it has no interval.

    Examples:
        >>> format_estimate(1.5, 1.25, 2.0, n_networks=8)
        '1.5 [1.25, 2]'
        >>> format_estimate(1.5, math.nan, math.nan, n_networks=2)
        '1.5 [no interval: 2 networks]'
    """
    if not math.isnan(low):
        return f"{value:.3g} [{low:.3g}, {high:.3g}]"
    reason = f"{n_networks} networks" if n_networks < MIN_NETWORKS else "not finite"
    return f"{value:.3g} [no interval: {reason}]"


def format_coverage(coverages: Iterable[float]) -> str:
    """State the true coverage of intervals, empty if none is known.

    Args:
        coverages: coverage of each interval under the worst simulated population
            (`degen.statistics.true_coverage`), NaN where it is not known.

    Examples:
        >>> format_coverage([0.85, math.nan, 0.72])
        'true coverage of the intervals in the worst simulated case: 72% to 85%'
    """
    known = [coverage for coverage in coverages if not math.isnan(coverage)]
    if not known:
        return ""
    least, most = f"{min(known):.0%}", f"{max(known):.0%}"
    share = least if least == most else f"{least} to {most}"
    return f"true coverage of the intervals in the worst simulated case: {share}"


def format_effect(effect: float, low: float, high: float) -> str:
    """Format a relative change with its interval in percent.

    Values that round to 0 % get another digit, which shows their sign.

    Examples:
        >>> format_effect(-0.048, -0.101, -0.0021)
        '-5% [-10%, -0.2%]'
    """
    if not math.isfinite(effect):
        return "not finite"
    value, lower, upper = (f"{x:+.{0 if abs(x) >= 0.005 else 1}%}" for x in (effect, low, high))
    return f"{value} [{lower}, {upper}]"


def format_p(p: float, slope: float, effect: float) -> str:
    """Format a p value. An arrow shows the direction of the tested slope if the effect has the other sign.

    Args:
        p: p value of the permutation test of a `Trend`.
        slope: slope that was tested, `Trend.slope`.
        effect: `Trend.effect`.

    Examples:
        >>> format_p(0.0123, slope=-2.5, effect=0.1)
        '0.012 (↓)'
    """
    is_opposed = slope * effect < 0
    return f"{p:.2g}" + (f" ({RISES if slope > 0 else FALLS})" if is_opposed else "")


def format_direction(direction: str) -> str:
    """Format the direction of an effect, which is empty if it is undecided."""
    return "" if direction == NO_DIRECTION else direction
