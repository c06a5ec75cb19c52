"""Factors of an experiment, and the terms that are tested: trends, differences of levels, interactions."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any

from analysis.labels import format_factor, task_title
from analysis.trends.factors import swept_columns
from degen.condition import Condition
from launch.experiment import Experiment

TREND, LEVELS, PAIR, INTERACTION = "trend", "levels", "pair", "interaction"
"""Kinds of terms: along numbers, between named levels, between two of several levels, of two factors."""

Level = float | str
"""A number, or the name of a level."""

Cell = tuple[Level, ...]
"""The level of each factor in a condition."""


@dataclasses.dataclass(frozen=True)
class Factor:
    """A factor of an experiment.

    Attributes:
        label: name of the factor.
        levels: all levels: numbers in ascending order, names in the order of the experiment.
    """

    label: str
    levels: tuple[Level, ...]

    @property
    def is_numeric(self) -> bool:
        """True if all levels are numbers, which have an order."""
        return all(not isinstance(level, str) for level in self.levels)


@dataclasses.dataclass(frozen=True)
class Term:
    """Comparison that a single test makes.

    Attributes:
        name: the factor, or both factors of an interaction.
        kind: one of `TREND`, `LEVELS`, `PAIR` and `INTERACTION`.
        factor: index of the factor, 0 for an interaction.
        pair: the two levels that are compared, empty unless a difference of two levels is tested.
    """

    name: str
    kind: str
    factor: int = 0
    pair: tuple[Level, ...] = ()


@dataclasses.dataclass(frozen=True)
class Design:
    """Factors of an experiment: a single factor or two crossed factors.

    Attributes:
        factors: the factors.
        cells: for each condition (signature) the level of each factor.
        problem: reason why nothing can be tested, empty if there is none.
    """

    factors: tuple[Factor, ...]
    cells: Mapping[str, Cell]
    problem: str = ""

    @property
    def is_crossed(self) -> bool:
        """True if there are two factors."""
        return len(self.factors) == 2

    @property
    def terms(self) -> list[Term]:
        """The terms in the order of tables: each factor, pairs of its levels, and the interaction."""
        if self.problem:
            return [Term(self.factors[0].label, LEVELS)]
        terms = [term for index, factor in enumerate(self.factors) for term in _terms(factor, index)]
        if self.is_crossed:
            terms.append(Term(" x ".join(factor.label for factor in self.factors), INTERACTION))
        return terms

    def cell(self, condition: Condition) -> Cell:
        """Return the level of each factor in a condition."""
        return self.cells[condition.signature]

    def order(self, condition: Condition) -> tuple[int, ...]:
        """Return the sort key of a condition: the position of its level in each factor."""
        pairs = zip(self.factors, self.cell(condition), strict=True)
        return tuple(factor.levels.index(level) for factor, level in pairs)

    def is_compared(self, condition: Condition, term: Term) -> bool:
        """Return whether a term compares a condition: all do, except pairs of levels."""
        return not term.pair or self.cell(condition)[term.factor] in term.pair

    def describe(self, condition: Condition) -> str:
        """Describe a condition by its levels, such as "gamma 2, channels 1"."""
        pairs = zip(self.factors, self.cell(condition), strict=True)
        return ", ".join(f"{factor.label} {format_factor(level)}" for factor, level in pairs)


def _terms(factor: Factor, index: int) -> Iterator[Term]:
    """Yield the terms of one factor. Two levels have no further pairs."""
    if factor.is_numeric:
        yield Term(factor.label, TREND, index)
        return
    yield Term(factor.label, LEVELS, index, factor.levels if len(factor.levels) == 2 else ())
    if len(factor.levels) > 2:
        yield from (Term(factor.label, PAIR, index, pair) for pair in combinations(factor.levels, 2))


def compares_tasks(experiment: Experiment) -> bool:
    """Return whether the task is the factor of an experiment: each condition has another task."""
    tasks = {condition.task_name for condition in experiment.conditions}
    return experiment.factor in (["task"], ["task._target_"]) and 1 < len(tasks) == len(experiment.conditions)


def find_design(experiment: Experiment) -> Design:
    """Return the factors of an experiment.

    The first factor is that of the experiment. The second one is a field that differs between conditions
    with equal level of the first factor. Fields that change together with it belong to it. Levels that are
    not numbers are named as in figures.
    """
    if compares_tasks(experiment):
        tasks = {c.signature: task_title(c.task_name) for c in experiment.conditions}
        return _design([experiment.label], [tasks])
    first = {c.signature: experiment.value(c) for c in experiment.conditions}
    swept = swept_columns(experiment)
    further = _further_fields(experiment, first, swept)
    if not further:
        return _design([experiment.label], [first])
    field = _representative(experiment, further, swept)
    if field is None:
        names = ", ".join(path.rpartition(".")[2] for path in further)
        problem = (
            f"conditions differ in more than two crossed factors, vary two of {experiment.label}, {names}"
        )
        return dataclasses.replace(_design([experiment.label], [first]), problem=problem)
    second = {signature: fields[field] for signature, fields in swept.items()}
    label = field.rpartition(".")[2].replace("_", " ")
    return _design([experiment.label, label], [first, second])


def _design(labels: Sequence[str], values: Sequence[Mapping[str, Any]]) -> Design:
    """Build a design from the value of each factor in each condition."""
    levels = [_levels(by_condition) for by_condition in values]
    factors = tuple(
        Factor(label, _distinct(list(by_condition.values())))
        for label, by_condition in zip(labels, levels, strict=True)
    )
    return Design(
        factors,
        {signature: tuple(by_condition[signature] for by_condition in levels) for signature in levels[0]},
    )


def _levels(values: Mapping[str, Any]) -> dict[str, Level]:
    """Return numbers if all values are numbers, and otherwise names."""
    is_numeric = all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values.values()
    )
    return {key: float(value) if is_numeric else format_factor(value) for key, value in values.items()}


def _distinct(levels: Sequence[Level]) -> tuple[Level, ...]:
    distinct = tuple(dict.fromkeys(levels))
    return distinct if isinstance(distinct[0], str) else tuple(sorted(distinct))


def _further_fields(
    experiment: Experiment, first: Mapping[str, Any], swept: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return the fields that differ between conditions of a task with equal value of the first factor."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for condition in experiment.conditions:
        key = json.dumps([condition.task_name, first[condition.signature]])
        groups.setdefault(key, []).append(swept[condition.signature])
    fields = [path for group in groups.values() for path in group[0] if len(_values(group, [path])) > 1]
    return list(dict.fromkeys(fields))


def _representative(
    experiment: Experiment, fields: Sequence[str], swept: Mapping[str, Mapping[str, Any]]
) -> str | None:
    """Return the field that the other fields are functions of, or None. Of several, the shortest name."""
    by_task: dict[str, list[Mapping[str, Any]]] = {}
    for condition in experiment.conditions:
        by_task.setdefault(condition.task_name, []).append(swept[condition.signature])
    candidates = [
        field
        for field in fields
        if all(len(_values(group, [field])) == len(_values(group, fields)) for group in by_task.values())
    ]
    return min(candidates, key=len, default=None)


def _values(group: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> set[str]:
    """Return the different combinations of values of some fields, as JSON."""
    return {json.dumps([fields_of_condition[field] for field in fields]) for fields_of_condition in group}


def largest_grid(cells: Sequence[Cell]) -> set[Cell]:
    """Return cells that contain every combination of their levels.

    While a combination is missing, the level with a missing combination and the fewest cells is left out.

    Examples:
        >>> sorted(largest_grid([(1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "a")]))
        [(1, 'a'), (1, 'b'), (2, 'a'), (2, 'b')]
    """
    grid = set(cells)
    while True:
        levels = [{cell[factor] for cell in grid} for factor in (0, 1)]
        missing = set(product(*levels)) - grid
        if not missing:
            return grid
        sizes = Counter((factor, cell[factor]) for cell in grid for factor in (0, 1))
        incomplete = sorted({(factor, cell[factor]) for cell in missing for factor in (0, 1)}, key=str)
        factor, level = min(incomplete, key=sizes.__getitem__)
        grid = {cell for cell in grid if cell[factor] != level}
