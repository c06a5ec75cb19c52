"""Matplotlib style of all figures: color-blind safe, sized for print, stored as PDF, PNG and text."""

from __future__ import annotations

import dataclasses
import io
import textwrap
from collections.abc import Sequence
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

PAGE_WIDTH = 4 * PANEL_SIZE[0]
"""Width of the widest figures in inches."""

PALETTE = sns.color_palette("colorblind")
BLUE, GRAY = PALETTE[0], "0.5"
"""Colors of what was measured, and of what it is compared with."""

_CAPTION_POINTS = 6
_CAPTION_LETTERS_PER_INCH = 23
_MAX_CAPTION_LINES = 3

STYLE: Any = {
    **sns.plotting_context("paper"),
    **sns.axes_style("ticks"),
    "axes.prop_cycle": cycler(color=PALETTE),
    **dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize", "figure.titlesize"), 7),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize", "legend.title_fontsize"), 6),
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


def ordered_colors(number: int) -> Sequence[Any]:
    """Return the colors of the conditions of a task, in the order of their factor."""
    return sns.color_palette("viridis", number)


def use_style() -> None:
    """Use the style for all figures of this process, whatever the user's matplotlibrc sets.

    Figures are drawn to files only.
    """
    mpl.use("agg")
    mpl.rcdefaults()
    mpl.rcParams.update(STYLE)


@dataclasses.dataclass(frozen=True)
class Caption:
    """Caption of a figure: what is drawn below the figure, and the complete text of its text file.

    Attributes:
        shown: short statements that a reader needs to read the figure, the most important ones first.
        full: all statements.
    """

    shown: tuple[str, ...] = ()
    full: tuple[str, ...] = ()

    def show(self, *statements: str) -> Caption:
        """Return the caption with further statements, also below the figure. Empty ones are skipped."""
        return Caption((*self.shown, *filter(None, statements)), (*self.full, *filter(None, statements)))

    def explain(self, *statements: str) -> Caption:
        """Return the caption with further statements in the text file. Empty ones are skipped."""
        return Caption(self.shown, (*self.full, *filter(None, statements)))


def add_caption(figure: Figure, caption: Caption) -> Figure:
    """Write at most three lines below a figure. `save_figure` stores the complete text in a text file.

    The last statements are left out if they do not fit. The figure becomes taller, so that its panels keep
    their size.
    """
    # Matplotlib keeps the label of a figure, and draws it nowhere.
    figure.set_label("\n".join(caption.full))
    width, shown = int(figure.get_size_inches()[0] * _CAPTION_LETTERS_PER_INCH), list(caption.shown)
    while len(lines := textwrap.wrap("; ".join(shown), width)) > _MAX_CAPTION_LINES:
        shown.pop()
    if lines:
        figure.supxlabel("\n".join(lines), fontsize=_CAPTION_POINTS, color="0.35")
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
    """Store a figure as PDF and PNG, and its complete caption as text. Close it, and return the paths.

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
    text = folder / f"{name}.txt"
    if not figure.get_label():
        text.unlink(missing_ok=True)  # the caption of an earlier figure
        return paths
    write_atomically(text, f"{figure.get_label()}\n".encode())
    return [*paths, text]
