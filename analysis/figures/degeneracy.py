"""Degeneracy against the swept factor, a panel for each measure (as Figs 3, 4, 6, 7 and 8 of the paper)."""

from __future__ import annotations

import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from analysis.labels import format_factor
from degen.reporting.style import PANEL, save

_WORDS = {
    "dsa": "DSA",
    "input_dsa": "DSA with inputs",
    "pif": "PIF",
    "pif_unaligned": "PIF, unaligned",
    "pif_initial": "PIF at initialization",
    "svcca": "1 - SVCCA",
    "sigma_test": "s.d. of test loss",
    "sigma_ood": "s.d. of OOD loss",
    "mean_ood": "mean OOD loss",
    "weight_change": "weight change",
    "kernel_alignment": "kernel alignment",
    "representation_alignment": "representation alignment",
    "participation_ratio": "participation of singular values",
    "near_zero_fraction": "share of weights near 0",
}


def _words(measure: str) -> str:
    """Further OOD conditions by their names: sigma_ood_noise."""
    for kind in ("sigma_ood", "mean_ood"):
        if measure.startswith(f"{kind}_"):
            return f"{_WORDS[kind]}, {measure.removeprefix(kind + '_')}"
    return _WORDS.get(measure, measure)


def draw(table: pd.DataFrame, label: str, words: str, folder: Path) -> list[Path]:
    """Draw the degeneracy table: values with their bootstrap intervals, a line for each task.

    Args:
        table: as `analysis.steps.degeneracy.compute_degeneracy` returns it.
        label: the factor in words.
        words: the networks behind it, those left out and why.
    """
    # Evenly spaced: axes start at 0, go over powers of ten, or are no numbers (in the order of the file).
    values = list(dict.fromkeys(table["factor_value"]))
    values = sorted(values) if pd.api.types.is_numeric_dtype(table["factor_value"]) else values
    table = table.assign(place=table["factor_value"].map(values.index))
    is_null = table["measure"].str.endswith("_null")
    measures = table[~is_null].drop_duplicates("measure")[["level", "measure"]].to_numpy()
    columns = min(4, len(measures))
    rows = -(-len(measures) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(PANEL[0] * columns, PANEL[1] * rows), squeeze=False, layout="constrained"
    )
    for axis, (level, measure) in zip(axes.flat, measures, strict=False):
        for task, group in table[table["measure"] == measure].groupby("task"):
            group = group.sort_values("place")
            # Conditions that differ in more than the factor are no line.
            style = "" if group["place"].duplicated().any() else "-"
            (line,) = axis.plot(group["place"], group["value"], style, marker="o", markersize=3, label=task)
            if style:
                axis.fill_between(group["place"], group["low"], group["high"], alpha=0.2, linewidth=0)
            null = table[(table["measure"] == f"{measure}_null") & (table["task"] == task)]
            null = null.sort_values("place")
            dots = ":" if style else ""
            axis.plot(null["place"], null["value"], dots, marker=",", linewidth=1, color=line.get_color())
        axis.set(title=level, ylabel=_words(measure), xlabel=label)
        ticks = [format_factor(value) for value in values]
        is_long = sum(map(len, ticks)) > 20
        axis.set_xticks(range(len(values)), ticks, rotation=90 if is_long else 0)
    for axis in axes.flat[len(measures) :]:
        axis.set_visible(False)
    # Above: the legend is below.
    bands = (
        f"bands: {table['nominal_level'].iloc[0]:.0%} intervals, bootstrap over networks; dots: same network"
    )
    figure.suptitle(textwrap.fill(f"{words}; {bands}", int(23 * PANEL[0] * columns)), fontsize=6)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return save(figure, folder, "degeneracy")
