"""Coordinate check: change of hidden states and outputs in the first training steps, by width.

Under mup the change does not depend on the width. Under the standard parameterization it grows with the width
(App. G of the paper; Yang et al. 2022, "Tensor programs V"). Overrides select another task.

Example:
    python -m analysis.diagnostics.coordinate_check task=sine_wave
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
from degen.reporting.style import PANEL_SIZE, save_figure, use_style
from degen.streams import Stream
from degen.training import Ensemble, train
from launch.cli import entrypoint
from launch.config import compose

PARAMETERIZATIONS = ("standard", "mup")
WIDTHS = (64, 128, 256, 512, 1024)
QUANTITIES = ("hidden", "output")
# Sizes that show the scaling and take a minute on one core.
_N_STEPS, _SEEDS, _N_TRIALS, _TRIAL_STEPS = 10, (0, 1, 2), 16, 20


def coordinate_check(overrides: Sequence[str] = (), widths: Sequence[int] = WIDTHS) -> pd.DataFrame:
    """Measure the change since initialization on fixed trials, after each of ten Adam steps.

    Args:
        overrides: overrides of `launch.train` that select a task other than the flip-flop.

    Returns:
        Columns: parameterization, width, step (from 1), hidden and output (root mean square of the change).
    """
    tables = []
    for parameterization in PARAMETERIZATIONS:
        for width in widths:
            fixed = [f"parameterization={parameterization}", f"width={width}"]
            config = compose("train", [f"task.n_steps={_TRIAL_STEPS}", *overrides, *fixed])
            changes = _measure_changes(Condition.from_config(config))
            tables.append(changes.assign(parameterization=parameterization, width=width))
    return pd.concat(tables, ignore_index=True)[["parameterization", "width", "step", *QUANTITIES]]


def _measure_changes(condition: Condition) -> pd.DataFrame:
    """Measure the changes of one condition. Columns: step, hidden, output."""
    task, model = condition.task, condition.model
    # Epochs of one step: the callback runs after each epoch.
    training = dataclasses.replace(
        condition.training,
        steps_per_epoch=1,
        batch_size=_N_TRIALS,
        max_epochs=_N_STEPS,
        threshold=0.0,
        validation_trials=1,
        confirmation_trials=2,
    )
    trials = task.generate(_N_TRIALS, Stream.named(_SEEDS, "probe", dtype=condition.dtype))
    observed: list[tuple[Tensor, Tensor]] = []

    def observe(running: Ensemble, done: Ensemble) -> None:
        weights = running.join(done).parameters
        with torch.no_grad():
            hidden = model.unroll(weights, trials)
            observed.append((hidden, model.readout(weights, hidden)))

    ensemble = Ensemble.new(_SEEDS, task, model, dtype=condition.dtype)
    observe(ensemble, ensemble.select([]))
    train(ensemble, task, model, training, condition.regularizer, on_epoch=observe)
    rows = [
        [step, *(_root_mean_square(now - start) for now, start in zip(states, observed[0], strict=True))]
        for step, states in enumerate(observed[1:], start=1)
    ]
    return pd.DataFrame(rows, columns=["step", *QUANTITIES])


def _root_mean_square(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def exponents(table: pd.DataFrame) -> pd.DataFrame:
    """Fit the power of the width that each change grows with. It is 0 if the change has no dependence.

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
    """Draw changes against width: one line per step, one panel per parameterization and quantity."""
    use_style()
    size = (PANEL_SIZE[0] * len(PARAMETERIZATIONS), PANEL_SIZE[1] * len(QUANTITIES))
    figure, axes = plt.subplots(
        len(QUANTITIES), len(PARAMETERIZATIONS), figsize=size, sharex=True, sharey="row", layout="constrained"
    )
    colors = plt.get_cmap("viridis")(np.linspace(0, 0.9, _N_STEPS))
    for column, parameterization in enumerate(PARAMETERIZATIONS):
        rows = table[table["parameterization"] == parameterization]
        for row, quantity in enumerate(QUANTITIES):
            axis = axes[row, column]
            for color, (_, line) in zip(colors, rows.groupby("step"), strict=True):
                axis.loglog(line["width"], line[quantity], color=color, marker="o", markersize=2)
            axis.set(title=parameterization if row == 0 else "", xlabel="width" if row else "")
            axis.set_ylabel("" if column else f"change of {quantity}")
    figure.suptitle(f"after 1 (dark) to {_N_STEPS} (light) Adam steps, {len(_SEEDS)} networks", fontsize=7)
    return save_figure(figure, folder, "coordinate-check")


def run_coordinate_check(config: DictConfig) -> None:
    """Measure, print and draw the changes for the overrides on the command line."""
    table = coordinate_check(HydraConfig.get().overrides.task)
    last = table[table["step"] == _N_STEPS].pivot(
        index="width", columns="parameterization", values=list(QUANTITIES)
    )
    print(
        f"change after {_N_STEPS} steps (root mean square):\n{last.to_string(float_format='{:.3g}'.format)}\n"
    )
    powers = exponents(table).to_string(index=False, float_format="{:.2f}".format)
    print(f"exponent of the width that the change grows with:\n{powers}\n")
    for path in draw(table, Path("results")):
        print(f"figure: {path}", flush=True)


def main() -> None:
    """Run the command line."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    entrypoint("train", run_coordinate_check)()


if __name__ == "__main__":
    main()
