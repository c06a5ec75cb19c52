"""Numbered figures of the paper: what each shows, of which experiments, and how it is drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from analysis.experiment_results import ExperimentResults
from analysis.figures.attractors import plot_attractors
from analysis.figures.behavior import plot_behavior
from analysis.figures.embedding import plot_embeddings
from analysis.figures.example_trials import plot_example_trials
from analysis.figures.measures import PER_PARAMETER, plot_measures
from analysis.figures.networks import plot_networks
from degen.errors import require
from degen.reporting.style import save_figure

LEVEL_MEASURES = ("dsa", "pif", "sigma_ood")
LEVEL_MEASURES_BY_WIDTH = ("dsa", PER_PARAMETER, "sigma_ood")
LEARNING_MEASURES = ("weight_change", "kernel_alignment")
STRUCTURE_MEASURES = ("participation_ratio", "near_zero_fraction")
_MAIN_TASK = ("delayed_discrimination",)
_OTHER_TASKS = ("flip_flop", "sine_wave", "path_integration")
_EXPERIMENTS = ("task_complexity", "feature_learning", "network_size", "low_rank", "sparsity")


@dataclasses.dataclass(frozen=True)
class PaperFigure:
    """A figure of the paper, or a part of it.

    Attributes:
        number: number in the paper.
        name: what the figure shows, for the file name.
        experiments: names of the experiments that it shows.
        plot: returns the figure, given the results of these experiments.
        tasks: names of the tasks that it shows, None for all.
    """

    number: int
    name: str
    experiments: tuple[str, ...]
    plot: Callable[..., Figure]
    tasks: tuple[str, ...] | None = None

    @property
    def stem(self) -> str:
        """File name without its ending."""
        return f"figure-{self.number:02d}-{self.name}"


def _measures(
    number: int,
    name: str,
    experiments: str | tuple[str, ...],
    measures: Sequence[str],
    tasks: tuple[str, ...] | None = None,
) -> PaperFigure:
    names = (experiments,) if isinstance(experiments, str) else experiments
    return PaperFigure(number, name, names, partial(plot_measures, measures, tasks=tasks), tasks)


def _by_task(number: int, name: str, experiment: str, measures: Sequence[str]) -> Iterator[PaperFigure]:
    """Yield one figure per task, numbered from `number`."""
    tasks = ("flip_flop", "delayed_discrimination", "sine_wave", "path_integration")
    for i, task in enumerate(tasks):
        plot = partial(plot_networks, measures, task=task)
        stem = f"{name}-{task.replace('_', '-')}"
        yield PaperFigure(number + i, stem, (experiment,), plot, (task,))


_BY_EXPERIMENT = [(name, name.replace("_", "-")) for name in _EXPERIMENTS]
_MEMORY = ("memory_demand", "auxiliary_loss")
_STRENGTH = "representation_alignment"

FIGURES = [
    PaperFigure(2, "example-trials", ("task_complexity",), plot_example_trials),
    PaperFigure(3, "task-complexity-embedding", ("task_complexity",), plot_embeddings),
    _measures(3, "task-complexity", "task_complexity", LEVEL_MEASURES),
    _measures(4, "memory-demand-and-auxiliary-loss", _MEMORY, LEVEL_MEASURES),
    PaperFigure(4, "auxiliary-loss-attractors", ("auxiliary_loss",), plot_attractors),
    _measures(5, "task-complexity-feature-learning", "task_complexity", LEARNING_MEASURES),
    _measures(6, "feature-learning", "feature_learning", LEVEL_MEASURES),
    _measures(7, "network-size", "network_size", LEVEL_MEASURES_BY_WIDTH),
    _measures(8, "regularization", ("low_rank", "sparsity"), LEVEL_MEASURES, _MAIN_TASK),
    _measures(8, "low-rank-structure", "low_rank", STRUCTURE_MEASURES),
    _measures(8, "sparsity-structure", "sparsity", STRUCTURE_MEASURES),
    *(_measures(10, f"representation-{stem}", name, ("svcca",)) for name, stem in _BY_EXPERIMENT),
    *(
        PaperFigure(11 + i, f"behavior-{stem}", (name,), plot_behavior)
        for i, (name, stem) in enumerate(_BY_EXPERIMENT)
    ),
    *_by_task(16, "feature-learning", "feature_learning", LEARNING_MEASURES),
    *_by_task(20, "kernel-alignment-by-width", "network_size", ("kernel_alignment",)),
    _measures(24, "low-rank-other-tasks", "low_rank", LEVEL_MEASURES, _OTHER_TASKS),
    _measures(25, "sparsity-other-tasks", "sparsity", LEVEL_MEASURES, _OTHER_TASKS),
    _measures(26, "standard-feature-learning", "standard_feature_learning", LEVEL_MEASURES[:2]),
    _measures(
        27,
        "standard-feature-learning-strength",
        "standard_feature_learning",
        (*LEARNING_MEASURES, _STRENGTH),
    ),
    _measures(28, "standard-network-size", "standard_network_size", LEVEL_MEASURES_BY_WIDTH[:2]),
    _measures(29, "standard-network-size-strength", "standard_network_size", ("kernel_alignment", _STRENGTH)),
]
"""Fig. 1 is schematic. `python -m analysis.diagnostics.memory_demand` draws Fig. 9."""

NUMBERS = sorted({figure.number for figure in FIGURES})


def select_figures(numbers: object) -> list[PaperFigure]:
    """Return the figures with these numbers.

    Args:
        numbers: a list of numbers, or "all".

    Raises:
        BadInputError: a number has no figure.
    """
    if numbers == "all":
        return FIGURES
    allowed = f"all or a list of numbers among {', '.join(map(str, NUMBERS))}"
    is_valid = isinstance(numbers, list) and numbers != [] and set(numbers) <= set(NUMBERS)
    require(is_valid, "figures", numbers, allowed)
    assert isinstance(numbers, list)
    return [figure for figure in FIGURES if figure.number in numbers]


def draw_figures(
    figures: Sequence[PaperFigure], all_results: Mapping[str, ExperimentResults], folder: Path
) -> tuple[list[Path], list[str]]:
    """Draw figures as PDF and PNG.

    Args:
        figures: figures to draw.
        all_results: results of each experiment by name, analyzed or not.
        folder: folder of the files.

    Returns:
        Paths of the files, and one line per figure that is missing or incomplete, with the reason.
    """
    paths, not_drawn = [], []
    for figure in figures:
        named = [all_results[name] for name in figure.experiments if name in all_results]
        available = [results for results in named if results.exists and results.tasks]
        reason = _reason_not_to_draw(figure, available)
        if reason:
            not_drawn.append(f"not drawn: {figure.stem}: {reason}")
            continue
        lacking = set(figure.experiments) - {results.experiment.name for results in available}
        if lacking:
            not_drawn.append(f"drawn in part: {figure.stem}: no results of {', '.join(sorted(lacking))}")
        paths += save_figure(figure.plot(*available), folder, figure.stem)
    return paths, not_drawn


def _reason_not_to_draw(figure: PaperFigure, available: Sequence[ExperimentResults]) -> str:
    """Return why a figure cannot be drawn, empty if it can."""
    if not available:
        return f"no results of {', '.join(figure.experiments)}"
    if figure.tasks is None or any(set(figure.tasks) & set(results.tasks) for results in available):
        return ""
    return f"no results of {', '.join(figure.tasks)} in {' and '.join(figure.experiments)}"
