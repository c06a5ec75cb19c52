"""Loss curves of all networks, one panel per condition."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.ticker import MaxNLocator

from degen.reporting.panels import wrapped_panels
from degen.reporting.style import Caption, add_caption, save_figure


def draw(
    history: pd.DataFrame,
    titles: dict[str, str],
    thresholds: dict[str, float],
    caption: Caption,
    folder: Path,
) -> list[Path]:
    """Draw the mean task loss of each epoch.

    Args:
        history: columns condition, seed, epoch, loss.
        titles: title of each panel by signature, in order.
        thresholds: threshold of convergence by signature.
        caption: networks behind the figure.
        folder: folder of the files.
    """
    figure, axes = wrapped_panels(len(titles), sharey=True)
    for axis, (signature, title) in zip(axes, titles.items(), strict=True):
        curves = history[history["condition"] == signature]
        for _, curve in curves.groupby("seed"):
            axis.plot(curve["epoch"], curve["loss"], linewidth=0.7, alpha=0.7)
        axis.axhline(thresholds[signature], color="black", linewidth=0.6, linestyle="--")
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axis.set(title=title, xlabel=f"epoch ({curves['seed'].nunique()} networks)", yscale="log")
    axes[0].set_ylabel("task loss")
    return save_figure(add_caption(figure, caption), folder, "loss")
