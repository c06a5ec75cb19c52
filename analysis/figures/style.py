"""The shared look: colour-blind safe, legible at column width, PDF and PNG."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.figure import Figure

from degen.files import write_atomically

PANEL = (2.3, 2.1)
"""Inches of one panel."""

# Files that are made again from the same numbers are the same to the byte.
mpl.use("agg")
sns.set_theme(context="paper", style="ticks", palette="colorblind")
mpl.rcParams.update(
    {"axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "degen", "pdf.fonttype": 42}
)


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Store a figure as PDF and PNG, and close it."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=200, bbox_inches="tight", metadata=metadata)
        write_atomically(folder / f"{name}.{kind}", buffer.getvalue())
        paths.append(folder / f"{name}.{kind}")
    plt.close(figure)
    return paths
