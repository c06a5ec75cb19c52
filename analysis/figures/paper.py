"""The figures of the paper by number: what each shows, of which experiments, and how it is drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from analysis.experiment_results import ExperimentResults
from analysis.figures import panels
from analysis.figures.attractors import attractors
from degen.errors import require
from degen.reporting.style import save

LEVELS = ("dsa", "pif", "sigma_ood")
ACROSS_WIDTHS = ("dsa", "pif_parameters", "sigma_ood")
LEARNING = ("weight_change", "kernel_alignment")
STRUCTURE = ("participation_ratio", "near_zero_fraction")
_OTHER_TASKS = ("flip_flop", "sine_wave", "path_integration")


@dataclasses.dataclass(frozen=True)
class Numbered:
    """A figure, or a part of one.

    Attributes:
        number: of the paper.
        name: what it shows, in the file name.
        experiments: whose tables it is drawn from.
        draw: takes the data of those experiments.
    """

    number: int
    name: str
    experiments: tuple[str, ...]
    draw: Callable[..., Figure]

    @property
    def stem(self) -> str:
        return f"figure-{self.number:02d}-{self.name}"


def _of_tasks(number: int, name: str, experiment: str, columns: Sequence[str]) -> list[Numbered]:
    tasks = ("flip_flop", "delayed_discrimination", "sine_wave", "path_integration")
    words = [task.replace("_", "-") for task in tasks]
    return [
        Numbered(number + i, f"{name}-{words[i]}", (experiment,), partial(panels.seeds, columns, task=task))
        for i, task in enumerate(tasks)
    ]


FIGURES = [
    Numbered(3, "task-complexity-embedding", ("task_complexity",), panels.embeddings),
    Numbered(3, "task-complexity", ("task_complexity",), partial(panels.levels, LEVELS)),
    Numbered(
        4,
        "memory-demand-and-auxiliary-loss",
        ("memory_demand", "auxiliary_loss"),
        partial(panels.levels, LEVELS),
    ),
    Numbered(4, "auxiliary-loss-attractors", ("auxiliary_loss",), attractors),
    Numbered(5, "task-complexity-feature-learning", ("task_complexity",), partial(panels.levels, LEARNING)),
    Numbered(6, "feature-learning", ("feature_learning",), partial(panels.levels, LEVELS)),
    Numbered(7, "network-size", ("network_size",), partial(panels.levels, ACROSS_WIDTHS)),
    Numbered(
        8,
        "regularization",
        ("low_rank", "sparsity"),
        partial(panels.levels, LEVELS, tasks=("delayed_discrimination",)),
    ),
    Numbered(8, "low-rank-structure", ("low_rank",), partial(panels.levels, STRUCTURE)),
    Numbered(8, "sparsity-structure", ("sparsity",), partial(panels.levels, STRUCTURE)),
    *(
        Numbered(10, f"representation-{name.replace('_', '-')}", (name,), partial(panels.levels, ("svcca",)))
        for name in ("task_complexity", "feature_learning", "network_size", "low_rank", "sparsity")
    ),
    *(
        Numbered(11 + i, f"behaviour-{name.replace('_', '-')}", (name,), panels.behaviour)
        for i, name in enumerate(
            ("task_complexity", "feature_learning", "network_size", "low_rank", "sparsity")
        )
    ),
    *_of_tasks(16, "feature-learning", "feature_learning", LEARNING),
    *_of_tasks(20, "kernel-alignment-by-width", "network_size", ("kernel_alignment",)),
    Numbered(24, "low-rank-other-tasks", ("low_rank",), partial(panels.levels, LEVELS, tasks=_OTHER_TASKS)),
    Numbered(25, "sparsity-other-tasks", ("sparsity",), partial(panels.levels, LEVELS, tasks=_OTHER_TASKS)),
    Numbered(
        26, "standard-feature-learning", ("standard_feature_learning",), partial(panels.levels, LEVELS[:2])
    ),
    Numbered(
        27,
        "standard-feature-learning-strength",
        ("standard_feature_learning",),
        partial(panels.levels, (*LEARNING, "representation_alignment")),
    ),
    Numbered(
        28, "standard-network-size", ("standard_network_size",), partial(panels.levels, ACROSS_WIDTHS[:2])
    ),
    Numbered(
        29,
        "standard-network-size-strength",
        ("standard_network_size",),
        partial(panels.levels, ("kernel_alignment", "representation_alignment")),
    ),
]
"""Figs 1 and 2 are schematic; Fig. 9 is `python -m analysis.diagnostics.memory_demand`."""

NUMBERS = sorted({figure.number for figure in FIGURES})


def chosen(numbers: object) -> list[Numbered]:
    """The figures of those numbers, or of all.

    Raises:
        BadInputError: there is none of a number.
    """
    if numbers == "all":
        return FIGURES
    allowed = f"all or a list of numbers among {', '.join(map(str, NUMBERS))}"
    listed = isinstance(numbers, list) and numbers != [] and set(numbers) <= set(NUMBERS)
    require(listed, "figures", numbers, allowed)
    assert isinstance(numbers, list)
    return [figure for figure in FIGURES if figure.number in numbers]


def draw(
    figures: Sequence[Numbered], data: dict[str, ExperimentResults], folder: Path
) -> tuple[list[Path], list[str]]:
    """Draw them as PDF and PNG; also say which are not drawn, or in part, and why.

    Args:
        data: of each experiment by name.
    """
    paths, missing = [], []
    for figure in figures:
        there = [data[name] for name in figure.experiments if name in data and data[name].exists]
        there = [one for one in there if one.tasks]
        if not there:
            missing.append(f"not drawn: {figure.stem}: no results of {', '.join(figure.experiments)}")
            continue
        keywords = getattr(figure.draw, "keywords", {})
        tasks = keywords.get("tasks", [keywords["task"]] if "task" in keywords else None)
        if tasks is not None and not any(set(tasks) & set(one.tasks) for one in there):
            named = " and ".join(figure.experiments)
            missing.append(f"not drawn: {figure.stem}: no results of {', '.join(tasks)} in {named}")
            continue
        lacking = set(figure.experiments) - {one.experiment.name for one in there}
        if lacking:
            missing.append(f"drawn in part: {figure.stem}: no results of {', '.join(sorted(lacking))}")
        paths += save(figure.draw(*there), folder, figure.stem)
    return paths, missing
