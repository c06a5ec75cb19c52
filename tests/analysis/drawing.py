"""Analyses that draw fewer figures, which take most of the time of a tiny analysis.

The functions are called in the process of the analysis.
"""

from __future__ import annotations

from analysis import figures


def draw_nothing() -> None:
    """Leave out the figures."""
    figures.draw_all = lambda experiment, results: []


def draw_loss_curves() -> None:
    """Draw a single figure, the loss curves."""
    select = figures.select_drawings
    figures.select_drawings = lambda *sources: {figures.LOSS: select(*sources)[figures.LOSS]}
