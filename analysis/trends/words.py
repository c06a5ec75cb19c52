"""Words for the outcome of each kind of term."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analysis.labels import format_factor
from analysis.trends.design import INTERACTION, TREND, Cell, Design, Factor, Level, Term
from analysis.trends.outcomes import COMPARED, DECIDED, DIFFERENT, INTERACTS
from degen.reporting.formatting import format_change
from degen.statistics.contrast import trend_weights
from degen.statistics.joint_test import DIFFERS, FALLS, RISES


def words(term: Term) -> Mapping[str, str]:
    """Return the word of each direction."""
    if term.kind == TREND:
        return DECIDED
    if term.pair:
        return COMPARED
    return dict.fromkeys((RISES, FALLS, DIFFERS), INTERACTS if term.kind == INTERACTION else DIFFERENT)


def detail(design: Design, term: Term, logs: Mapping[Cell, float]) -> str:
    """Say which levels differ.

    Args:
        design: factors of the experiment.
        term: what is tested.
        logs: log degeneracy of each cell.

    Returns:
        A text that follows the word of the outcome, empty for a trend.
    """
    if term.kind == TREND:
        return ""
    if term.kind == INTERACTION:
        return _simple_effects(design, logs)
    if term.pair:
        return compare_levels(design.factors[term.factor].label, *term.pair)
    means = {
        level: np.mean([log for cell, log in logs.items() if cell[term.factor] == level])
        for level in dict.fromkeys(cell[term.factor] for cell in logs)
    }
    highest, lowest = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    return f"highest in {format_factor(highest)}, lowest in {format_factor(lowest)}"


def format_pair(term: Term) -> str:
    """Format the pair of levels of a term, the level that the outcome names first. Empty if there is none."""
    return " vs. ".join(format_factor(level) for level in reversed(term.pair))


def compare_levels(label: str, first: Level, second: Level) -> str:
    """Return the text that follows "higher" or "lower": the second level is compared with the first.

    Examples:
        >>> compare_levels("cell", "Standard", "GRU")
        'in GRU than in Standard'
        >>> compare_levels("auxiliary loss", "without", "with")
        'with auxiliary loss than without'
    """
    if {first, second} == {"with", "without"}:
        return f"{second} {label} than {first}"
    return f"in {second} than in {first}"


def _simple_effects(design: Design, logs: Mapping[Cell, float]) -> str:
    """Format the effect of one factor at each level of the other factor.

    The factor is the first one with numbers or with two levels. Empty if there is none.
    """
    for index, factor in enumerate(design.factors):
        levels = [level for level in factor.levels if any(cell[index] == level for cell in logs)]
        if factor.is_numeric or len(levels) == 2:
            break
    else:
        return ""
    other = design.factors[1 - index]
    weights = trend_weights(len(levels))[0]
    effects = []
    for level in (level for level in other.levels if any(cell[1 - index] == level for cell in logs)):
        cells = [(other, level) if index == 0 else (level, other) for other in levels]
        change = np.expm1(sum(w * logs[cell] for w, cell in zip(weights, cells, strict=True)))
        effects.append(f"{format_change(float(change))} at {other.label} {format_factor(level)}")
    return f"{_direction(factor, levels)}: {', '.join(effects)}"


def _direction(factor: Factor, levels: list[Level]) -> str:
    """Name what an effect of a factor compares."""
    if factor.is_numeric:
        return f"along {factor.label}"
    return f"{factor.label} {levels[1]} compared with {levels[0]}"
