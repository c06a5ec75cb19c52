"""Captions of figures: the networks behind a figure, those left out, intervals and the scale."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.experiment_results import STATUSES_AND_MISSING, ExperimentResults
from analysis.labels import format_factor, task_title
from degen.reporting.style import Caption

_PAPER_SEEDS = 50


def caption(
    *results: ExperimentResults, tasks: Sequence[str] | None = None, has_hollow_markers: bool = False
) -> Caption:
    """Return the caption of a figure.

    Args:
        results: experiments that the figure shows.
        tasks: tasks that the figure shows, None for all.
        has_hollow_markers: whether the figure marks conditions with left-out networks by hollow markers.
    """
    counts = pd.concat([experiment.counts for experiment in results])
    counts = counts[counts["task"].isin(tasks)] if tasks is not None else counts
    counts = counts.drop_duplicates("condition")
    shown = _networks_in_short(counts, has_hollow_markers), scale_in_short(*results)
    full = *_networks(counts, has_hollow_markers), _scale(*results)
    return Caption(tuple(filter(None, shown)), tuple(filter(None, full)))


def intervals_caption(*results: ExperimentResults) -> str:
    """Return the meaning of bands and bars, empty if nothing was measured."""
    tables = [experiment.degeneracy for experiment in results if len(experiment.degeneracy)]
    levels = sorted({level for table in tables for level in table["nominal_level"]})
    shown = " and ".join(f"{level:.0%}" for level in levels)
    return f"bands or bars: {shown} intervals over networks" if levels else ""


def _networks_in_short(counts: pd.DataFrame, has_hollow_markers: bool) -> str:
    """Return the number of networks per condition, and the numbers of networks and conditions left out.

    Args:
        counts: rows of `ExperimentResults.counts`, one per condition.
    """
    drawn = _drawn(counts)
    text = f"{_per_condition(counts)} networks per condition"
    left_out = drawn[list(STATUSES_AND_MISSING[1:])].sum().sum()
    if left_out:
        text += f", {left_out} left out{' (hollow)' if has_hollow_markers else ''}"
    if len(drawn) < len(counts):
        text += f"; {len(counts) - len(drawn)} of {len(counts)} conditions left out"
    return text


def _drawn(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the conditions that figures show."""
    return counts[counts["converged"] >= 2]


def _per_condition(counts: pd.DataFrame) -> str:
    converged = _drawn(counts)["converged"]
    low, high = (converged.min(), converged.max()) if len(converged) else (0, 0)
    return f"{low}" if low == high else f"{low} to {high}"


def _networks(counts: pd.DataFrame, has_hollow_markers: bool) -> list[str]:
    """Describe the networks that a figure shows, and the networks and conditions that it leaves out."""
    drawn, not_drawn = _drawn(counts), counts[counts["converged"] < 2]
    parts = [
        f"{_per_condition(counts)} converged networks per condition, {drawn['converged'].sum()} in total"
    ]
    left_out = [f"{counts[status].sum()} {status}" for status in STATUSES_AND_MISSING[1:]]
    left_out = [text for text in left_out if not text.startswith("0 ")]
    if not_drawn["converged"].sum():
        left_out.append(f"{not_drawn['converged'].sum()} the only converged network of its condition")
    parts.append("left out: " + (", ".join(left_out) or "none"))
    if left_out and has_hollow_markers:
        parts.append("hollow markers: networks of the condition are left out")
    if len(not_drawn):
        names = [
            f"{task_title(row['task'])} {format_factor(row['factor_value'])}"
            for row in not_drawn.to_dict("records")
        ]
        parts.append(f"not drawn (fewer than two converged networks): {', '.join(names)}")
    return parts


def scale_in_short(*results: ExperimentResults) -> str:
    """Return the scale in a few words, empty if it is the paper's or the conditions are the user's."""
    name, _, overrides = results[0].experiment.scale.partition(" with ")
    if results[0].experiment.scale == "full" or results[0].experiment.is_sweep:
        return ""
    seeds = {len(result.experiment.seeds) for result in results}
    is_smaller = name == "full" and seeds != {_PAPER_SEEDS}
    number = f", {' or '.join(map(str, sorted(seeds)))} of {_PAPER_SEEDS} seeds" if is_smaller else ""
    changes = [text for text in overrides.split(", ") if text and not text.startswith("seeds=")]
    return f"{name} scale{number}{', with changes' if changes else ''}"


def _scale(*results: ExperimentResults) -> str:
    """Describe how the scale differs from the paper's: seeds, widths, batch sizes."""
    if results[0].experiment.scale == "full":
        return ""
    experiments = [result.experiment for result in results]
    conditions = [condition for experiment in experiments for condition in experiment.conditions]
    seeds = sorted({len(experiment.seeds) for experiment in experiments})
    widths = sorted({condition.model.width for condition in conditions})
    batches = sorted({condition.training.batch_size for condition in conditions})
    sizes = f"{' or '.join(map(str, seeds))} seeds, {', '.join(map(str, widths))} units"
    sizes += f", batches of {' or '.join(map(str, batches))}"
    paper = f"{_PAPER_SEEDS} seeds, 128 units, batches of 32 to 256"
    return f"scale: {results[0].experiment.scale} ({sizes}; the paper: {paper})"


def hyperparameters_caption(*results: ExperimentResults, tasks: Sequence[str] | None = None) -> list[str]:
    """Return the hyperparameters of DSA, one statement per task."""
    table = pd.concat([experiment.hyperparameters for experiment in results])
    table = table[table["metric"] == "dsa"].drop_duplicates()
    return [
        f"DSA of {task_title(row['task'])}: {row['settings']}"
        for row in table.to_dict("records")
        if tasks is None or row["task"] in tasks
    ]
