"""Hyperparameter selection of DSA: held-out error and AIC of all candidates."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.labels import task_title
from degen.reporting.panels import use_log_ticks
from degen.reporting.style import PAGE_WIDTH, PANEL_SIZE, Caption, add_caption, save_figure

_CRITERIA = {"held_out_error": "held-out error", "aic": "Akaike criterion (AIC)"}

_LEGEND_WIDTH = 0.6


def draw(curves: dict[str, pd.DataFrame], caption: Caption, folder: Path) -> list[Path]:
    """Draw both criteria against the lag, one column per task and one line per rank.

    A star marks the selected candidate.

    Args:
        curves: for each task the curve of `degen.metrics.dsa.select_hyperparameters`, with the column
            `selected`.
        caption: networks behind the figure.
        folder: folder of the files.
    """
    width = min(PANEL_SIZE[0] * len(curves) + _LEGEND_WIDTH, PAGE_WIDTH)
    size = (width, PANEL_SIZE[1] * len(_CRITERIA))
    figure, axes = plt.subplots(
        len(_CRITERIA), len(curves), figsize=size, squeeze=False, sharex="col", layout="constrained"
    )
    for column, (task, curve) in enumerate(curves.items()):
        for axis, criterion in zip(axes[:, column], _CRITERIA, strict=True):
            _draw_criterion(axis, curve, criterion)
        selected = curve[curve["selected"]].iloc[0]
        n_networks = sum(len(networks["seeds"]) for networks in curve.attrs["networks"].values())
        hyperparameters = f"lag {selected['lag']}, rank {selected['rank']}"
        axes[0, column].set_title(f"{task_title(task)}\n{hyperparameters}\n{n_networks} converged networks")
        axes[-1, column].set_xlabel("lag")
    for axis, label in zip(axes[:, 0], _CRITERIA.values(), strict=True):
        axis.set_ylabel(label)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", title="rank")
    text = caption.show("star: selected").explain(
        "full rank: the rank is the lag times the number of principal components"
    )
    return save_figure(add_caption(figure, text), folder, "hyperparameters-dsa")


def _draw_criterion(axis: Axes, curve: pd.DataFrame, criterion: str) -> None:
    # A rank that occurs at one lag only is a full rank, a multiple of the lag. All full ranks form one line.
    lags_per_rank = curve["rank"].map(curve.groupby("rank")["lag"].nunique())
    is_full = (lags_per_rank == 1) & (curve["lag"].nunique() > 1)
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for rank, line in curve[~is_full].groupby("rank"):
        axis.plot(line["lag"], line[criterion], linewidth=0.8, label=f"{rank}")
    axis.scatter(curve[is_full]["lag"], curve[is_full][criterion], s=4, color="black", label="full")
    selected = curve[curve["selected"]].iloc[0]
    axis.plot(selected["lag"], selected[criterion], marker="*", color="black", markersize=7)
    if criterion == "held_out_error":
        use_log_ticks(axis)
