"""Memory demand: how far back must one look to predict a task's next target? (App. C, Fig. 9).

`'tasks=[["task=sine_wave","task.channels=2"]]'` asks it of other tasks or variants. Networks play no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from omegaconf import DictConfig

from analysis.figures import memory_demand as figure
from analysis.results import Results
from analysis.steps.networks import Trialset
from degen.condition import Condition, build
from degen.errors import BadInputError, require, require_integer
from degen.files import write_atomically
from degen.metrics.memory_demand import Predictor, memory_demand
from launch.cli import entrypoint
from launch.config import compose, resolved
from launch.settings import require_folder


def curves(
    conditions: Sequence[Condition], longest_history: int, trials: Trialset, predictor: Predictor
) -> pd.DataFrame:
    """The error of every task, history length and initialization.

    Columns: task, variant, condition (its signature), history, seed, error (mean squared, held out), demand
    (h* of the task), is_lower_bound (no longer history than h* was tried).

    Raises:
        BadInputError: the longest history leaves no step of a trial to predict, or only equal targets.
    """
    for condition in conditions:
        n_steps = trials.draw(condition.task, "memory demand", condition.dtype).inputs.shape[-2]
        allowed = f"below the {n_steps} time steps of {condition.task_name}"
        require(longest_history < n_steps, "longest_history", longest_history, allowed)
    tables = []
    for condition in conditions:
        drawn = trials.draw(condition.task, "memory demand", condition.dtype)
        histories = range(1, longest_history + 1)
        try:
            found = memory_demand(drawn.inputs[0], drawn.targets[0], histories=histories, predictor=predictor)
        except BadInputError as error:
            name = f"{condition.task_name} {condition.task.variant}"
            raise BadInputError(f"{name}, longest_history {longest_history}: {error}") from error
        known = {"task": condition.task_name, "variant": condition.task.variant}
        known["condition"] = condition.signature
        found_here = {"demand": found.history, "is_lower_bound": found.is_lower_bound}
        tables.append(found.curve.assign(**known, **found_here))
        least = "at least " if found.is_lower_bound else ""
        name = f"{condition.task_name} {condition.task.variant}"
        print(f"{name}: h* = {least}{found.history}", flush=True)
    columns = ["task", "variant", "condition", "history", "seed", "error", "demand", "is_lower_bound"]
    return pd.concat(tables, ignore_index=True)[columns]


def job(config: DictConfig) -> None:
    """What Hydra calls."""
    settings = resolved(config)
    require_folder("results", settings["results"])
    require_integer("longest_history", settings["longest_history"], 1)
    trials: Trialset = build(settings["trials"], Trialset, "trials")[1]
    predictor: Predictor = build(settings["predictor"], Predictor, "predictor")[1]
    tasks = settings["tasks"]
    lines = tasks if isinstance(tasks, list) else []
    listed = all(isinstance(line, list) and all(isinstance(text, str) for text in line) for line in lines)
    allowed = 'a list of lists of overrides, such as [["task=sine_wave"]]'
    require(listed and lines != [], "tasks", tasks, allowed)
    conditions = [Condition.from_config(compose("train", line)) for line in tasks]
    results = Results(Path(settings["results"]))
    results.create()
    table = curves(conditions, settings["longest_history"], trials, predictor)
    target = results.path / "memory_demand.csv"
    write_atomically(target, table.to_csv(index=False).encode())
    print(f"table: {target}")
    for path in figure.draw(table, results.figures):
        print(f"figure: {path}", flush=True)


def main() -> None:
    """The command line."""
    torch.set_flush_denormal(True)
    entrypoint("memory_demand", job)()


if __name__ == "__main__":
    main()
