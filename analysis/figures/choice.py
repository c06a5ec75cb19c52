"""On what lag and rank of DSA were chosen: held-out error and AIC of every candidate."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from degen.reporting.style import PANEL, save

_PANELS = (("held_out_error", "held-out error"), ("aic", "AIC"))


def draw(curves: dict[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Draw both against the lag, a line for each rank, a column for each task; a star marks the choice.

    Args:
        curves: task to the curve of `degen.metrics.dsa.select_hyperparameters` with the column `selected`.
    """
    size = (PANEL[0] * len(curves), PANEL[1] * len(_PANELS))
    figure, axes = plt.subplots(
        len(_PANELS), len(curves), figsize=size, squeeze=False, sharex="col", layout="constrained"
    )
    # Ranks that stand in the curve of one lag only are full ranks, k times the lag: one line for all.
    for column, (task, curve) in enumerate(curves.items()):
        lags = curve.groupby("rank")["lag"].nunique()
        alone = (curve["rank"].map(lags) == 1) & (curve["lag"].nunique() > 1)
        chosen = curve[curve["selected"]].iloc[0]
        for row, (quantity, words) in enumerate(_PANELS):
            axis = axes[row, column]
            for rank, line in curve[~alone].groupby("rank"):
                axis.plot(line["lag"], line[quantity], linewidth=0.8, label=f"{rank}")
            axis.scatter(curve[alone]["lag"], curve[alone][quantity], s=4, color="black", label="full")
            axis.plot(chosen["lag"], chosen[quantity], marker="*", color="black", markersize=7)
            axis.set_ylabel("" if column else words)
            if quantity == "held_out_error":
                axis.set_yscale("log")
        number = sum(len(one["seeds"]) for one in curve.attrs["networks"].values())
        words = f"lag {chosen['lag']}, rank {chosen['rank']}\n{number} converged networks"
        axes[0, column].set_title(f"{task}\n{words}")
        axes[-1, column].set_xlabel("lag")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", title="rank")
    return save(figure, folder, "choice-dsa")
