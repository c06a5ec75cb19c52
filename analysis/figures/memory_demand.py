"""Memory demand: held-out error against history length, one panel per task (as Fig. 9 of the paper)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.labels import sort_tasks, task_title
from degen.reporting.panels import wrapped_panels
from degen.reporting.style import PANEL_SIZE, Caption, add_caption, save_figure


def draw(table: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw mean errors with a band of one standard error over initializations, and h*.

    Args:
        table: table of `analysis.diagnostics.memory_demand.compute_curves`.
        folder: folder of the files.
    """
    order = sort_tasks(table["task"])
    groups = list(table.groupby(["task", "variant", "condition"], sort=False))
    groups = sorted(groups, key=lambda group: order.index(str(group[0][0])))
    figure, axes = wrapped_panels(len(groups), height=PANEL_SIZE[1] + 0.2)
    for axis, ((task, variant, _), group) in zip(axes, groups, strict=True):
        errors = group.groupby("history")["error"]
        mean, standard_error = errors.mean(), errors.sem().fillna(0.0)
        axis.plot(mean.index, mean, marker="o", markersize=2)
        axis.fill_between(mean.index, mean - standard_error, mean + standard_error, alpha=0.2, linewidth=0)
        axis.set_ylim(0, 1.15 * float((mean + standard_error).max()))
        demand, is_lower_bound = group[["demand", "is_lower_bound"]].iloc[0]
        axis.axvline(demand, color="black", linewidth=0.6, linestyle="--")
        axis.set_title(f"{task_title(str(task))}\n{variant}\nh* {'≥' if is_lower_bound else '='} {demand}")
        axis.set_xlabel("history length h (steps)")
    axes[0].set_ylabel("held-out error (MSE)")
    networks = f"{len(table)} two-layer networks, one per task, h and initialization, none left out"
    bands = f"bands: standard error over {table['seed'].nunique()} initializations"
    text = Caption().show(bands, "dashed: memory demand h*").explain(networks)
    return save_figure(add_caption(figure, text), folder, "memory-demand")
