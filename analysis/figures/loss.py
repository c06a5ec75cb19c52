"""Loss curves of every network, a panel for each condition."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from degen.reporting.style import PANEL, finish, save


def draw(
    history: pd.DataFrame, titles: dict[str, str], thresholds: dict[str, float], words: str, folder: Path
) -> list[Path]:
    """Draw epoch-mean task losses against epochs.

    Args:
        history: columns condition, seed, epoch, loss.
        titles: signature to what stands above the panel, in order.
        thresholds: signature to the loss below which the task counts as solved.
        words: which networks these are.
    """
    columns = min(4, len(titles))
    rows = -(-len(titles) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(PANEL[0] * columns, PANEL[1] * rows),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    for axis, (signature, title) in zip(axes.flat, titles.items(), strict=False):
        curves = history[history["condition"] == signature]
        for _, curve in curves.groupby("seed"):
            axis.plot(curve["epoch"], curve["loss"], linewidth=0.7, alpha=0.7)
        axis.axhline(thresholds[signature], color="black", linewidth=0.6, linestyle="--")
        axis.set(title=title, xlabel=f"epoch ({curves['seed'].nunique()} networks)", yscale="log")
    for axis in axes.flat[len(titles) :]:
        axis.set_visible(False)
    axes[0, 0].set_ylabel("mean squared error")
    return save(finish(figure, words), folder, "loss")
