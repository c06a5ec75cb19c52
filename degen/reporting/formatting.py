"""Text of estimates, effects and p values in tables and reports."""

from __future__ import annotations

import math
from collections.abc import Iterable

from degen.statistics.bootstrap import MIN_NETWORKS
from degen.statistics.joint_test import NO_DIRECTION

_MAX_CHANGE = 1e4
"""Relative change above which only the order of magnitude matters."""


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
    finite = [coverage for coverage in coverages if not math.isnan(coverage)]
    if not finite:
        return ""
    least, most = f"{min(finite):.0%}", f"{max(finite):.0%}"
    share = least if least == most else f"{least} to {most}"
    return f"true coverage of the intervals in the worst simulated case: {share}"


def format_effect(effect: float, low: float, high: float) -> str:
    """Format a relative change with its interval.

    Examples:
        >>> format_effect(-0.048, -0.101, -0.0021)
        '-5% [-10%, -0.2%]'
    """
    if not math.isfinite(effect):
        return "not finite"
    return f"{format_change(effect)} [{format_change(low)}, {format_change(high)}]"


def format_change(change: float) -> str:
    """Format a relative change in percent, or as a multiple if it is large.

    Values that round to 0 % get another digit, which shows their sign.

    Examples:
        >>> format_change(0.25), format_change(-0.0021), format_change(1499.0)
        ('+25%', '-0.2%', '1,500-fold')
    """
    if change > _MAX_CHANGE:
        return f"over {_MAX_CHANGE:,.0f}-fold"
    if change >= 10:
        return f"{1 + change:,.0f}-fold"
    return f"{change:+.{0 if abs(change) >= 0.005 else 1}%}"


def format_p(p: float, error: float, significance: float) -> str:
    """Format a p value, with its Monte Carlo error if the significance is within two errors.

    Args:
        p: p value of a permutation test.
        error: Monte Carlo standard error of p.
        significance: p below which a result is significant.

    Examples:
        >>> format_p(0.0123, error=0.0011, significance=0.05), format_p(0.0491, 0.0022, 0.05)
        ('0.012', '0.049 \u00b1 0.002')
    """
    matters = abs(p - significance) < 2 * error
    return f"{p:.2g}" + (f" \u00b1 {error:.1g}" if matters else "")


def format_direction(direction: str) -> str:
    """Format the direction of an effect, which is empty if it is undecided."""
    return "" if direction == NO_DIRECTION else direction
