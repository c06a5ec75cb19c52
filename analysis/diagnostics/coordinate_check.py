"""Coordinate check: how far do hidden states and outputs move in the first training steps, by width?

Under mup, as far at every width; under the standard parameterization, further the wider the network (App. G
of the paper; Yang et al. 2022, "Tensor programs V"). Overrides choose another task: task=sine_wave.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from torch import Tensor

from degen.condition import Condition
from degen.reporting.style import PANEL_SIZE, save_figure
from degen.streams import Stream
from degen.training import Ensemble, train
from launch.cli import entrypoint
from launch.config import compose

PARAMETERIZATIONS = ("standard", "mup")
WIDTHS = (64, 128, 256, 512, 1024)
QUANTITIES = ("hidden", "output")
# Enough to see the scaling, and little enough for a minute on one core.
_STEPS, _SEEDS, _TRIALS, _TIME = 10, (0, 1, 2), 16, 20


def coordinate_check(overrides: Sequence[str] = (), widths: Sequence[int] = WIDTHS) -> pd.DataFrame:
    """Root mean squares of the change since initialization, on fixed trials, after each of ten Adam steps.

    Args:
        overrides: of `launch.train`, for another task than the flip-flop.

    Returns:
        Columns: parameterization, width, step (from 1), hidden, output.
    """
    tables = []
    for parameterization in PARAMETERIZATIONS:
        for width in widths:
            ours = [f"parameterization={parameterization}", f"width={width}"]
            given = [f"task.n_steps={_TIME}", *overrides, *ours]
            condition = Condition.from_config(compose("train", given))
            moved = _moved(condition)
            tables.append(moved.assign(parameterization=parameterization, width=width))
    return pd.concat(tables, ignore_index=True)[["parameterization", "width", "step", *QUANTITIES]]


def _moved(condition: Condition) -> pd.DataFrame:
    """The changes of one condition: columns step, hidden, output."""
    task, model = condition.task, condition.model
    # An epoch of one step: its end is where to look.
    training = dataclasses.replace(
        condition.training,
        steps_per_epoch=1,
        batch_size=_TRIALS,
        max_epochs=_STEPS,
        threshold=0.0,
        validation_trials=1,
        confirmation_trials=2,
    )
    trials = task.generate(_TRIALS, Stream.named(_SEEDS, "probe", dtype=condition.dtype))
    seen: list[tuple[Tensor, Tensor]] = []

    def look(running: Ensemble, done: Ensemble) -> None:
        weights = running.join(done).parameters
        with torch.no_grad():
            hidden = model.unroll(weights, trials)
            seen.append((hidden, model.readout(weights, hidden)))

    ensemble = Ensemble.new(_SEEDS, task, model, dtype=condition.dtype)
    look(ensemble, ensemble.select([]))
    train(ensemble, task, model, training, condition.regularizer, on_epoch=look)
    rows = [
        [step, *(_root_mean_square(now - start) for now, start in zip(seen[step], seen[0], strict=True))]
        for step in range(1, _STEPS + 1)
    ]
    return pd.DataFrame(rows, columns=["step", *QUANTITIES])


def _root_mean_square(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def exponents(table: pd.DataFrame) -> pd.DataFrame:
    """The power of the width that each change grows with: 0 where it does not depend on the width.

    Returns:
        Columns: parameterization, step, hidden, output.
    """
    rows = []
    for (parameterization, step), group in table.groupby(["parameterization", "step"], sort=False):
        changes = np.log(group[list(QUANTITIES)].to_numpy())
        powers = np.polyfit(np.log(group["width"].to_numpy()), changes, deg=1)[0]
        rows.append([parameterization, step, *powers])
    return pd.DataFrame(rows, columns=["parameterization", "step", *QUANTITIES])


def draw(table: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw changes against width, a line a step, a panel a parameterization and quantity."""
    size = (PANEL_SIZE[0] * len(PARAMETERIZATIONS), PANEL_SIZE[1] * len(QUANTITIES))
    figure, axes = plt.subplots(
        len(QUANTITIES), len(PARAMETERIZATIONS), figsize=size, sharex=True, sharey="row", layout="constrained"
    )
    colors = plt.get_cmap("viridis")(np.linspace(0, 0.9, _STEPS))
    for column, parameterization in enumerate(PARAMETERIZATIONS):
        chosen = table[table["parameterization"] == parameterization]
        for row, quantity in enumerate(QUANTITIES):
            axis = axes[row, column]
            for color, (_, line) in zip(colors, chosen.groupby("step"), strict=True):
                axis.loglog(line["width"], line[quantity], color=color, marker="o", markersize=2)
            axis.set(title=parameterization if row == 0 else "", xlabel="width" if row else "")
            axis.set_ylabel("" if column else f"change of {quantity}")
    figure.suptitle(f"after 1 (dark) to {_STEPS} (light) Adam steps, {len(_SEEDS)} networks", fontsize=7)
    return save_figure(figure, folder, "coordinate-check")


def job(config: DictConfig) -> None:
    """What Hydra calls."""
    table = coordinate_check(HydraConfig.get().overrides.task)
    last = table[table["step"] == _STEPS].pivot(
        index="width", columns="parameterization", values=list(QUANTITIES)
    )
    print(
        f"change after {_STEPS} steps (root mean square):\n{last.to_string(float_format='{:.3g}'.format)}\n"
    )
    powers = exponents(table).to_string(index=False, float_format="{:.2f}".format)
    print(f"grows with the width to the power of:\n{powers}\n")
    for path in draw(table, Path("results")):
        print(f"figure: {path}", flush=True)


def main() -> None:
    """The command line."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    entrypoint("train", job)()


if __name__ == "__main__":
    main()
