"""Matplotlib style of all figures: color-blind safe, sized for print, stored as PDF and PNG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import seaborn as sns
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FuncFormatter

from degen.files import write_atomically

PANEL_SIZE = (1.72, 1.6)
"""Width and height of one panel in inches: two panels fill a column (8.7 cm), four a page (17.5 cm)."""

PALETTE = sns.color_palette("colorblind")
BLUE, GRAY = PALETTE[0], "0.5"

_CAPTION_POINTS = 6

STYLE: Any = {
    **sns.plotting_context("paper"),
    **sns.axes_style("ticks"),
    "axes.prop_cycle": cycler(color=PALETTE),
    **dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize", "figure.titlesize"), 7),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 6),
    **dict.fromkeys(("xtick.major.size", "ytick.major.size"), 3),
    **dict.fromkeys(("xtick.minor.size", "ytick.minor.size"), 1.5),
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.limits": (-3, 4),
    "axes.formatter.useoffset": False,
    "legend.frameon": False,
    "text.usetex": False,  # text of the user is not TeX
    "pdf.fonttype": 42,
    "svg.hashsalt": "degen",
}
"""Settings of Matplotlib. A library function uses them by `matplotlib.rc_context(STYLE)`."""


def use_style() -> None:
    """Use the style for all figures of this process, whatever the user's matplotlibrc sets.

    Figures are drawn to files only.
    """
    mpl.use("agg")
    mpl.rcdefaults()
    mpl.rcParams.update(STYLE)


def add_caption(figure: Figure, *sentences: str) -> Figure:
    """Write text below a figure, wrapped to its width. Empty parts are skipped.

    The figure becomes taller, so that its panels keep their size.
    """
    width = int(figure.get_size_inches()[0] * 23)
    lines = [""]
    for word in "; ".join(filter(None, sentences)).split():
        lines = [*lines[:-1], f"{lines[-1]} {word}"] if len(lines[-1]) + len(word) < width else [*lines, word]
    figure.supxlabel("\n".join(line.strip() for line in lines), fontsize=_CAPTION_POINTS, color="0.35")
    figure.set_figheight(figure.get_figheight() + len(lines) * 1.3 * _CAPTION_POINTS / 72)
    return figure


def draw_text_literally(figure: Figure) -> None:
    """Draw dollar signs in labels literally: they are the user's text, not mathematics.

    Tick labels that Matplotlib formats, such as powers of ten, remain mathematics.
    """
    formatted: set[Text] = set()
    for axis in [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]:
        formatted |= {*axis.get_minorticklabels(), axis.get_offset_text()}
        if not isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter):
            formatted |= set(axis.get_majorticklabels())
    for text in figure.findobj(Text):
        if text not in formatted:
            text.set_parse_math(False)


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Store a figure as PDF and PNG, close it, and return both paths.

    Equal figures have equal bytes: files contain no date, and identifiers have a fixed salt.
    """
    draw_text_literally(figure)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=200, bbox_inches="tight", metadata=metadata)
        # The second file has the layout of the first, which takes as long to compute as to draw.
        figure.set_layout_engine("none")
        write_atomically(folder / f"{name}.{kind}", buffer.getvalue())
        paths.append(folder / f"{name}.{kind}")
    plt.close(figure)
    return paths
