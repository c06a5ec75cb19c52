"""Pairs of named levels of a factor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from analysis.labels import format_factor
from analysis.trends.condition_data import ConditionData
from analysis.trends.curves import Tasks
from analysis.trends.design import Design
from analysis.trends.rows import POOLED


class LevelPair(NamedTuple):
    """Two conditions of a task that differ in a named factor only.

    Attributes:
        factor: label of the factor.
        at: levels of the other factors, such as "gamma 2", empty if there are none.
        levels: the two levels.
        data: the two conditions.
    """

    factor: str
    at: str
    levels: tuple[str, str]
    data: tuple[ConditionData, ConditionData]

    @property
    def name(self) -> str:
        """Name of the pair, such as "flip_flop, parameterization, Standard vs. GRU"."""
        task = self.data[0].condition.task_name
        return ", ".join(filter(None, [task, self.factor, self.at, " vs. ".join(self.levels)]))

    @property
    def signatures(self) -> tuple[str, str]:
        """Signatures of the two conditions."""
        first, second = (data.condition.signature for data in self.data)
        return first, second


def level_pairs(tasks: Tasks, design: Design) -> Iterator[LevelPair]:
    """Yield every pair of levels of each named factor, for each task and each level of the other factor.

    Conditions with fewer than two networks have no pairs. Neither have conditions that differ in their task,
    or in three crossed factors.
    """
    for task, conditions in tasks.items():
        enough = [data for data in conditions if len(data.seeds) >= 2 and task != POOLED]
        for index, factor in enumerate(design.factors):
            if not factor.is_numeric and not design.problem:
                yield from _pairs(enough, design, index)


def _pairs(conditions: Sequence[ConditionData], design: Design, index: int) -> Iterator[LevelPair]:
    """Yield the pairs of the levels of one factor."""
    factor, others = design.factors[index], [i for i in range(len(design.factors)) if i != index]
    for data in combinations(conditions, 2):
        first, second = (design.cell(item.condition) for item in data)
        if first[index] != second[index] and all(first[i] == second[i] for i in others):
            at = ", ".join(f"{design.factors[i].label} {format_factor(first[i])}" for i in others)
            yield LevelPair(factor.label, at, (str(first[index]), str(second[index])), data)
