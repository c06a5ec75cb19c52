"""Text about trends, shared by the printed summary, the Markdown page and the reports."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.trends import outcomes
from analysis.trends.measure_trends import MAX_RATIO_AT_BASELINE
from analysis.trends.rows import TrendRow, trend_task_title
from degen.reporting.formatting import format_effect, format_p
from degen.statistics.bootstrap import MIN_NETWORKS


def explanations(row: TrendRow) -> dict[str, str]:
    """Explain every part of a table of trends.

    Args:
        row: a row of the table, whose settings all rows share.
    """
    return {
        "effect": "relative change of degeneracy over the whole factor, or from one level to another, with "
        f"its {row.nominal_level:.0%} bootstrap interval over networks. Tasks have equal weights in effect, "
        "interval and p. Of an interaction, the change of that ratio by the other factor.",
        "p, q": "p is the larger of two: of a permutation test that exchanges the networks of each seed "
        "between conditions, and of the bootstrap. "
        "\u00b1 is its Monte Carlo error, where it could change the outcome. q is the false discovery rate "
        "over the paper's measures of all tasks together. Outcomes use p. A pair of several levels has a q "
        "over all pairs, which its outcome uses. Other rows have no q.",
        outcomes.TOO_FEW: f"fewer than two conditions have {MIN_NETWORKS} converged networks, or these seeds "
        f"cannot give p below {row.significance:g}.",
        outcomes.NOT_DEFINED: "a degeneracy is zero or not finite, so it has no relative change.",
        outcomes.AT_BASELINE: "in all conditions, the mean distance between networks is below "
        f"{MAX_RATIO_AT_BASELINE:g} times the mean distance of a network from itself, both between one half "
        "of the trials and the other.",
        outcomes.DEPENDS: "two settings of DSA give effects of opposite signs, whose intervals exclude zero.",
        outcomes.FRAGILE: "the effect has a direction, but loses it if one of the named number of networks "
        "is removed. Only main measures are tested for it.",
        "rises, falls": f"p < {row.significance:g} and the interval excludes zero. In comparison with the "
        "paper: agrees or disagrees.",
        "higher, lower": "as rises and falls, for two named levels.",
        outcomes.DIFFERENT: f"p < {row.significance:g}: at least two of several levels differ.",
        outcomes.INTERACTS: f"p < {row.significance:g}: the effect of one factor depends on the other.",
        outcomes.NO_EFFECT: "none of the above. A change of the stated size would have been seen with "
        "probability 0.8. Smaller changes are possible.",
        "networks": "only converged networks count: their loss on validation trials was below the threshold "
        "for several consecutive epochs, and their loss on separate confirmation trials was below it by two "
        "standard errors (docs/specification.md, section 4). A row says so if its outcome differs with only "
        "those networks whose loss on fresh trials is below the threshold.",
        "left out": f"networks that did not converge, or whose condition has fewer than {MIN_NETWORKS} "
        "converged networks or a fraction of them below min_converged_fraction, or whose task has fewer than "
        "two remaining conditions.",
    }


def row_task(row: TrendRow) -> str:
    """Return the title of a row's task."""
    return trend_task_title(row.task)


def row_term(row: TrendRow) -> str:
    """Return the term of a row, with its two levels if it compares a pair."""
    return ", ".join(filter(None, [row.term, row.levels]))


def has_several_terms(rows: Sequence[TrendRow]) -> bool:
    """Return whether rows of one task and measure differ in their term."""
    return len({row_term(row) for row in rows}) > 1


def row_title(row: TrendRow) -> str:
    """Return task, level and measure of a row."""
    return f"{row_task(row)}, {row.level} ({row.measure})"


def row_effect(row: TrendRow) -> str:
    """Format the effect of a row with its interval."""
    return format_effect(row.effect, row.low, row.high)


def row_p(row: TrendRow) -> str:
    """Format p of a row, and q if it has one."""
    p = format_p(row.p, row.p_error, row.significance)
    return f"{p}, q {row.q:.2g}" if row.q == row.q else p


def row_numbers(row: TrendRow) -> str:
    """Format effect, p and q of a row, empty if it has none. A test of several effects has no effect."""
    if not math.isnan(row.low):
        return f"{row_effect(row)}, p {row_p(row)}"
    has_several_effects = math.isnan(row.effect) and not math.isnan(row.p)
    return f"p {row_p(row)}" if has_several_effects else ""


def row_warnings(row: TrendRow) -> list[str]:
    """Return what else a reader must know about the outcome of a row."""
    warnings = []
    if 0 < row.conditions_at_baseline < row.conditions:
        number = f"{row.conditions_at_baseline} of {row.conditions} conditions"
        warnings.append(f"{number} at their split-half baseline")
    if row.most_influential and row.outcome != outcomes.FRAGILE:
        n_networks = row.influential_networks
        networks = "one network" if n_networks == 1 else f"any one of {n_networks} networks"
        warnings.append(f"another outcome without {networks}")
    if row.outcome_below_threshold != row.outcome:
        networks = f"the {row.networks_below_threshold} networks below the threshold on fresh trials"
        warnings.append(f"with {networks}: {row.outcome_below_threshold}")
    return warnings


def missing_networks(row: TrendRow) -> str:
    """Format the number of networks that are not trained yet, if there are any."""
    return f", {row.missing} not trained" if row.missing else ""
