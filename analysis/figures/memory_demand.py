"""Held-out error against history length, a panel for each task (as Fig. 9 of the paper)."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from analysis.labels import task_title
from degen.reporting.style import PANEL, finish, save


def draw(table: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw mean errors with a band of one standard error over initializations, and h*.

    Args:
        table: as `analysis.diagnostics.memory_demand.compute_curves` returns it.
    """
    groups = list(table.groupby(["task", "variant", "condition"], sort=False))
    columns = min(4, len(groups))
    rows = -(-len(groups) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(PANEL[0] * columns, PANEL[1] * rows), squeeze=False, layout="constrained"
    )
    for axis, ((task, variant, _), group) in zip(axes.flat, groups, strict=False):
        errors = group.groupby("history")["error"]
        mean, spread = errors.mean(), errors.sem().fillna(0.0)
        axis.plot(mean.index, mean, marker="o", markersize=2)
        axis.fill_between(mean.index, mean - spread, mean + spread, alpha=0.2, linewidth=0)
        axis.set_ylim(0, 1.15 * float((mean + spread).max()))
        demand, is_lower_bound = group[["demand", "is_lower_bound"]].iloc[0]
        axis.axvline(demand, color="black", linewidth=0.6, linestyle="--")
        axis.set_title(f"{task_title(str(task))}\n{variant}: h* {'≥' if is_lower_bound else '='} {demand}")
        axis.set_xlabel("history length h")
    for axis in axes.flat[len(groups) :]:
        axis.set_visible(False)
    axes[0, 0].set_ylabel("held-out error (MSE)")
    networks = f"{len(table)} two-layer networks, one for each task, h and initialization, none left out"
    bands = f"bands: a standard error over {table['seed'].nunique()} initializations"
    return save(finish(figure, networks, bands), folder, "memory-demand")
