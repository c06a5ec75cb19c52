"""Outcome of a trend in words, and their order of precedence (docs/specification.md, section 7)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from degen.reporting.formatting import format_change
from degen.statistics.joint_test import FALLS, RISES

TOO_FEW = "too few networks"
NOT_DEFINED = "not defined"
AT_BASELINE = "at the split-half baseline"
DEPENDS = "depends on the embedding"
FRAGILE = "fragile"
DECIDED = {RISES: "rises", FALLS: "falls"}
"""Word of each direction of an effect along numbers."""
COMPARED = {RISES: "higher", FALLS: "lower"}
"""Word of each direction of the difference between two levels."""
DIFFERENT = "differs"
"""Word of a difference among several levels."""
INTERACTS = "interaction"
"""Word of an effect that depends on another factor."""
SEEN = (*DECIDED.values(), *COMPARED.values(), DIFFERENT, INTERACTS)
"""Outcomes of an effect that is seen."""
NO_EFFECT = "no effect seen"

OUTCOMES = (TOO_FEW, NOT_DEFINED, AT_BASELINE, DEPENDS, FRAGILE, *SEEN, NO_EFFECT)
"""Outcomes of a trend. If several apply, the first one is the outcome."""

AGREES, DISAGREES = "agrees", "disagrees"
"""Outcomes that replace a direction where the paper has one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that the outcome of a trend depends on.

    Attributes:
        direction: `JointTest.direction`.
        words: word of each direction.
        detail: text after that word, such as the levels that differ.
        problem: reason why there is no interval and no p, empty if there is none.
        smallest_p: smallest p that the permutation test can give for these networks.
        detectable_change: change of the log degeneracy that would be detected with power 0.8.
        is_at_baseline: whether the distances of all conditions are at their split-half baseline.
        opposed: the two settings whose intervals lie on opposite sides of zero, empty if there are none.
        influential_networks: number of networks that change the direction when any one of them is left out.
    """

    direction: str
    smallest_p: float
    detectable_change: float
    words: Mapping[str, str] = dataclasses.field(default_factory=lambda: DECIDED)
    detail: str = ""
    problem: str = ""
    is_at_baseline: bool = False
    opposed: str = ""
    influential_networks: int = 0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Entry of `OUTCOMES`, with its reason or its limit.

    Example:
        >>> print(Outcome(FRAGILE, "removing any one of 3 networks undoes it"))
        fragile: removing any one of 3 networks undoes it
        >>> print(Outcome(NO_EFFECT, "a change of +25% would have been"))
        no effect seen (a change of +25% would have been)
        >>> print(Outcome(COMPARED[RISES], "in GRU than in Standard"))
        higher in GRU than in Standard
    """

    word: str
    detail: str = ""

    def __str__(self) -> str:
        return format_outcome(self.word, self.detail)


def judge(evidence: Evidence | None, significance: float) -> Outcome:
    """Return the outcome of a trend.

    Args:
        evidence: None if fewer than two conditions have enough networks for a trend.
        significance: p below which a trend is significant.
    """
    if evidence is None:
        return Outcome(TOO_FEW, "fewer than two conditions have enough converged networks")
    if evidence.smallest_p >= significance:
        return Outcome(TOO_FEW, f"with these seeds, p cannot be below {evidence.smallest_p:.2g}")
    if evidence.problem:
        return Outcome(NOT_DEFINED, evidence.problem)
    if evidence.is_at_baseline:
        return Outcome(AT_BASELINE)
    if evidence.opposed:
        return Outcome(DEPENDS, evidence.opposed)
    if evidence.direction not in evidence.words:
        return Outcome(NO_EFFECT, _format_detectable(evidence.detectable_change))
    if evidence.influential_networks:
        return Outcome(FRAGILE, format_fragility(evidence.influential_networks))
    return Outcome(evidence.words[evidence.direction], evidence.detail)


def compare_with_paper(word: str, paper_direction: str) -> str:
    """Return the outcome of a comparison with the paper: a direction agrees or disagrees.

    Other outcomes, and outcomes of rows without a direction in the paper, stay as they are.

    Example:
        >>> compare_with_paper("falls", "\u2191"), compare_with_paper("fragile", "\u2191")
        ('disagrees', 'fragile')
    """
    if word not in (*DECIDED.values(), *COMPARED.values()) or not paper_direction:
        return word
    return AGREES if word in (DECIDED[paper_direction], COMPARED[paper_direction]) else DISAGREES


def format_outcome(word: str, detail: str) -> str:
    """Format an outcome with its reason or limit."""
    if not detail:
        return word
    if word in COMPARED.values():
        return f"{word} {detail}"
    return f"{word}: {detail}" if word == FRAGILE else f"{word} ({detail})"


def format_fragility(n_networks: int) -> str:
    """Format the number of networks that change an outcome.

    Example:
        >>> format_fragility(1), format_fragility(3)
        ('removing one network undoes it', 'removing any one of 3 networks undoes it')
    """
    networks = "one network" if n_networks == 1 else f"any one of {n_networks} networks"
    return f"removing {networks} undoes it"


def _format_detectable(log_change: float) -> str:
    """Format the change that would have been detected. Empty if it is not known."""
    if not math.isfinite(log_change):
        return ""
    with np.errstate(over="ignore"):
        change = float(np.expm1(log_change))
    return f"a change of {format_change(change)} would have been"
