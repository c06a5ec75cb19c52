"""Text about rows of Table 1, shared by the Markdown page and the report."""

from __future__ import annotations

from analysis.replication.outcomes import OutcomeRow
from degen.reporting.formatting import format_effect, format_p
from degen.statistics import Bootstrap, PermutationTest

MIN_BASELINE_RATIO = 2
"""Distances below this multiple of their split-half baseline get a warning."""


def table_caption(bootstrap: Bootstrap, test: PermutationTest) -> str:
    """Explain how to read the tables."""
    decided = f"p < {test.significance:g} and the {bootstrap.level * 100:g} % interval excludes zero"
    return (
        "Each number is the relative change of degeneracy over the whole factor, with its bootstrap "
        "interval over the seeds of each task. An arrow before it is the direction of the effect, where it "
        "is decided. p is from a permutation test that exchanges the networks of each seed between "
        f"conditions. We report agreement or disagreement only if {decided}, in the same direction. Any "
        "other effect is undecided, which is not evidence of no effect. The effect weights tasks equally; "
        "the test weights them by their precision. An arrow after p marks a test that points against the "
        "effect. p is not corrected for multiple tests. An outcome depends on one network if it changes "
        "when this network is left out. The network that moves the effect most is named. The split-half "
        "baseline is the distance of a network from itself on other trials. A distance near its baseline is "
        "not interpretable. Networks are counted as left out if they did not converge, if their condition "
        "has fewer than five converged networks, or if their task has fewer than two remaining conditions."
    )


def row_effect(row: OutcomeRow) -> str:
    """Format the effect of a row with its interval."""
    return format_effect(row.effect, row.low, row.high)


def row_p(row: OutcomeRow) -> str:
    """Format p of a row."""
    return format_p(row.p, row.slope, row.effect)


def missing_networks(row: OutcomeRow) -> str:
    """Format the number of networks that are not trained yet, if there are any."""
    return f", {row.missing} not trained" if row.missing else ""


def baseline_warning(row: OutcomeRow) -> str:
    """Warn if a distance of a row is near its split-half baseline."""
    if not row.baseline_ratio < MIN_BASELINE_RATIO:
        return ""
    return f", only {row.baseline_ratio:.1f} times its split-half baseline"
