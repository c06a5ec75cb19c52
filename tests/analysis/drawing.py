"""Analyses that draw fewer figures, which take most of the time of a tiny analysis.

The functions are called in the process of the analysis.
"""

from __future__ import annotations

import functools

from analysis import figures


def draw_nothing() -> None:
    """Leave out the figures."""
    figures.draw_all = lambda experiment, results: []


def draw_only(name: str) -> None:
    """Leave out all figures but one of `figures.NAMES`."""
    select = figures.select_drawings
    figures.select_drawings = lambda *sources: {name: select(*sources)[name]}


draw_loss_curves = functools.partial(draw_only, figures.LOSS)
draw_snapshots = functools.partial(draw_only, figures.SNAPSHOTS)
