"""Memory demand of tasks: how many past time steps predict the next target (App. C, Fig. 9).

No networks are trained. `tasks` selects other tasks or variants.

Example:
    python -m analysis.diagnostics.memory_demand 'tasks=[["task=sine_wave","task.channels=2"]]'
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig

from analysis.figures import memory_demand as figure
from analysis.progress import track
from analysis.results import ResultsFolder
from analysis.trials import TrialSet
from degen.condition import Condition, build
from degen.errors import BadInputError, require, require_integer
from degen.files import write_atomically
from degen.metrics.memory_demand import Predictor, memory_demand
from launch.cli import entrypoint
from launch.config import compose, resolved
from launch.settings import require_folder


def compute_curves(
    conditions: Sequence[Condition], longest_history: int, trials: TrialSet, predictor: Predictor
) -> pd.DataFrame:
    """Compute the prediction error for every task, history length and initialization.

    Returns:
        Columns: task, variant, condition (signature), history, seed, error (mean squared, on held-out
        trials), demand (h* of the task), is_lower_bound (h* is the longest history tried).

    Raises:
        BadInputError: the longest history leaves no time step to predict, or all targets are equal.
    """
    for condition in conditions:
        n_steps = trials.draw(condition.task, "memory demand", condition.dtype).inputs.shape[-2]
        allowed = f"below the {n_steps} time steps of {condition.task_name}"
        require(longest_history < n_steps, "longest_history", longest_history, allowed)
    tables = [
        _curve(condition, longest_history, trials, predictor)
        for condition in track("memory demand", conditions, unit="tasks")
    ]
    columns = ["task", "variant", "condition", "history", "seed", "error", "demand", "is_lower_bound"]
    return pd.concat(tables, ignore_index=True)[columns]


def _curve(
    condition: Condition, longest_history: int, trials: TrialSet, predictor: Predictor
) -> pd.DataFrame:
    """Compute the rows of one task, and print its demand."""
    drawn = trials.draw(condition.task, "memory demand", condition.dtype)
    name = f"{condition.task_name} {condition.task.variant}"
    histories = range(1, longest_history + 1)
    try:
        result = memory_demand(drawn.inputs[0], drawn.targets[0], histories=histories, predictor=predictor)
    except BadInputError as error:
        raise BadInputError(f"{name}, longest_history {longest_history}: {error}") from error
    bound = "at least " if result.is_lower_bound else ""
    print(f"{name}: h* = {bound}{result.history}", flush=True)
    return result.curve.assign(
        task=condition.task_name,
        variant=condition.task.variant,
        condition=condition.signature,
        demand=result.history,
        is_lower_bound=result.is_lower_bound,
    )


def run_memory_demand(config: DictConfig) -> None:
    """Compute and draw the memory demand of the tasks of a composed configuration."""
    settings = resolved(config)
    require_folder("results", settings["results"])
    require_integer("longest_history", settings["longest_history"], 1)
    trials: TrialSet = build(settings["trials"], TrialSet, "trials")[1]
    predictor: Predictor = build(settings["predictor"], Predictor, "predictor")[1]
    conditions = [Condition.from_config(compose("train", line)) for line in _parse_tasks(settings["tasks"])]
    results = ResultsFolder(Path(settings["results"]))
    results.create()
    table = compute_curves(conditions, settings["longest_history"], trials, predictor)
    path = results.path / "memory_demand.csv"
    write_atomically(path, table.to_csv(index=False).encode())
    print(f"table: {path}")
    for figure_path in figure.draw(table, results.figures):
        print(f"figure: {figure_path}", flush=True)


def _parse_tasks(tasks: Any) -> list[list[str]]:
    """Return the field `tasks`: for each task its overrides.

    Raises:
        BadInputError: the field is not a list of lists of texts.
    """
    lines = tasks if isinstance(tasks, list) else []
    is_valid = all(isinstance(line, list) and all(isinstance(text, str) for text in line) for line in lines)
    allowed = 'a list of lists of overrides, such as [["task=sine_wave"]]'
    require(is_valid and lines != [], "tasks", tasks, allowed)
    return lines


def main() -> None:
    """Run the command line."""
    torch.set_flush_denormal(True)
    entrypoint("memory_demand", run_memory_demand)()


if __name__ == "__main__":
    main()
