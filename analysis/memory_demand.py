"""python -m analysis.memory_demand: how far back must one look to tell a task's next target? (App. C, Fig. 9)

`'tasks=[["task=sine_wave","task.channels=2"]]'` asks it of other tasks or variants. Networks play no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from omegaconf import DictConfig

from analysis.figures import memory_demand as figure
from analysis.gather import Trialset
from analysis.results import Results
from degen.condition import Condition, build
from degen.errors import require, require_integer
from degen.files import write_atomically
from degen.metrics.memory_demand import Predictor, memory_demand
from launch.cli import compose, entrypoint, require_folder, resolved


def curves(
    conditions: Sequence[Condition], longest_history: int, trials: Trialset, predictor: Predictor
) -> pd.DataFrame:
    """The error of every task, history length and initialization.

    Columns: task, variant, condition (its signature), history, seed, error (mean squared, held out), demand
    (h* of the task).

    Raises:
        BadInputError: the longest history leaves no step of a trial to predict.
    """
    for condition in conditions:
        n_steps = trials.draw(condition.task, "memory demand", condition.dtype).inputs.shape[-2]
        allowed = f"below the {n_steps} time steps of {condition.task_name}"
        require(longest_history < n_steps, "longest_history", longest_history, allowed)
    tables = []
    for condition in conditions:
        drawn = trials.draw(condition.task, "memory demand", condition.dtype)
        found = memory_demand(
            drawn.inputs[0],
            drawn.targets[0],
            histories=range(1, longest_history + 1),
            predictor=predictor,
        )
        known = {"task": condition.task_name, "variant": condition.task.variant}
        known["condition"] = condition.signature
        tables.append(found.curve.assign(**known, demand=found.history))
        print(f"{condition.task_name} {condition.task.variant}: h* = {found.history}", flush=True)
    columns = ["task", "variant", "condition", "history", "seed", "error", "demand"]
    return pd.concat(tables, ignore_index=True)[columns]


def job(config: DictConfig) -> None:
    """What Hydra calls."""
    settings = resolved(config)
    require_folder("results", settings["results"])
    require_integer("longest_history", settings["longest_history"], 1)
    trials: Trialset = build(settings["trials"], Trialset, "trials")[1]
    predictor: Predictor = build(settings["predictor"], Predictor, "predictor")[1]
    tasks = settings["tasks"]
    listed = isinstance(tasks, list) and len(tasks) > 0 and all(isinstance(line, list) for line in tasks)
    require(listed, "tasks", tasks, 'a list of lists of overrides, such as [["task=sine_wave"]]')
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
