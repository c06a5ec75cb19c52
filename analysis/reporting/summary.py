"""Summary of an experiment: what changes along its factors, what does not, and what cannot be told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from analysis.labels import format_factor
from analysis.trends.cells import has_several_terms, row_numbers, row_task, row_term, row_title, row_warnings
from analysis.trends.design import INTERACTION, PAIR, find_design
from analysis.trends.outcomes import DECIDED, FRAGILE, INTERACTS, NO_EFFECT, SEEN
from analysis.trends.rows import POOLED, TrendRow
from degen.reporting.formatting import format_change
from launch.experiment import Experiment

CHANGES, UNCHANGED, UNKNOWN = "changes", "no effect seen", "cannot be told"
IN_WORDS = "in words"
LEFT_OUT = "left out, because too few networks converged or a combination of levels is missing"

MAX_DETECTABLE_CHANGE = 1.0
"""Relative change. A row that could not have seen a smaller effect says nothing [chosen]."""


def _is_unchanged(row: TrendRow) -> bool:
    """Return whether no effect is seen, although a doubled degeneracy would have been seen."""
    is_informative = row.detectable_change <= MAX_DETECTABLE_CHANGE
    return row.outcome == NO_EFFECT and is_informative and not _is_corrected(row)


def _is_uninformative(row: TrendRow) -> bool:
    """Return whether no effect is seen, and a doubled degeneracy would not have been seen."""
    return row.outcome == NO_EFFECT and not _is_unchanged(row) and not _is_corrected(row)


def _is_corrected(row: TrendRow) -> bool:
    """Return whether a pair would differ without the correction for the number of pairs."""
    return row.kind == PAIR and row.p < row.significance and row.outcome == NO_EFFECT


def summarize(rows: Sequence[TrendRow]) -> dict[str, list[TrendRow]]:
    """Group the main measures by what can be said about them: `CHANGES`, `UNCHANGED` and `UNKNOWN`.

    Rows without an effect in which even a doubled degeneracy would not have been seen are `UNKNOWN`.
    """
    groups: dict[str, list[TrendRow]] = {CHANGES: [], UNCHANGED: [], UNKNOWN: []}
    for row in rows:
        if row.is_main_measure:
            name = CHANGES if row.outcome in SEEN else UNCHANGED if _is_unchanged(row) else UNKNOWN
            groups[name].append(row)
    return {name: sorted(group, key=lambda row: not row.is_headline) for name, group in groups.items()}


def question(experiment: Experiment) -> str:
    """Return the question that an experiment asks."""
    factors = [
        f"{factor.label} ({', '.join(map(format_factor, factor.levels))})"
        for factor in find_design(experiment).factors
    ]
    return f"How does degeneracy change along {' and '.join(factors)}?"


def _outcome(row: TrendRow) -> str:
    """Return the outcome of a row, or what it could have seen if that is too little."""
    if not _is_uninformative(row):
        return row.outcome_text
    if not math.isfinite(row.detectable_change):
        return "no change would have been seen"
    return f"only a change of {format_change(row.detectable_change)} would have been seen"


def describe(row: TrendRow, *, names_term: bool = False) -> str:
    """Describe a row in one line.

    Args:
        row: the row.
        names_term: whether to name the term, which is needed if the experiment has several.
    """
    title = f"{row_title(row)}, {row_term(row)}" if names_term else row_title(row)
    parts = [f"{title}: {_outcome(row)}", row_numbers(row), *row_warnings(row)]
    return "; ".join(filter(None, parts))


def summary_lines(experiment: Experiment, rows: Sequence[TrendRow]) -> dict[str, list[str]]:
    """Return the lines of the summary by their heading. Headings without lines are left out."""
    names_term = has_several_terms(rows)
    lines = {IN_WORDS: list(_sentences(rows))}
    for name, group in summarize(rows).items():
        lines[name] = [describe(row, names_term=names_term) for row in group]
    lines[LEFT_OUT] = list(_left_out(rows))
    return {name: texts for name, texts in lines.items() if texts}


def format_summary(experiment: Experiment, rows: Sequence[TrendRow]) -> str:
    """Format the summary for a terminal."""
    lines = [question(experiment)]
    for name, texts in summary_lines(experiment, rows).items():
        lines += [f"{name}:", *(f"  {text}" for text in texts)]
    return "\n".join(lines)


def _sentences(rows: Sequence[TrendRow]) -> Iterator[str]:
    """Yield a sentence about both factors and their interaction for each headline of a crossed design."""
    groups: dict[str, dict[str, TrendRow]] = {}
    for row in rows:
        if row.is_headline and row.kind != PAIR:
            groups.setdefault(row_title(row), {})[row.term] = row
    for title, by_term in groups.items():
        *factors, last = by_term.values()
        if last.kind == INTERACTION:
            texts = [*map(_main_effect, factors), _interaction(last, factors)]
            yield f"{title}: {'; '.join(texts)}"


def _main_effect(row: TrendRow) -> str:
    """Describe the effect of one of two crossed factors."""
    if _is_unchanged(row):
        return f"no effect of {row.term} seen"
    if row.outcome == NO_EFFECT:
        return f"an effect of {row.term} cannot be told"
    if row.outcome in DECIDED.values():
        return f"{row.outcome} with {row.term}"
    if row.outcome == FRAGILE:
        return f"the effect of {row.term} is fragile"
    return f"{row.term}: {row.outcome_text}"


def _interaction(row: TrendRow, factors: Sequence[TrendRow]) -> str:
    """Describe whether the effect of one factor depends on the other."""
    first, second = (factor.term for factor in factors)
    nouns: Mapping[str, str] = {"rises": "rise", "falls": "fall"}
    effect = nouns.get(factors[0].outcome, f"effect of {first}")
    if row.outcome == INTERACTS:
        return f"the {effect} depends on {second} ({row.outcome_detail})"
    if _is_unchanged(row):
        return f"no dependence of the {effect} on {second} seen"
    return f"whether the {effect} depends on {second} cannot be told"


def _left_out(rows: Sequence[TrendRow]) -> Iterator[str]:
    """Yield the conditions that rows of main measures leave out, each text once."""
    texts = {
        f"{row_task(row)}: {row.left_out_conditions}": None
        for row in sorted(rows, key=lambda row: row.task == POOLED)
        if row.is_main_measure and row.left_out_conditions and row.networks
    }
    yield from texts
